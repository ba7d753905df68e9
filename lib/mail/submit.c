/* A client of the submission socket.
 * Trusts the server for its answers, which are read with bounds all the same; the content not to end early.
 * Never says that a message is taken before the server has. */
#include "mail/submit.h"

#include "mail/verp.h"

#include "sys/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_LINES_MAX 100
#define GREETING_SECONDS 30 /* a service that starts again and again greets nobody */
#define REPLY_SECONDS 60
#define END_SECONDS 600 /* policy gives a flush 300 */
#define SHOWN_MAX 90    /* octets of an address beside the reply to it */

static enum result
broken_off(struct why *why)
{
	return why_set(why, AGAIN, "the mail system broke the connection off");
}

/* How long to wait for what comes next; nothing waits for ever. */
static void
wait_at_most(struct submit *s, unsigned seconds)
{
	struct timeval limit = { (time_t)seconds, 0 };

	s->seconds = seconds;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static enum result
silent(const struct submit *s, struct why *why)
{
	return why_set(why, AGAIN,
	    "the mail system has not answered for %u seconds: the logs of its services inject and send say why",
	    s->seconds);
}

static enum result
send_out(struct submit *s, struct why *why)
{
	struct bytes what = buf_bytes(&s->out);

	buf_clear(&s->out);
	while (what.len > 0) {
		ssize_t n = send(s->fd, what.at, what.len, MSG_NOSIGNAL); /* our caller wants an exit status */

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? silent(s, why) : broken_off(why);
		what = bytes_skip(what, (size_t)n);
	}
	return OK;
}

static enum result
read_line(struct submit *s, struct bytes *line, struct why *why)
{
	for (;;) {
		struct bytes rest = { s->in + s->in_at, s->in_len - s->in_at };
		size_t n = bytes_find(rest, '\n');
		ssize_t got;

		if (n < rest.len) {
			*line = bytes_first(rest, n > 0 && rest.at[n - 1] == '\r' ? n - 1 : n);
			s->in_at += n + 1;
			return OK;
		}
		memmove(s->in, rest.at, rest.len);
		s->in_at = 0;
		s->in_len = rest.len;
		if (s->in_len == sizeof s->in)
			return why_set(why, MALFORMED, "the mail system sent a line without end");
		got = read(s->fd, s->in + s->in_len, sizeof s->in - s->in_len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 && errno == EAGAIN ? silent(s, why) : broken_off(why);
		s->in_len += (size_t)got;
	}
}

/* The class that is wanted is OK, and leaves no text in why: it would be taken for the reason of a later failure. Any other
 * reply becomes the reason. */
static enum result
expect(struct submit *s, char class, struct why *why)
{
	struct bytes line;
	enum result r;

	if ((r = send_out(s, why)) != OK)
		return r;
	for (int i = 0; i < REPLY_LINES_MAX; i++) {
		if ((r = read_line(s, &line, why)) != OK)
			return r;
		if (line.len < 3 || !ascii_is_digit(line.at[0]))
			return why_set(why, MALFORMED, "the mail system does not speak SMTP");
		if (line.len > 3 && line.at[3] == '-')
			continue;
		if (line.at[0] == (uint8_t) class)
			return OK;
		r = line.at[0] == '5' ? REFUSED : AGAIN;
		return why_set(why, r, "%.*s", (int)line.len, (const char *)line.at);
	}
	return why_set(why, MALFORMED, "the mail system sent a reply without end");
}

static enum result
say(struct submit *s, char class, struct why *why)
{
	buf_add_string(&s->out, "\r\n");
	if (s->out.failed)
		return why_set(why, REFUSED, "an address is too long");
	return expect(s, class, why);
}

enum result
submit_open(struct submit *s, const char *socket_path, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	enum result r;

	*s = (struct submit){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .line_start = true };
	s->out = BUF_OVER(s->out_octets);
	if (s->fd < 0)
		return why_errno(why, AGAIN, "making a socket");
	wait_at_most(s, GREETING_SECONDS);
	if (strlen(socket_path) >= sizeof un.sun_path)
		return why_set(why, REFUSED, "%s is too long for a socket", socket_path);
	memcpy(un.sun_path, socket_path, strlen(socket_path) + 1);
	if (connect(s->fd, (const struct sockaddr *)&un, sizeof un) != 0)
		return why_errno(why, AGAIN, "the mail system does not answer at %s", socket_path);
	if ((r = expect(s, '2', why)) != OK)
		return r;
	wait_at_most(s, REPLY_SECONDS);
	buf_add_string(&s->out, "EHLO localhost");
	return say(s, '2', why);
}

static bool
is_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.at[i] >= 0x80)
			return false;
	return true;
}

enum result
submit_envelope(struct submit *s, struct bytes sender, const char *parameters, struct bytes recipients,
    const char *rcpt_parameters, struct why *why)
{
	bool verp = verp_take_mark(&sender);
	struct bytes one;
	enum result r;

	if (bytes_find(sender, '\n') < sender.len || bytes_find(sender, '\r') < sender.len)
		return why_set(why, REFUSED, "an address has a line end in it");
	buf_add_string(&s->out, "MAIL FROM:<");
	buf_add(&s->out, sender);
	buf_format(&s->out, ">%s%s%s", is_ascii(sender) && is_ascii(recipients) ? "" : " SMTPUTF8", parameters,
	    verp ? " XVERP" : "");
	if ((r = say(s, '2', why)) != OK)
		return r;
	while (recipients.len > 0) {
		one = bytes_first(recipients, bytes_find(recipients, '\0'));
		recipients = bytes_skip(recipients, one.len + 1);
		if (bytes_find(one, '\n') < one.len || bytes_find(one, '\r') < one.len)
			return why_set(why, REFUSED, "an address has a line end in it");
		buf_add_string(&s->out, "RCPT TO:<");
		buf_add(&s->out, one);
		buf_format(&s->out, ">%s", rcpt_parameters);
		if ((r = say(s, '2', why)) != OK) {
			struct why reply = *why;

			if (strncmp(reply.text, "452 4.5.3", 9) == 0) /* there will never be fewer */
				r = REFUSED;
			*why = WHY_NONE;
			return why_set(why, r, "<%.*s>: %.300s", (int)(one.len < SHOWN_MAX ? one.len : SHOWN_MAX),
			    (const char *)one.at, reply.text);
		}
	}
	buf_add_string(&s->out, "DATA");
	return say(s, '3', why);
}

enum result
submit_content(struct submit *s, struct bytes content, struct why *why)
{
	enum result r;

	while (content.len > 0) {
		size_t n;

		if (s->out.len > sizeof s->out_octets / 2 && (r = send_out(s, why)) != OK)
			return r;
		if (s->last == '\r' && content.at[0] == '\n') { /* the LF of a CRLF whose CR has ended the line */
			s->last = '\n';
			content = bytes_skip(content, 1);
			continue;
		}
		if (s->line_start && content.at[0] == '.')
			buf_add_octet(&s->out, '.');
		for (n = 0; n < content.len && n < 8192 && content.at[n] != '\n' && content.at[n] != '\r'; n++)
			;
		buf_add(&s->out, bytes_first(content, n));
		s->line_start = false;
		s->last = n > 0 ? content.at[n - 1] : s->last;
		if (n < content.len && (content.at[n] == '\n' || content.at[n] == '\r')) {
			buf_add_string(&s->out, "\r\n");
			s->last = content.at[n++];
			s->line_start = true;
		}
		content = bytes_skip(content, n);
	}
	return OK;
}

enum result
submit_end(struct submit *s, struct why *why)
{
	struct why ignored = WHY_NONE;
	enum result r;

	wait_at_most(s, END_SECONDS);
	if (!s->line_start)
		buf_add_string(&s->out, "\r\n");
	buf_add_octet(&s->out, '.');
	if ((r = say(s, '2', why)) != OK)
		return r;
	buf_add_string(&s->out, "QUIT\r\n");
	(void)!send_out(s, &ignored); /* it is taken, whatever becomes of QUIT */
	return OK;
}

void
submit_close(struct submit *s)
{
	fd_close(&s->fd);
}
