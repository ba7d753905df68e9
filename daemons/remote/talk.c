/* Octets to and from the peer.
 * Trusts nothing from it: not that a line ends, not that it reads what is sent, not that it comes to an end.
 * Never waits longer than its caller allows in all, never keeps more than its buffers. */
#include "remote/talk.h"

#include "base/bytes.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

void
talk_begin(struct talk *t, int fd)
{
	t->fd = fd;
	t->in_at = t->in_len = 0;
	t->ahead = false;
	t->out = BUF_OVER(t->out_room);
}

void
talk_end(struct talk *t)
{
	fd_close(&t->fd);
}

static enum result
wait_for(struct talk *t, short events, uint64_t until, const char *what, struct why *why)
{
	for (;;) {
		struct pollfd p = { t->fd, events, 0 };
		uint64_t now = clock_ms();
		int n;

		if (t->ends_at > 0 && now >= t->ends_at)
			return why_set(why, AGAIN, "the peer has taken too long in all, while %s", what);
		if (now >= until)
			return why_set(why, AGAIN, "timed out while %s", what);
		if (t->ends_at > 0 && t->ends_at < until)
			until = t->ends_at;
		n = poll(&p, 1, until - now < 60000 ? (int)(until - now) : 60000);
		if (n > 0)
			return OK;
		if (n < 0 && errno != EINTR)
			return why_errno(why, BROKEN, "waiting for the peer");
	}
}

static enum result
failed(const char *what, struct why *why)
{
	if (errno == EPIPE || errno == ECONNRESET)
		return why_set(why, ABSENT, "the connection was lost while %s", what);
	return why_errno(why, BROKEN, "the connection failed while %s", what);
}

enum result
talk_flush(struct talk *t, uint64_t ms, struct why *why)
{
	struct bytes out = buf_bytes(&t->out);
	uint64_t until = clock_ms() + ms;
	enum result r = t->out.failed ? why_set(why, BROKEN, "more commands than there is room for") : OK;

	while (r == OK && out.len > 0) {
		ssize_t n = send(t->fd, out.at, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			out = bytes_skip(out, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			r = wait_for(t, POLLOUT, until, "sending", why);
		else if (errno != EINTR)
			r = failed("sending", why);
	}
	buf_clear(&t->out);
	return r;
}

static enum result
fill(struct talk *t, uint64_t until, struct why *why)
{
	if (t->in_at > 0) {
		memmove(t->in, t->in + t->in_at, t->in_len - t->in_at);
		t->in_len -= t->in_at;
		t->in_at = 0;
	}
	for (;;) {
		ssize_t n = recv(t->fd, t->in + t->in_len, sizeof t->in - t->in_len, MSG_DONTWAIT);
		enum result r;

		if (n > 0) {
			t->in_len += (size_t)n;
			return OK;
		}
		if (n == 0)
			return why_set(why, ABSENT, "the peer closed the connection");
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return failed("waiting for a reply", why);
		if ((r = wait_for(t, POLLIN, until, "waiting for a reply", why)) != OK)
			return r;
	}
}

/* A line without its end, which may be a lone LF, or the end of what a peer says before it closes. */
static enum result
read_line(struct talk *t, uint64_t until, struct bytes *line, struct why *why)
{
	for (;;) {
		struct bytes rest = { t->in + t->in_at, t->in_len - t->in_at };
		size_t n = bytes_find(rest, '\n');
		enum result r;

		if (n < rest.len) {
			t->in_at += n + 1;
			*line = bytes_first(rest, n > 0 && rest.at[n - 1] == '\r' ? n - 1 : n);
			return OK;
		}
		if (rest.len > SMTP_REPLY_LINE_MAX)
			return why_set(why, MALFORMED, "the peer sent a line of more than %d octets as its reply",
			    SMTP_REPLY_LINE_MAX);
		r = fill(t, until, why);
		if (r == ABSENT && t->in_len > 0) {
			*line = bytes_of(t->in, t->in_len);
			t->in_at = t->in_len;
			return OK;
		}
		if (r != OK)
			return r;
	}
}

/* There is no reply: *why quotes what was said instead. */
static enum result
no_reply(const struct smtp_reply *reply, enum result r, struct why *why)
{
	struct why before = *why;
	char shown[81];
	size_t n = 0;

	if (r == MALFORMED && before.text[0] == '\0')
		(void)why_set(&before, r, "the peer sent a reply of more than %d lines", SMTP_REPLY_LINES_MAX);
	for (; n < sizeof shown - 1 && reply->text[n] != '\0'; n++)
		shown[n] = reply->text[n];
	shown[n] = '\0';
	*why = WHY_NONE;
	return n == 0 ? why_set(why, r, "%s", before.text)
		      : why_set(why, r, "%.300s, after it said: %s", before.text, shown);
}

enum result
talk_reply(struct talk *t, uint64_t ms, struct smtp_reply *reply, struct smtp_offer *offer, struct why *why)
{
	uint64_t until = clock_ms() + ms;
	struct bytes line, text;
	enum result r;

	*reply = SMTP_REPLY_NONE;
	if (t->out.len > 0 && (r = talk_flush(t, ms, why)) != OK)
		return r;
	do {
		if ((r = read_line(t, until, &line, why)) != OK)
			return no_reply(reply, r, why);
		if ((r = smtp_reply_line(reply, line, &text)) == MALFORMED)
			return no_reply(reply, r, why);
		if (t->ahead && r == AGAIN && reply->n_coded == 0) {
			(void)why_set(why, MALFORMED, "the peer sent a line that is no reply");
			return no_reply(reply, MALFORMED, why);
		}
		if (offer != NULL && reply->n_coded > 1)
			smtp_offer_line(offer, text);
	} while (r == AGAIN);
	return OK;
}

bool
talk_is_disturbed(struct talk *t)
{
	struct pollfd p = { t->fd, POLLIN, 0 };

	return t->in_len > t->in_at || poll(&p, 1, 0) != 0;
}
