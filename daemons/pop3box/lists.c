/* STAT, LIST, UIDL (RFC 1939 5, 7).
 * Trusts the sizes that are kept with the Maildir as a guess that is right unless somebody changed a message.
 * Never measures a message that nobody asks about. */
#include "net/pop3_command.h"
#include "pop3box/session.h"

/* The size of message i; 0 if it can't be read: it is shown all the same, so that it can be deleted. */
static uint64_t
size_of(struct box *b, uint32_t i)
{
	struct maildir_message *m = &b->view.messages[i];
	struct why why = WHY_NONE;

	if (m->octets == MAILDIR_UNMEASURED && maildir_sizes_measure(&b->view, i, -1, &why) != OK)
		return 0;
	return m->octets;
}

static uint32_t
measure_all(struct box *b, uint64_t *octets)
{
	uint32_t n = 0;

	*octets = 0;
	for (uint32_t i = 0; i < b->view.n; i++) {
		uint64_t size = box_shows(b, i) ? size_of(b, i) : 0;

		if (!box_shows(b, i))
			continue; /* it may have turned out just now that it is gone */
		*octets += size;
		n++;
	}
	maildir_sizes_save(&b->view);
	return n;
}

void
box_stat(struct box *b, struct bytes argument)
{
	uint64_t octets;
	uint32_t n;

	(void)argument;
	n = measure_all(b, &octets);
	pop3_io_add(&b->io, "+OK %u %llu\r\n", n, (unsigned long long)octets);
}

static void
add_line(struct box *b, uint32_t i, struct bytes what)
{
	struct buf *out = &b->io.out;

	if (out->len > out->max / 2)
		pop3_io_flush(&b->io);
	buf_add_number(out, i + 1);
	buf_add_octet(out, ' ');
	buf_add(out, what);
	buf_add_string(out, "\r\n");
}

static void
add_size(struct box *b, uint32_t i)
{
	uint8_t room[24];
	struct buf text = BUF_OVER(room);

	buf_add_number(&text, size_of(b, i));
	add_line(b, i, buf_bytes(&text));
}

static void
add_uid(struct box *b, uint32_t i)
{
	uint8_t room[MAILDIR_UID_MAX];

	add_line(b, i, maildir_view_uid(&b->view, i, room));
}

static void
add_all(struct box *b, void (*add)(struct box *b, uint32_t i))
{
	for (uint32_t i = 0; i < b->view.n && !b->io.over; i++)
		if (box_shows(b, i))
			add(b, i);
	pop3_io_add(&b->io, ".\r\n");
}

void
box_list(struct box *b, struct bytes argument)
{
	uint64_t octets;
	uint32_t i;

	if (pop3_is_spent(argument)) {
		pop3_io_add(&b->io, "+OK %u messages\r\n", measure_all(b, &octets));
		add_all(b, add_size);
	} else if (box_take_message(b, &argument, &i)) {
		octets = size_of(b, i);
		if (box_shows(b, i))
			pop3_io_add(&b->io, "+OK %u %llu\r\n", i + 1, (unsigned long long)octets);
		else
			box_refuse(b, "that message is not there any more");
	}
}

void
box_uidl(struct box *b, struct bytes argument)
{
	uint32_t i;

	if (pop3_is_spent(argument)) {
		pop3_io_add(&b->io, "+OK\r\n");
		add_all(b, add_uid);
	} else if (box_take_message(b, &argument, &i)) {
		pop3_io_add(&b->io, "+OK ");
		add_uid(b, i);
	}
}
