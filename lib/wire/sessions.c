/* The loop of a zygote.
 * Trusts who holds the other end of the door to begin sessions; what it sends is decoded like all else.
 * Never keeps a session's descriptors in the zygote, never leaves the door open in a session. */
#include "wire/sessions.h"

#include "sys/log.h"

#include <unistd.h>

static void
begin_session(struct zygote *z, struct channel *door, struct wire_message *m, session_begin *begin, void *ctx)
{
	struct why why = WHY_NONE;
	bool child = false;
	enum result r = zygote_fork(z, &child, &why);

	if (r != OK)
		log_why("session", r, &why);
	else if (child) {
		channel_close(door);
		begin(m, ctx);
		_exit(0);
	}
	wire_close_fds(m);
}

enum result
sessions_serve(struct channel *door, unsigned max, session_begin *begin, void *ctx, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct zygote z;
	enum result r;

	if ((r = zygote_open(&z, door->fd, max, why)) != OK)
		return r;
	for (;;) {
		if ((r = zygote_wait(&z, why)) != OK)
			return r;
		r = channel_receive(door, &buffer, &m, why);
		if (r == OK)
			begin_session(&z, door, &m, begin, ctx);
		else if (r != AGAIN)
			return r == ABSENT ? OK : r;
	}
}
