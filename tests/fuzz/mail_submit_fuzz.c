/* Fuzz target: content on its way to the submission socket.
 * A finding is a crash, content that the receiver would not read as the same lines, or an end of data within it.
 * Input: the first octet says in which pieces it comes, the rest is the content. */
#include "mail/submit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_HERE 4000 /* so little that nothing is sent before it is looked at */

/* what the lines are: LF, CRLF and a lone CR end one */
static size_t
lines_of(struct bytes in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] == '\n' && i > 0 && in.at[i - 1] == '\r')
			continue;
		out[n++] = in.at[i] == '\r' ? '\n' : in.at[i];
	}
	return n;
}

/* what a strict receiver makes of it */
static size_t
received(struct bytes in, uint8_t *out)
{
	size_t n = 0;
	bool start = true;

	for (size_t i = 0; i < in.len; i++) {
		if (start && in.at[i] == '.') {
			if (++i == in.len || in.at[i] == '\r')
				abort();
		}
		start = in.at[i] == '\r';
		if (start && (++i == in.len || in.at[i] != '\n'))
			abort();
		out[n++] = in.at[i];
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct submit s;
	static uint8_t lines[SIZE_MAX_HERE], got[4 * SIZE_MAX_HERE];
	struct bytes rest = bytes_of(data, size);
	size_t step;

	if (size < 2 || size > SIZE_MAX_HERE)
		return 0;
	step = data[0] % 16 == 0 ? size : data[0] % 16;
	s.fd = -1;
	s.out = BUF_OVER(s.out_octets);
	s.line_start = true;
	s.last = 0;
	for (rest = bytes_skip(rest, 1); rest.len > 0; rest = bytes_skip(rest, step))
		if (submit_content(&s, bytes_first(rest, step), NULL) != OK)
			abort();
	step = lines_of(bytes_of(data + 1, size - 1), lines);
	if (received(buf_bytes(&s.out), got) != step || memcmp(lines, got, step) != 0)
		abort();
	return 0;
}
