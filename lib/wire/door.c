/* Opening conversations across services.
 * Trusts that only root could connect the socket (its file is root's); not what comes through it.
 * Never waits for the other side, never keeps a descriptor that is not a channel's. */
#include "wire/door.h"

#include "wire/crowd.h"

#include <sys/socket.h>
#include <unistd.h>

enum result
door_open(int door_fd, const struct wire_protocol *p, bool waits, struct channel *c, struct why *why)
{
	struct channel door = channel_of(door_fd, &door_protocol, DOOR_CLIENT, false);
	struct crowd crowd = { 0 };
	int fds[2];
	enum result r = channel_pair(fds, why);

	if (r != OK)
		return r;
	do
		r = channel_send(&door, DOOR_OPEN, 0, NULL, BYTES_NONE, &fds[1], why);
	while (r == AGAIN && waits && door.crowded && crowd_wait(&crowd));
	(void)close(fds[1]);
	if (r != OK) {
		(void)close(fds[0]);
		return r;
	}
	*c = channel_of(fds[0], p, WIRE_FIRST, waits);
	return OK;
}

static bool
is_channel(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_UNIX)
		return false;
	len = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

enum result
door_take(int door_fd, const struct wire_protocol *p, struct channel *c, struct why *why)
{
	struct channel door = channel_of(door_fd, &door_protocol, DOOR_OWNER, false);
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	enum result r = channel_receive(&door, &buffer, &m, why);

	if (r == ABSENT) /* an empty datagram */
		return why_set(why, MALFORMED, "an empty message at the door of %s", p->name);
	if (r != OK)
		return r;
	if (!is_channel(m.fds[0])) {
		wire_close_fds(&m);
		return why_set(why, MALFORMED, "what came through the door of %s is no channel", p->name);
	}
	*c = channel_of(m.fds[0], p, WIRE_SECOND, false);
	return OK;
}
