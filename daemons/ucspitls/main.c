/* ucspitls: what `policy` is to smtpd it is to a program under sslserver: it gets TLS for it. A zygote that forks one child a
 * connection.
 * Trusts sslserver for connections and for which certificate each gets.
 * Never reads from a connection, opens nothing, has no key. */
#include "sys/log.h"
#include "sys/process.h"
#include "ucspitls/privileges.h"
#include "ucspitls/session.h"
#include "wire/sessions.h"

#define SESSIONS_MAX 100000 /* sslserver counts them */

static void
serve(const struct wire_message *m, void *ctx)
{
	(void)ctx;
	session_run(m);
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &ucspitls_privileges);
	struct channel door = channel_of(UCSPITLS_DOOR_FD, &sslserver_ucspitls_protocol, US_UCSPITLS, false);
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = sessions_serve(&door, SESSIONS_MAX, serve, NULL, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
