/* remote: the SMTP client. A zygote that forks one child a connection to another host.
 * Trusts send for where to and under which policy, resolve for names, tls for what it verified.
 * Never opens a file, never has a key or a password. */
#include "remote/privileges.h"
#include "remote/remote.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "wire/send_remote_door.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SESSIONS_MAX 10000 /* send counts them; this only bounds what a send gone mad could start */

__attribute__((noreturn)) static void
serve(const struct wire_message *m)
{
	const struct rd_session *session = m->body;
	char conn[ID_LEN + 1];

	(void)close(REMOTE_DOOR_FD);
	memcpy(conn, session->conn, sizeof conn);
	conn[ID_LEN] = '\0';
	session_run(m->fds[0], conn);
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
	struct process self = process_begin(argc, argv, &remote_privileges);
	struct channel door = channel_of(REMOTE_DOOR_FD, &send_remote_door_protocol, RD_REMOTE, false);
	struct why why = WHY_NONE;
	enum result r;

	(void)signal(SIGPIPE, SIG_IGN);
	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = serve_all(&door, &why);
	log_why("ending", r, &why);
	return PROCESS_SPENT;
}
