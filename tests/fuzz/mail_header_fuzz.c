/* Fuzz target: where a header ends, and its completion.
 * A finding is a crash, an end that depends on the pieces in which the text came, a Bcc that goes out, a completed header
 * that ends before its end, or a recipient that was not counted.
 * Input: the first octet chooses options, the rest is a message. */
#include "mail/compose.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct header_end
find_end(struct bytes text, size_t step)
{
	struct header_end h = { 0 };

	for (size_t n = 0; !header_find_end(&h, bytes_first(text, n), n >= text.len); n += step)
		if (n >= text.len)
			abort();
	return h;
}

static void
check(const struct compose *c)
{
	struct header_end h = { 0 };
	struct bytes all = buf_bytes(&c->header), rest = all, line;
	size_t n = 0;

	if (!header_find_end(&h, all, true) || h.header_len != all.len)
		abort();
	while (bytes_split(&rest, '\n', &line))
		if (bytes_starts_nocase(line, BYTES("Bcc:")) || bytes_starts_nocase(line, BYTES("Resent-Bcc:")))
			abort();
	for (size_t i = 0; i < c->recipients.len; i++)
		n += c->recipients.at[i] == '\0';
	if (n != c->n_recipients)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct compose c = { .default_host = BYTES("host.test"),
		.default_domain = BYTES("test"),
		.plus_domain = BYTES("plus.test"),
		.id_host = BYTES("id.test"),
		.from = BYTES("me@host.test"),
		.name = BYTES("Me") };
	struct bytes text;
	struct header_end whole;
	uint8_t *header;
	size_t len = 0;

	if (size == 0)
		return 0;
	text = bytes_of(data + 1, size - 1);
	c.take_recipients = data[0] & 1;
	c.own_from = data[0] & 2;
	c.own_id = data[0] & 4;
	c.take_sender = data[0] & 8;
	c.lists = data[0] & 16 ? BYTES("list@host.test\na@b.c\n") : BYTES_NONE;
	whole = find_end(text, text.len + 1);
	if (size < 2000) {
		struct header_end pieces = find_end(text, 1 + data[0] % 7);

		if (whole.header_len != pieces.header_len || whole.body_at != pieces.body_at)
			abort();
	}
	header = malloc(whole.header_len + 1);
	for (size_t i = 0; header != NULL && i < whole.header_len; i++)
		if (text.at[i] != '\r')
			header[len++] = text.at[i];
	if (header != NULL && compose_header(&c, bytes_of(header, len), NULL) == OK)
		check(&c);
	compose_free(&c);
	free(header);
	return 0;
}
