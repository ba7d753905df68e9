/* Lines in, replies out.
 * Trusts nothing from the peer: not that a line ends, not that it takes what is sent.
 * Never holds more than its buffers, never waits longer than policy allowed, never sends before it must. */
#include "smtpd/session.h"

#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LF_BEHIND_CR_MS 200

static bool
is_too_late(const struct session *s)
{
	return s->may.session_seconds > 0 && clock_ms() > s->ends_at;
}

void
session_tell(struct session *s, unsigned code, const char *text)
{
	bool begun = (s->state & (STATE_MAIL | STATE_RCPT | STATE_BDAT | STATE_BDAT_REFUSED)) != 0;
	struct told what = { .helo = bytes_of(s->helo, s->helo_len),
		.reverse = begun ? bytes_of(s->reverse, s->reverse_len) : BYTES_NONE,
		.said = s->line };

	tell_refusal(&s->tell, &s->policy, code, text, &what);
}

/* The peer has gone, or takes nothing. Where nothing is under way that is an end like any other. */
static void
tell_loss(struct session *s, bool gone)
{
	s->line = BYTES_NONE;
	if (s->content_fd >= 0)
		session_tell(s, 0,
		    gone ? "the connection was lost while the message came in"
			 : "the client took no replies while its message came in");
	else if (s->state & (STATE_MAIL | STATE_RCPT | STATE_BDAT | STATE_BDAT_REFUSED))
		session_tell(s, 0,
		    gone ? "the connection was lost within a transaction"
			 : "the client took no replies within a transaction");
	else if (s->in_login)
		session_tell(s, 0, "the connection was lost in a login");
}

void
session_flush(struct session *s)
{
	struct bytes out = buf_bytes(&s->out);

	while (out.len > 0 && !s->over) {
		ssize_t n = send(s->fd, out.at, out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || ((size_t)n < out.len && is_too_late(s))) {
			s->over = true; /* nobody takes it, or not in time */
			tell_loss(s, n < 0 && errno != EAGAIN);
		} else
			out = bytes_skip(out, (size_t)n);
	}
	buf_clear(&s->out);
}

void
session_add(struct session *s, const char *format, ...)
{
	va_list ap;

	if (s->out.len > SESSION_OUTPUT / 2)
		session_flush(s);
	va_start(ap, format);
	buf_vformat(&s->out, format, ap);
	va_end(ap);
}

void
session_reply(struct session *s, unsigned code, unsigned subject, unsigned detail, const char *text)
{
	session_add(s, "%u %u.%u.%u %s\r\n", code, code / 100, subject, detail, text);
	if (code >= 400)
		session_tell(s, code, text);
	if (code >= 500)
		s->n_errors++;
}

void
session_reply_fault(struct session *s, const struct smtp_fault *fault)
{
	session_reply(s, fault->code, fault->enhanced[1], fault->enhanced[2], fault->text);
}

static bool
time_is_up(struct session *s, const char *text)
{
	session_reply(s, 421, 4, 2, text);
	session_flush(s);
	s->over = true;
	return false;
}

static bool
receive(struct session *s, uint8_t *into, size_t max, size_t *n)
{
	ssize_t got;

	session_flush(s);
	if (s->over)
		return false;
	if (is_too_late(s))
		return time_is_up(s, "this session has lasted too long");
	do
		got = recv(s->fd, into, max, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return time_is_up(s, "nothing came for too long");
	if (got <= 0) {
		s->over = true;
		tell_loss(s, true);
	} else
		*n = (size_t)got;
	return got > 0;
}

bool
session_fill(struct session *s)
{
	size_t n;

	s->line = BYTES_NONE; /* it shows `in` */
	if (s->in_at > 0) {
		memmove(s->in, s->in + s->in_at, s->in_len - s->in_at);
		s->in_len -= s->in_at;
		s->in_at = 0;
	}
	if (s->in_len >= sizeof s->in ||
	    !receive(s, s->in + s->in_len,
		s->in_len < SESSION_INPUT ? SESSION_INPUT - s->in_len : sizeof s->in - s->in_len, &n))
		return false;
	s->in_len += n;
	return true;
}

bool
session_read(struct session *s, size_t max, struct bytes *piece)
{
	size_t n;

	s->line = BYTES_NONE; /* what is refused now is content; and it shows `in` */
	if (s->in_at == s->in_len) {
		s->in_at = s->in_len = 0;
		if (!receive(s, s->in, sizeof s->in, &n))
			return false;
		s->in_len = n;
	}
	*piece = bytes_first(bytes_of(s->in + s->in_at, s->in_len - s->in_at), max);
	s->in_at += piece->len;
	return true;
}

void
session_unread(struct session *s, size_t n)
{
	s->in_at -= n;
}

/* too long: everything up to the line's end is thrown away, so that no part of it is ever run */
static enum line_result
drain_line(struct session *s)
{
	uint8_t last = 0; /* octet before what is in the buffer */

	for (;;) {
		struct bytes rest = { s->in + s->in_at, s->in_len - s->in_at };
		size_t n = bytes_find(rest, '\n');

		if (n < rest.len) {
			s->in_at += n + 1;
			return (n > 0 ? rest.at[n - 1] : last) == '\r' ? LINE_TOO_LONG : LINE_BAD;
		}
		last = rest.at[rest.len - 1];
		s->in_at = s->in_len;
		if (!session_fill(s))
			return LINE_END;
	}
}

/* The first CR or LF from `from` on; rest.len if there is none. */
static size_t
find_line_end(struct bytes rest, size_t from)
{
	struct bytes behind = bytes_skip(rest, from);
	size_t lf = bytes_find(behind, '\n');

	return from + bytes_find(bytes_first(behind, lf), '\r');
}

/* For devices that are excused: CR, LF and CRLF end a line. Behind a CR that came alone a LF is waited for a moment. */
static enum line_result
lenient_line(struct session *s, struct bytes *line)
{
	size_t searched = 0, n;

	for (;;) {
		struct bytes rest = { s->in + s->in_at, s->in_len - s->in_at };

		n = find_line_end(rest, searched);
		if (n + 1 == rest.len && rest.at[n] == '\r' && rest.len < SESSION_LINE_MAX) {
			struct pollfd more = { .fd = s->fd, .events = POLLIN };

			session_flush(s);
			if (poll(&more, 1, LF_BEHIND_CR_MS) > 0 && !session_fill(s))
				return LINE_END;
			rest = (struct bytes){ s->in + s->in_at, s->in_len - s->in_at };
		}
		if (n < rest.len && n < SESSION_LINE_MAX) {
			*line = bytes_first(rest, n);
			s->in_at += n + 1;
			if (rest.at[n] == '\r' && n + 1 < rest.len && rest.at[n + 1] == '\n')
				s->in_at++;
			return bytes_find(*line, '\0') < line->len ? LINE_BAD : LINE_OK;
		}
		if (rest.len >= SESSION_LINE_MAX)
			return drain_line(s);
		searched = rest.len;
		if (!session_fill(s))
			return LINE_END;
	}
}

enum line_result
session_line(struct session *s, struct bytes *line)
{
	size_t searched = 0;

	if (s->may.flags & SP_EXCUSE_LINE_ENDS)
		return lenient_line(s, line);
	for (;;) {
		struct bytes rest = { s->in + s->in_at, s->in_len - s->in_at };
		size_t n = searched + bytes_find(bytes_skip(rest, searched), '\n');

		if (n < rest.len && n < SESSION_LINE_MAX) {
			s->in_at += n + 1;
			*line = bytes_first(rest, n == 0 ? 0 : n - 1);
			if (n == 0 || rest.at[n - 1] != '\r' || bytes_find(*line, '\r') < line->len ||
			    bytes_find(*line, '\0') < line->len)
				return LINE_BAD;
			return LINE_OK;
		}
		if (rest.len >= SESSION_LINE_MAX)
			return drain_line(s);
		searched = rest.len;
		if (!session_fill(s))
			return LINE_END;
	}
}
