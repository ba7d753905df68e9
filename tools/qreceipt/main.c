/* qreceipt: answers a message that asks for a receipt (Notice-Requested-Upon-Delivery-To). For lines of .qmail files.
 * Trusts the delivery for its variables; header and sender are a stranger's.
 * Never answers a message that has no sender, so that no two programs answer each other. */
#include "base/buf.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/forward.h"
#include "mail/header.h"
#include "mail/local_mail.h"
#include "sys/about.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MAX (1u << 20)
#define ECHO_MAX 4000 /* octets of the header that go into the receipt */

static const char usage[] = "usage: qreceipt ADDRESS <message\n";

struct search {
	struct bytes wanted;
	bool found;
};

static enum result
compare(void *ctx, const struct address *a, struct why *why)
{
	struct search *s = ctx;

	(void)why;
	s->found = s->found || bytes_equal_nocase(a->text, s->wanted);
	return OK;
}

/* The header, as far as it fits. */
static struct bytes
read_header(struct buf *b)
{
	struct header_end end = { 0 };

	for (;;) {
		uint8_t *room = buf_room(b, 4096);
		ssize_t n = room == NULL ? 0 : read(STDIN_FILENO, room, 4096);

		if (n > 0)
			b->len += (size_t)n;
		if (header_find_end(&end, buf_bytes(b), n <= 0))
			return bytes_first(buf_bytes(b), end.header_len);
		if (n <= 0)
			return BYTES_NONE;
	}
}

/* Cuts the first field, with its folded lines, off *rest. */
static struct bytes
take_field(struct bytes *rest)
{
	size_t n = 0;

	do {
		n += bytes_find(bytes_skip(*rest, n), '\n');
		n += n < rest->len;
	} while (n < rest->len && (rest->at[n] == ' ' || rest->at[n] == '\t'));
	struct bytes field = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return field;
}

static bool
asks_for_receipt(struct bytes header, struct bytes address)
{
	static const struct bytes name = BYTES("Notice-Requested-Upon-Delivery-To:");
	struct search s = { .wanted = address };

	while (header.len > 0) {
		struct bytes field = take_field(&header);
		struct why why = WHY_NONE;

		if (bytes_starts_nocase(field, name) &&
		    address_list(bytes_skip(field, name.len), compare, &s, &why) != OK)
			(void)fprintf(stderr, "qreceipt: Notice-Requested-Upon-Delivery-To: %s\n", why.text);
	}
	return s.found;
}

static void
make_receipt(struct buf *b, const char *address, const char *sender, struct bytes header)
{
	buf_add_string(b, "Date: ");
	date_put(b, clock_wall_s());
	buf_format(b,
	    "\nFrom: %s\nTo: %s\nSubject: success notice\nAuto-Submitted: auto-replied\n\n"
	    "You asked for a receipt: your message has come to %s.\nIts header was:\n\n",
	    address, sender, address);
	buf_add(b, bytes_first(header, ECHO_MAX));
}

int
main(int argc, char *argv[])
{
	struct buf header = buf_growing(HEADER_MAX), receipt = buf_growing(HEADER_MAX);
	struct why why = WHY_NONE;
	const char *sender;
	struct bytes head;
	enum result r;

	about(argc, argv, "qreceipt", usage);
	if (argc != 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	r = forward_variable("SENDER", &sender, &why);
	if (r == OK && sender[0] != '\0' && strcmp(sender, "#@[]") != 0) {
		head = read_header(&header);
		if (asks_for_receipt(head, bytes_of_string(argv[1]))) {
			make_receipt(&receipt, argv[1], sender, head);
			r = receipt.failed ? EXHAUSTED : forward_notice(buf_bytes(&receipt), sender, &why);
		}
	}
	buf_free(&header);
	buf_free(&receipt);
	return local_mail_exit("qreceipt", r, &why);
}
