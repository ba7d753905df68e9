/* qmail-queue: for programs that speak qmail's own interface: the message on descriptor 0, the envelope on descriptor 1
 * (F sender NUL, T recipient NUL …, NUL), exit codes as qmail-queue(8).
 * The message is read to its end first, as its callers expect; SMTP wants the envelope first: so it waits in a file without
 * a name.
 * Trusts who calls it with no more than their own rights; not setuid.
 * Never says 0 before the message is on disk. */
#include "base/buf.h"
#include "mail/local_mail.h"
#include "mail/submit.h"
#include "sys/about.h"
#include "sys/fd.h"

#include <errno.h>
#include <unistd.h>

enum {
	TOO_LONG = 11,
	REFUSES = 31,
	NO_MEMORY = 51,
	CANT_WRITE = 53,
	CANT_READ = 54,
	NO_CONFIG = 55,
	TEMPORARY = 71,
	UNREACHABLE = 74,
	BAD_ENVELOPE = 91
};

#define ENVELOPE_MAX (16u << 20)
#define ADDRESS_LENGTH_MAX 1003

static uint8_t piece[65536];

static int
read_message(int *fd)
{
	struct why why = WHY_NONE;
	enum result r = local_mail_gather(fd, &why);

	return r == OK ? 0 : r == EXHAUSTED ? CANT_WRITE : CANT_READ;
}

static int
read_envelope(struct buf *b)
{
	for (;;) {
		uint8_t *room = buf_room(b, 65536);
		ssize_t n;

		if (room == NULL)
			return NO_MEMORY;
		n = read(STDOUT_FILENO, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return CANT_READ;
		if (n == 0)
			return 0;
		b->len += (size_t)n;
	}
}

/* takes "Xaddress\0" off the front; false if it is not that */
static bool
take(struct bytes *rest, uint8_t letter, struct bytes *address)
{
	size_t n;

	if (rest->len == 0 || rest->at[0] != letter || (n = bytes_find(*rest, '\0')) == rest->len)
		return false;
	*address = bytes_skip(bytes_first(*rest, n), 1);
	*rest = bytes_skip(*rest, n + 1);
	return true;
}

static int
parse(struct bytes rest, struct bytes *sender, struct buf *recipients)
{
	struct bytes one;

	if (!take(&rest, 'F', sender))
		return BAD_ENVELOPE;
	while (take(&rest, 'T', &one)) {
		if (one.len > ADDRESS_LENGTH_MAX)
			return TOO_LONG;
		buf_add(recipients, one);
		buf_add_octet(recipients, '\0');
	}
	if (rest.len != 1 || rest.at[0] != '\0' || recipients->len == 0)
		return BAD_ENVELOPE;
	return sender->len > ADDRESS_LENGTH_MAX ? TOO_LONG : recipients->failed ? NO_MEMORY : 0;
}

static int
exit_of(enum result r)
{
	switch (r) {
	case OK:
		return 0;
	case REFUSED:
	case MALFORMED:
		return REFUSES;
	case ABSENT:
	case AGAIN:
		return TEMPORARY;
	default:
		return UNREACHABLE;
	}
}

static enum result
send_message(struct submit *s, int fd, struct why *why)
{
	for (;;) {
		ssize_t n = read(fd, piece, sizeof piece);
		enum result r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, BROKEN, "reading the message");
		if (n == 0)
			return submit_end(s, why);
		if ((r = submit_content(s, bytes_of(piece, (size_t)n), why)) != OK)
			return r;
	}
}

static const char usage[] = "usage: qmail-queue 0<message 1<envelope\n";

int
main(int argc, char *argv[])
{
	static struct submit s;
	static struct buf envelope, recipients; /* until the end of the program */
	struct bytes sender = BYTES_NONE;
	struct why why = WHY_NONE;
	char path[108];
	int status, fd;
	enum result r;

	about(argc, argv, "qmail-queue", usage);
	envelope = buf_growing(ENVELOPE_MAX);
	recipients = buf_growing(ENVELOPE_MAX);
	if ((status = read_message(&fd)) != 0 || (status = read_envelope(&envelope)) != 0 ||
	    (status = parse(buf_bytes(&envelope), &sender, &recipients)) != 0)
		return status;
	if (local_mail_socket(path, &why) != OK)
		return NO_CONFIG;
	if (bytes_equal(sender, BYTES("#@[]"))) /* qmail's sender of double bounces */
		sender = BYTES_NONE;
	r = submit_open(&s, path, &why);
	if (r == OK)
		r = submit_envelope(&s, sender, " BODY=8BITMIME", buf_bytes(&recipients), "", &why);
	if (r == OK)
		r = send_message(&s, fd, &why);
	submit_close(&s);
	return exit_of(r);
}
