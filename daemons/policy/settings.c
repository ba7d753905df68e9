/* The service's settings.
 * Trusts the sealed configuration: every item was checked when it was made.
 * Never changes them afterwards. */
#include "policy/settings.h"

struct settings
settings_of(const struct control *c, const char *service)
{
	return (struct settings){
		.control = c,
		.me = control_text(c, ITEM_ME),
		.greeting = control_text(c, ITEM_SMTPGREETING),
		.localiphost = control_text(c, ITEM_LOCALIPHOST),
		.envnoathost = control_text(c, ITEM_ENVNOATHOST),
		.variables = control_text(c, ITEM_VARIABLES),
		.databytes = control_number(c, ITEM_DATABYTES),
		.max_recipients = (uint32_t)control_number(c, ITEM_MAXRCPT),
		.max_hops = (uint32_t)control_number(c, ITEM_MAXHOPS),
		.max_errors = (uint32_t)control_number(c, ITEM_MAXERRORS),
		.idle_seconds = (uint32_t)control_number(c, ITEM_TIMEOUTSMTPD),
		.session_seconds = (uint32_t)control_number(c, ITEM_SESSIONSECONDS),
		.max_sessions = (uint32_t)control_number(c, ITEM_CONCURRENCYINCOMING),
		.service = service,
	};
}
