/* Input and output of a POP3 session.
 * Trusts nothing from the peer: not that a line ends, not that it takes what is sent.
 * Never holds more than its buffers, never waits longer than it was told. */
#include "net/pop3_io.h"

#include "sys/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static bool
is_too_late(const struct pop3_io *io)
{
	return io->ends_at > 0 && clock_ms() > io->ends_at;
}

void
pop3_io_patience(const struct pop3_io *io, uint32_t seconds)
{
	struct timeval t = { (time_t)seconds, 0 };

	(void)setsockopt(io->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	(void)setsockopt(io->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

static void
put_out(struct pop3_io *io, struct bytes what)
{
	while (what.len > 0 && !io->over) {
		ssize_t n = send(io->fd, what.at, what.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || ((size_t)n < what.len && is_too_late(io)))
			io->over = true; /* nobody takes it, or not in time */
		else
			what = bytes_skip(what, (size_t)n);
	}
}

void
pop3_io_flush(struct pop3_io *io)
{
	put_out(io, buf_bytes(&io->out));
	buf_clear(&io->out);
}

void
pop3_io_add(struct pop3_io *io, const char *format, ...)
{
	va_list ap;

	if (io->out.len > io->out.max / 2)
		pop3_io_flush(io);
	va_start(ap, format);
	buf_vformat(&io->out, format, ap);
	va_end(ap);
}

void
pop3_io_add_bytes(struct pop3_io *io, struct bytes what)
{
	if (what.len > io->out.max - io->out.len)
		pop3_io_flush(io);
	if (what.len > io->out.max)
		put_out(io, what);
	else
		buf_add(&io->out, what);
}

struct bytes
pop3_io_rest(const struct pop3_io *io)
{
	return bytes_of(io->in + io->in_at, io->in_len - io->in_at);
}

static void
move_down(struct pop3_io *io)
{
	memmove(io->in, io->in + io->in_at, io->in_len - io->in_at);
	io->in_len -= io->in_at;
	io->in_at = 0;
}

bool
pop3_io_prepend(struct pop3_io *io, struct bytes what)
{
	size_t n = io->in_len - io->in_at;

	if (what.len > sizeof io->in - n)
		return false;
	move_down(io);
	memmove(io->in + what.len, io->in, n);
	if (what.len > 0)
		memcpy(io->in, what.at, what.len);
	io->in_len = what.len + n;
	return true;
}

static bool
end(struct pop3_io *io, bool late)
{
	io->over = true;
	io->late = late;
	return false;
}

static bool
fill(struct pop3_io *io)
{
	ssize_t n;

	pop3_io_flush(io);
	if (io->over)
		return false;
	if (is_too_late(io))
		return end(io, true);
	move_down(io);
	do
		n = recv(io->fd, io->in + io->in_len, sizeof io->in - io->in_len, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return end(io, n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
	io->in_len += (size_t)n;
	return true;
}

/* too long: everything up to the line's end is thrown away, so that no part of it is ever run */
static enum pop3_line
drain(struct pop3_io *io)
{
	for (;;) {
		struct bytes rest = pop3_io_rest(io);
		size_t n = bytes_find(rest, '\n');

		io->in_at += n < rest.len ? n + 1 : n;
		if (n < rest.len)
			return POP3_LINE_TOO_LONG;
		if (!fill(io))
			return POP3_LINE_END;
	}
}

enum pop3_line
pop3_io_line(struct pop3_io *io, size_t max, struct bytes *line)
{
	size_t searched = 0;

	for (;;) {
		struct bytes rest = pop3_io_rest(io);
		size_t n = searched + bytes_find(bytes_skip(rest, searched), '\n');

		if (n < rest.len && n < max) {
			io->in_at += n + 1;
			*line = bytes_first(rest, n > 0 && rest.at[n - 1] == '\r' ? n - 1 : n);
			if (bytes_find(*line, '\r') < line->len || bytes_find(*line, '\0') < line->len)
				return POP3_LINE_BAD;
			return POP3_LINE_OK;
		}
		if (rest.len >= max)
			return drain(io);
		searched = rest.len;
		if (!fill(io))
			return POP3_LINE_END;
	}
}
