/* Fuzz target: what a server answers, line by line, and what its MX records say.
 * A finding is a crash, a text with a control octet or beyond its room, or hosts out of order.
 * Input: lines with LF; behind a zero octet, MX records as fields. */
#include "base/base64.h"
#include "net/mx.h"
#include "net/smtp_reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
draw(void)
{
	return 4;
}

static void
replies(struct bytes rest)
{
	struct smtp_reply r = SMTP_REPLY_NONE;
	struct smtp_offer o = { 0 };
	struct bytes line, text;

	while (rest.at != NULL && bytes_split(&rest, '\n', &line)) {
		enum result result = smtp_reply_line(&r, line, &text);

		if (result != MALFORMED)
			smtp_offer_line(&o, text);
		if (strlen(r.text) != r.text_len || r.text_len > SMTP_REPLY_TEXT_MAX)
			abort();
		for (size_t i = 0; i < r.text_len; i++)
			if ((uint8_t)r.text[i] < ' ')
				abort();
		if (result != AGAIN)
			r = SMTP_REPLY_NONE;
	}
}

static void
challenge(struct bytes text)
{
	uint8_t room[1024], again_room[2048];
	struct buf decoded = BUF_OVER(room), again = BUF_OVER(again_room);

	if (base64_decode(text, &decoded) != OK || decoded.failed)
		return;
	base64_encode(buf_bytes(&decoded), &again);
	if (!bytes_equal(text, buf_bytes(&again)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mx_list list;
	struct bytes all = { data, size }, lines = bytes_first(all, bytes_find(all, '\0'));

	replies(lines);
	challenge(lines);
	mx_order(&list, bytes_skip(all, lines.len + 1), BYTES("\1\0a"), draw);
	for (unsigned i = 1; i < list.n; i++)
		if (list.hosts[i - 1].preference > list.hosts[i].preference)
			abort();
	return 0;
}
