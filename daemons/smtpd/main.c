/* smtpd: the SMTP front end. A zygote that forks one child a connection.
 * Trusts listen for connections and policy for decisions.
 * Never opens a file or a connection, never has a key, keeps nothing from one session to the next. */
#include "smtpd/privileges.h"
#include "smtpd/session.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/process.h"
#include "wire/listen_smtpd.h"
#include "wire/sessions.h"

#include <string.h>
#include <unistd.h>

#define SESSIONS_MAX 100000 /* listen counts them; this only bounds what a listen gone mad could start */

static void
serve(const struct wire_message *m, void *ctx)
{
	static struct session s;
	const struct ls_session *session = m->body;
	const bool *bounds_files = ctx;
	char conn[ID_LEN + 1];

	s.bounds_files = *bounds_files;
	memcpy(conn, session->conn, sizeof conn);
	conn[ID_LEN] = '\0';
	session_run(&s, m->fds[0], m->fds[1], conn);
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &smtpd_privileges);
	struct channel door = channel_of(SMTPD_DOOR_FD, &listen_smtpd_protocol, LS_SMTPD, false);
	struct why why = WHY_NONE;
	bool bounds_files = !fd_is_file(STDERR_FILENO); /* a log that is one grows beyond any message */
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = sessions_serve(&door, SESSIONS_MAX, serve, &bounds_files, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
