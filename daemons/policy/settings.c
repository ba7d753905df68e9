/* The service's settings.
 * Trusts the sealed configuration: every item was checked when it was made.
 * Never changes them afterwards. */
#include "policy/settings.h"

#include "wire/smtpd_policy.h"

#include <string.h>

static uint16_t
mechanisms_of(struct bytes words)
{
	uint16_t set = 0;
	struct bytes word;

	while (bytes_split(&words, ' ', &word))
		for (unsigned i = 0; i < SP_N_MECHANISMS; i++)
			if (bytes_equal_nocase(word, bytes_of_string(sp_mechanism_names[i])))
				set |= (uint16_t)(1u << i);
	return set;
}

struct settings
settings_of(const struct control *c, const char *service)
{
	bool is_pop3 = strncmp(service, "pop3", 4) == 0;

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
		.session_seconds = (uint32_t)control_number(c, ITEM_SESSIONSECONDS),
		.max_sessions = (uint32_t)control_number(c, ITEM_CONCURRENCYINCOMING),
		.idle_seconds = (uint32_t)control_number(c, is_pop3 ? ITEM_TIMEOUTPOP3D : ITEM_TIMEOUTSMTPD),
		.is_pop3 = is_pop3,
		.received_user = control_number(c, ITEM_RECEIVEDUSER) != 0,
		.tls_at_once = strcmp(service, "smtps") == 0 || strcmp(service, "pop3s") == 0,
		.is_submission = strcmp(service, "submission") == 0 || strcmp(service, "smtps") == 0,
		.mechanisms = mechanisms_of(control_text(c, ITEM_MECHANISMS)),
		.login_seconds = (uint32_t)control_number(c, ITEM_LOGINSECONDS),
		.user_messages = (uint32_t)control_number(c, ITEM_USERMESSAGES),
		.user_recipients = (uint32_t)control_number(c, ITEM_USERRECIPIENTS),
		.service = service,
	};
}
