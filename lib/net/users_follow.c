/* Tables of users, one after the other.
 * Trusts warden, which made and sealed them; a table that can't be used is told of, and the one before stays.
 * Never waits for warden, but for the first table, which is there before the process is. */
#include "net/users_follow.h"

#include "sys/log.h"
#include "wire/warden_users.h"

static enum result
take(struct users_follower *f, struct wire_message *m, struct why *why)
{
	enum result r = control_take_users(f->control, m->fds[0], why);

	wire_close_fds(m);
	return r;
}

enum result
users_follow(struct users_follower *f, int fd, struct control *control, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	enum result r;

	f->control = control;
	f->channel = channel_of(fd, &warden_users_protocol, WU_READER, false);
	r = channel_receive(&f->channel, &buffer, &m, why);
	if (r == AGAIN)
		return why_set(why, ABSENT, "warden gave no table of users");
	return r == OK ? take(f, &m, why) : r;
}

static void
take_or_tell(struct users_follower *f, struct wire_message *m)
{
	struct why why = WHY_NONE;
	enum result r = take(f, m, &why);

	if (r != OK)
		log_why("users", r, &why);
}

void
users_follow_now(struct users_follower *f)
{
	static struct wire_buffer buffer;
	struct wire_message m;

	while (f->channel.fd >= 0) {
		enum result r = channel_receive(&f->channel, &buffer, &m, NULL);

		if (r == AGAIN)
			return;
		if (r == OK)
			take_or_tell(f, &m);
		else
			channel_close(&f->channel); /* a warden that has executed its new file: no more tables */
	}
}

static enum result
from_warden(struct port *port, struct wire_message *m, struct why *why)
{
	(void)why;
	take_or_tell(container_of(port, struct users_follower, port), m);
	return OK;
}

static void
warden_ended(struct port *port, enum result r, struct why *why)
{
	(void)port;
	(void)r;
	(void)why; /* this generation goes on with the table that it has */
}

enum result
users_follow_in(struct users_follower *f, struct loop *loop, struct why *why)
{
	static const struct port_events events = { from_warden, warden_ended };

	if (f->control == NULL)
		return OK; /* it follows none */
	return port_open(&f->port, loop, f->channel, &events, 1, why);
}
