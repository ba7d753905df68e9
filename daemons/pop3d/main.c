/* pop3d: the POP3 front end, up to the login. A zygote that forks one child a connection.
 * Trusts listen for connections and policy for decisions.
 * Never opens a file or a connection, never sees a mailbox, keeps nothing from one session to the next. */
#include "pop3d/privileges.h"
#include "pop3d/session.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "wire/listen_smtpd.h"

#include <string.h>
#include <unistd.h>

#define SESSIONS_MAX 100000 /* listen counts them; this only bounds what a listen gone mad could start */

__attribute__((noreturn)) static void
serve(const struct wire_message *m)
{
	static struct session s;
	const struct ls_session *session = m->body;
	char conn[ID_LEN + 1];

	(void)close(POP3D_DOOR_FD);
	memcpy(conn, session->conn, sizeof conn);
	conn[ID_LEN] = '\0';
	session_run(&s, m->fds[0], m->fds[1], conn);
	_exit(0);
}

static enum result
serve_all(struct channel *door, struct why *why)
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
			serve(&m);
		wire_close_fds(&m);
	}
	return r;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &pop3d_privileges);
	struct channel door = channel_of(POP3D_DOOR_FD, &listen_smtpd_protocol, LS_SMTPD, false);
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = serve_all(&door, &why);
	log_why("ending", r, &why);
	return PROCESS_SPENT;
}
