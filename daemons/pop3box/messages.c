/* RETR and TOP (RFC 1939 5, 7).
 * Trusts nothing about a message's content; its file may have been removed or put in another's place.
 * Never ends a message that could not be read to its end as if it were whole: the connection ends instead. */
#include "net/pop3_command.h"
#include "pop3box/session.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <unistd.h>

static void
send_text(struct box *b, int fd, struct pop3_text t)
{
	struct buf *out = &b->io.out;
	uint64_t at = 0;
	size_t n = sizeof b->piece;

	while (n == sizeof b->piece && !t.ended && !b->io.over) {
		if (fd_pread_all(fd, b->piece, sizeof b->piece, (off_t)at, &n) != OK) {
			log_simple(SEVERITY_ERROR, "pop3-read", "conn", b->may.conn);
			pop3_io_flush(&b->io);
			b->io.over = true;
			return;
		}
		at += n;
		if (out->max - out->len < POP3_TEXT_ROOM(n))
			pop3_io_flush(&b->io);
		pop3_text_push(&t, bytes_of(b->piece, n), out);
	}
	b->octets += at;
	if (out->max - out->len < 8)
		pop3_io_flush(&b->io);
	pop3_text_finish(&t, out);
}

static void
refuse(struct box *b, enum result r)
{
	box_refuse(b,
	    r == ABSENT        ? "that message is not there any more"
		: r == REFUSED ? "[SYS/PERM] that message can't be read"
			       : "[SYS/TEMP] that message can't be read now");
}

static bool
open_message(struct box *b, uint32_t i, int *fd)
{
	struct why why = WHY_NONE;
	enum result r = maildir_view_read(&b->view, i, fd, &why);

	if (r == OK)
		return true;
	if (r != ABSENT)
		log_why("pop3-message", r, &why);
	refuse(b, r);
	return false;
}

void
box_retr(struct box *b, struct bytes argument)
{
	struct why why = WHY_NONE;
	enum result r;
	uint32_t i;
	int fd = -1;

	if (!box_take_message(b, &argument, &i) || !open_message(b, i, &fd))
		return;
	r = maildir_sizes_measure(&b->view, i, fd, &why);
	if (r == OK) {
		pop3_io_add(&b->io, "+OK %llu octets\r\n", (unsigned long long)b->view.messages[i].octets);
		send_text(b, fd, POP3_TEXT_WHOLE);
		b->n_retrieved++;
		b->last = i + 1 > b->last ? i + 1 : b->last;
	} else
		refuse(b, r);
	(void)close(fd);
}

void
box_top(struct box *b, struct bytes argument)
{
	uint32_t i, lines;
	int fd = -1;

	if (!box_take_message(b, &argument, &i))
		return;
	if (!pop3_take_number(&argument, &lines)) {
		box_refuse(b, "say how many lines of the message");
		return;
	}
	if (!open_message(b, i, &fd))
		return;
	pop3_io_add(&b->io, "+OK\r\n");
	send_text(b, fd, POP3_TEXT_TOP(lines));
	(void)close(fd);
}
