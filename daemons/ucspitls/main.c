/* ucspitls: what `policy` is to smtpd it is to a program under sslserver: it gets TLS for it. A zygote that forks one child a
 * connection.
 * Trusts sslserver for connections and for which certificate each gets.
 * Never reads from a connection, opens nothing, has no key. */
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "ucspitls/privileges.h"
#include "ucspitls/session.h"
#include "wire/channel.h"

#include <signal.h>
#include <unistd.h>

#define SESSIONS_MAX 100000 /* sslserver counts them */

__attribute__((noreturn)) static void
serve(const struct wire_message *m)
{
	(void)close(UCSPITLS_DOOR_FD);
	session_run(m);
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
		if (r == ABSENT)
			return OK; /* nobody is left who could ask */
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
	struct process self = process_begin(argc, argv, &ucspitls_privileges);
	struct channel door = channel_of(UCSPITLS_DOOR_FD, &sslserver_ucspitls_protocol, US_UCSPITLS, false);
	struct why why = WHY_NONE;
	enum result r;

	(void)signal(SIGPIPE, SIG_IGN);
	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = serve_all(&door, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
