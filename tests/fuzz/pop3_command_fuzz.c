/* Fuzz target: what a POP3 client says, and a message on its way to it.
 * A finding is a crash, a view that shows anything but the line, a text whose form is not that of RFC 1939, or another size
 * than was sent.
 * Input: first octet how the rest is cut into pieces; the rest is a line, and a message. */
#include "net/pop3_command.h"
#include "net/pop3_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at_line(struct bytes line)
{
	struct pop3_command c = pop3_command_parse(line);
	struct bytes rest = c.argument, word;
	uint32_t n;

	if (c.verb >= POP3_N_VERBS || c.argument.len > line.len)
		abort();
	while (pop3_take_number(&rest, &n) || pop3_take_word(&rest, &word))
		if (rest.len > 0 && (rest.at < line.at || rest.at + rest.len > line.at + line.len))
			abort();
	if (!pop3_is_spent(rest))
		abort();
}

/* each line ends with CRLF and only the last is one dot */
static uint64_t
look_at_text(struct bytes text)
{
	uint64_t octets = 0;

	while (text.len > 3) {
		size_t n = bytes_find(text, '\n');

		if (n == text.len || n == 0 || text.at[n - 1] != '\r' || (n == 2 && text.at[0] == '.'))
			abort();
		octets += n + 1 - (text.at[0] == '.');
		text = bytes_skip(text, n + 1);
	}
	if (!bytes_equal(text, BYTES(".\r\n")))
		abort();
	return octets;
}

static uint64_t
convert(struct bytes message, size_t piece, struct pop3_text t)
{
	struct buf out = buf_growing(4 * message.len + 16);
	uint64_t octets;

	for (; message.len > 0; message = bytes_skip(message, piece))
		pop3_text_push(&t, bytes_first(message, piece), &out);
	pop3_text_finish(&t, &out);
	if (buf_result(&out) != OK)
		abort();
	octets = look_at_text(buf_bytes(&out));
	buf_free(&out);
	return octets;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = { data, size };
	struct pop3_size s = { 0 };
	size_t piece;
	uint64_t whole;

	if (size == 0)
		return 0;
	piece = 1 + data[0] % 64;
	rest = bytes_skip(rest, 1);
	look_at_line(rest);
	whole = convert(rest, piece, POP3_TEXT_WHOLE);
	if (convert(rest, piece, POP3_TEXT_TOP(piece)) > whole)
		abort();
	for (; rest.len > 0; rest = bytes_skip(rest, piece))
		pop3_size_push(&s, bytes_first(rest, piece));
	if (pop3_size_finish(&s) != whole)
		abort();
	return 0;
}
