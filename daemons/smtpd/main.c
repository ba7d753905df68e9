/* smtpd: the SMTP front end. A zygote that forks one child a connection.
 * Trusts listen for connections and policy for decisions.
 * Never opens a file or a connection, never has a key, keeps nothing from one session to the next. */
#include "smtpd/privileges.h"
#include "smtpd/session.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "wire/listen_smtpd.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SESSIONS_MAX 100000 /* listen counts them; this only bounds what a listen gone mad could start */

__attribute__((noreturn)) static void
serve(const struct wire_message *m, bool bounds_files)
{
	static struct session s;
	const struct ls_session *session = m->body;
	char conn[ID_LEN + 1];

	(void)close(SMTPD_DOOR_FD);
	s.bounds_files = bounds_files;
	memcpy(conn, session->conn, sizeof conn);
	conn[ID_LEN] = '\0';
	session_run(&s, m->fds[0], m->fds[1], conn);
	_exit(0);
}

static enum result
serve_all(struct channel *door, bool bounds_files, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct zygote z;
	enum result r = zygote_open(&z, door->fd, SESSIONS_MAX, why);
	bool child = false;

	while (r == OK) {
		if ((r = zygote_wait(&z, why)) != OK)
			break;
		r = channel_receive(door, &buffer, &m, why);
		if (r == AGAIN) {
			r = OK;
			continue;
		}
		if (r != OK)
			break;
		if (zygote_fork(&z, &child, why) != OK) {
			log_why("session", EXHAUSTED, why);
			*why = WHY_NONE;
		} else if (child)
			serve(&m, bounds_files);
		wire_close_fds(&m);
	}
	return r;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &smtpd_privileges);
	struct channel door = channel_of(SMTPD_DOOR_FD, &listen_smtpd_protocol, LS_SMTPD, false);
	struct why why = WHY_NONE;
	bool bounds_files = !fd_is_file(STDERR_FILENO); /* a log that is one grows beyond any message */
	enum result r;

	(void)signal(SIGXFSZ, SIG_IGN);
	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = serve_all(&door, bounds_files, &why);
	log_why("ending", r, &why);
	return PROCESS_SPENT;
}
