/* remote: the SMTP client. A zygote that forks one child a connection to another host.
 * Trusts send for where to and under which policy, resolve for names, tls for what it verified.
 * Never opens a file, never has a key or a password. */
#include "remote/privileges.h"
#include "remote/remote.h"
#include "sys/log.h"
#include "sys/process.h"
#include "wire/send_remote_door.h"
#include "wire/sessions.h"

#include <string.h>

#define SESSIONS_MAX 10000 /* send counts them; this only bounds what a send gone mad could start */

static void
serve(const struct wire_message *m, void *ctx)
{
	const struct rd_session *session = m->body;
	char conn[ID_LEN + 1];

	(void)ctx;
	memcpy(conn, session->conn, sizeof conn);
	conn[ID_LEN] = '\0';
	session_run(m->fds[0], conn);
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &remote_privileges);
	struct channel door = channel_of(REMOTE_DOOR_FD, &send_remote_door_protocol, RD_REMOTE, false);
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = sessions_serve(&door, SESSIONS_MAX, serve, NULL, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
