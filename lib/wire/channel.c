/* Sending and receiving of messages.
 * Trusts the kernel for packet borders and for who holds the other end; not the other end.
 * Never keeps a descriptor of a message that it refuses, never waits unless told to. */
#include "wire/channel.h"

#include "wire/crowd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct channel
channel_of(int fd, const struct wire_protocol *p, enum wire_side me, bool waits)
{
	return (struct channel){ .fd = fd, .protocol = p, .me = me, .waits = waits };
}

enum result
channel_pair(int fds[2], struct why *why)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return why_errno(why, EXHAUSTED, "making a channel");
	return OK;
}

union control {
	struct cmsghdr head;
	uint8_t octets[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
};

static enum result
send_error(const struct channel *c, const struct wire_row *row, struct why *why)
{
	const char *other = c->protocol->sides[c->me == WIRE_FIRST ? WIRE_SECOND : WIRE_FIRST];

	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || (errno == ETOOMANYREFS && !c->waits))
		return AGAIN;
	if (errno == ETOOMANYREFS)
		return why_set(
		    why, EXHAUSTED, "sending %s to %s: too many descriptors are under way", row->name, other);
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == ECONNREFUSED)
		return why_set(why, ABSENT, "%s is gone", other);
	return why_errno(why, BROKEN, "sending %s to %s", row->name, other);
}

enum result
channel_may_send(const struct channel *c, uint16_t type, struct bytes tail, struct why *why)
{
	const struct wire_protocol *p = c->protocol;

	if (type < p->n_rows && p->rows[type].sender == c->me && tail.len <= p->rows[type].tail_max)
		return OK;
	return why_set(why, BROKEN, "%s: type %u with a tail of %zu is not ours to send", p->name, type, tail.len);
}

static enum result
send_row(struct channel *c, const struct wire_row *row, const struct wire_head *head, const void *body,
    struct bytes tail, const int *fds, struct why *why)
{
	struct iovec iov[3] = { { (void *)(uintptr_t)head, sizeof *head }, { (void *)(uintptr_t)body, row->body_len },
		{ (void *)(uintptr_t)tail.at, tail.len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = nitems(iov) };
	struct crowd crowd = { 0 };
	union control control;

	if (row->n_fds > 0) {
		memset(&control, 0, sizeof control);
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * row->n_fds);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * row->n_fds);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * row->n_fds);
	}
	while (sendmsg(c->fd, &mh, MSG_NOSIGNAL | (c->waits ? 0 : MSG_DONTWAIT)) < 0) {
		c->crowded = errno == ETOOMANYREFS;
		if (errno != EINTR && !(c->crowded && c->waits && crowd_wait(&crowd)))
			return send_error(c, row, why);
	}
	c->crowded = false;
	return OK;
}

enum result
channel_send(struct channel *c, uint16_t type, uint64_t ref, const void *body, struct bytes tail, const int *fds,
    struct why *why)
{
	enum result r = channel_may_send(c, type, tail, why);
	const struct wire_row *row;
	struct wire_head head;

	if (r != OK)
		return r;
	row = &c->protocol->rows[type];
	head = (struct wire_head){ .type = type, .len = (uint16_t)(row->body_len + tail.len), .ref = ref };
	return send_row(c, row, &head, body, tail, fds, why);
}

static void
collect_fds(struct msghdr *mh, struct wire_message *m)
{
	m->n_fds = 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h != NULL; h = CMSG_NXTHDR(mh, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && m->n_fds < WIRE_FDS_MAX; i++)
			memcpy(&m->fds[m->n_fds++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
}

static enum result
check_once(struct channel *c, struct wire_message *m, struct why *why)
{
	uint64_t bit = UINT64_C(1) << (m->type & 63);

	if (c->protocol->rows[m->type].often != ONCE)
		return OK;
	if (c->once & bit)
		return why_set(why, MALFORMED, "%s: a second %s", c->protocol->name, c->protocol->rows[m->type].name);
	c->once |= bit;
	return OK;
}

enum result
channel_receive(struct channel *c, struct wire_buffer *buffer, struct wire_message *m, struct why *why)
{
	enum wire_side sender = c->me == WIRE_FIRST ? WIRE_SECOND : WIRE_FIRST;
	struct iovec iov = { buffer->octets, sizeof buffer->octets };
	union control control;
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(
		    sizeof(int) * WIRE_FDS_MAX) /* the space is rounded up: there one more would fit */
	};
	enum result r;
	bool reset = false;
	ssize_t n;

	m->n_fds = 0;
	/* a sender that closed without reading all is told of first, and once; what it had sent comes after that */
	while ((n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | (c->waits ? 0 : MSG_DONTWAIT))) < 0) {
		if (errno != EINTR && (errno != ECONNRESET || reset))
			break;
		reset |= errno == ECONNRESET;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return AGAIN;
	if (n < 0 && errno != ECONNRESET)
		return why_errno(why, BROKEN, "receiving from %s", c->protocol->sides[sender]);
	if (n >= 0)
		collect_fds(&mh, m);
	if (n <= 0) { /* an empty message can bring descriptors, too */
		wire_close_fds(m);
		return why_set(why, ABSENT, "%s is gone", c->protocol->sides[sender]);
	}
	if (mh.msg_flags & MSG_TRUNC)
		r = why_set(
		    why, MALFORMED, "%s: a message too large from %s", c->protocol->name, c->protocol->sides[sender]);
	else if (mh.msg_flags & MSG_CTRUNC) /* it sent too many, or we have no more of our own */
		r = why_set(why, MALFORMED, "%s: more descriptors from %s than there is room for", c->protocol->name,
		    c->protocol->sides[sender]);
	else if ((r = wire_decode(c->protocol, sender, bytes_of(buffer->octets, (size_t)n), m->n_fds, m, why)) == OK)
		r = check_once(c, m, why);
	if (r != OK)
		wire_close_fds(m);
	return r;
}

bool
channel_is_over(const struct channel *c)
{
	struct pollfd p = { c->fd, POLLIN | POLLRDHUP, 0 };

	return poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
}

void
channel_close(struct channel *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}
