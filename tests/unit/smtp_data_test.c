/* Decoding of content: what ends DATA and what never does, at every cut, against a decoder that is too simple to be wrong.
 * Trusts nothing of lib/net.
 * Never looks at more than the decoder's outputs. */
#include "unit.h"

#include "net/smtp_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALL ((size_t)-1)

enum { NONE, LF, CR }; /* what is excused: CR and LF, LF, nothing */

struct outcome {
	size_t used, n;
	bool end;
	enum smtp_data_fault fault;
	uint8_t content[4096];
};

/* decodes `in` in pieces: the first `cut` octets, then pieces of `step` */
static void
decode(struct bytes in, bool chunked, unsigned excuse, size_t cut, size_t step, struct outcome *o)
{
	struct smtp_data d;
	uint8_t room[SMTP_DATA_ROOM(1024)];

	memset(o, 0, sizeof *o);
	smtp_data_begin(&d, chunked, excuse >= LF, excuse >= CR);
	while (o->used < in.len && d.state != SMTP_DATA_END) {
		size_t n, used, len = o->used == 0 && cut > 0 ? cut : step;
		struct bytes piece = bytes_first(bytes_skip(in, o->used), len);

		used = smtp_data_push(&d, piece, room, &n);
		assert_true(used <= piece.len && n <= SMTP_DATA_ROOM(piece.len));
		assert_true(used == piece.len || d.state == SMTP_DATA_END);
		memcpy(o->content + o->n, room, n);
		o->n += n;
		o->used += used;
	}
	o->end = d.state == SMTP_DATA_END;
	if (chunked)
		o->n += smtp_data_finish(&d, o->content + o->n);
	o->fault = d.fault;
}

static const struct {
	const char *in, *out;
	unsigned excuse;
	bool end;
	enum smtp_data_fault fault;
	size_t behind; /* octets of `in` behind the end */
} data_cases[] = {
	{ ".\r\n", "", false, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.\r\n", "a\r\n", false, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.\r\nQUIT\r\n", "a\r\n", false, true, SMTP_DATA_FINE, 6 },
	{ "a\r\n..\r\n.\r\n", "a\r\n.\r\n", false, true, SMTP_DATA_FINE, 0 },
	{ "..a\r\n.b\r\n...\r\n.\r\n", ".a\r\nb\r\n..\r\n", false, true, SMTP_DATA_FINE, 0 },
	{ "a.\r\n.\r\n", "a.\r\n", false, true, SMTP_DATA_FINE, 0 },
	{ "\r\n\r\n.\r\n", "\r\n\r\n", false, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.", "a\r\n", false, false, SMTP_DATA_FINE, 0 },
	{ "a\v.\v\f.\f\x85.\x85\r\n.\r\n", "a\v.\v\f.\f\x85.\x85\r\n", false, true, SMTP_DATA_FINE, 0 },
	/* CVE-2023-51764 and its kin */
	{ "a\n.\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_LF, 0 },
	{ "a\n.\r\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_LF, 0 },
	{ "a\r\n.\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_LF, 0 },
	{ "a\r.\rb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\r.\r\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\r\n.\rb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\r.\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\r\r\n.\r\r\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\r\n.\r\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ ".\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_LF, 0 },
	{ ".\rb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	{ "\n.\nb\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_LF, 0 },
	{ "a\n\n.\r\n", NULL, false, false, SMTP_DATA_BARE_LF, 0 },
	{ "\r\r\r\n.\r\n", NULL, false, true, SMTP_DATA_BARE_CR, 0 },
	/* a network that is excused */
	{ "a\nb\r\n.\r\n", "a\r\nb\r\n", true, true, SMTP_DATA_FINE, 0 },
	{ "a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", true, true, SMTP_DATA_FINE, 0 },
	{ "a\n.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", true, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", true, true, SMTP_DATA_FINE, 0 },
	{ "a\n..b\n.c\n..\n.\n\n.\r\n\r\n.\r\n", "a\r\n.b\r\nc\r\n.\r\n.\r\n\r\n.\r\n\r\n", true, true, SMTP_DATA_FINE,
	    0 },
	{ "a\rb\r\n.\r\n", NULL, true, true, SMTP_DATA_BARE_CR, 0 },
	{ "a\n.\rb\r\n.\r\n", NULL, true, true, SMTP_DATA_BARE_CR, 0 },
	/* a network of devices */
	{ "a\rb\r\n.\r\n", "a\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r\rb\r\n.\r\n", "a\r\n\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r\r\nb\r\r\n.\r\n", "a\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r\r\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r.\rb\r\n.\r\n", "a\r\n.\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.\rb\r\n.\r\n", "a\r\n.\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r\n.\r\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", CR, true, SMTP_DATA_FINE, 0 },
	{ "a\r..b\r.c\n.\n\r\n.\r\nQUIT\r\n", "a\r\n.b\r\nc\r\n.\r\n\r\n", CR, true, SMTP_DATA_FINE, 6 },
	{ "a\r.\r", "a\r\n.", CR, false, SMTP_DATA_FINE, 0 },
};

static void
only_crlf_dot_crlf_ends_data_wherever_it_is_cut(void **state)
{
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < nitems(data_cases); i++) {
		struct bytes in = bytes_of_string(data_cases[i].in), out = bytes_of_string(data_cases[i].out);

		for (size_t cut = 0; cut <= in.len; cut++)
			for (size_t step = 1; step <= in.len; step++) {
				decode(in, false, data_cases[i].excuse, cut, step, &o);
				if (o.end != data_cases[i].end || o.fault != data_cases[i].fault ||
				    o.used != in.len - data_cases[i].behind)
					fail_msg("case %zu, cut at %zu, then by %zu", i, cut, step);
				if (data_cases[i].out != NULL && !bytes_equal(bytes_of(o.content, o.n), out))
					fail_msg("content of case %zu, cut at %zu, then by %zu", i, cut, step);
			}
	}
}

static void
a_nul_anywhere_is_a_fault(void **state)
{
	static const char text[] = "ab\r\n.c\r\n.\r\n";
	struct outcome o;

	(void)state;
	for (size_t at = 0; at < sizeof text - 1; at++) {
		char copy[sizeof text];

		memcpy(copy, text, at);
		copy[at] = '\0';
		memcpy(copy + at + 1, text + at, sizeof text - 1 - at);
		for (size_t step = 1; step <= sizeof text; step++) {
			decode(bytes_of(copy, sizeof text), false, at % 2 == 0, 0, step, &o);
			assert_int_not_equal(o.fault, SMTP_DATA_FINE);
		}
	}
	decode(bytes_of("a\0b\r\n.\r\n", 8), false, false, 0, ALL, &o);
	assert_int_equal(o.fault, SMTP_DATA_NUL);
	assert_true(o.end);
}

static const struct {
	const char *in, *out;
	enum smtp_data_fault fault;
} chunk_cases[] = {
	{ "", "", SMTP_DATA_FINE },
	{ "a\r\n", "a\r\n", SMTP_DATA_FINE },
	{ "a", "a\r\n", SMTP_DATA_FINE }, /* a line that the last chunk leaves open */
	{ ".\r\n..\r\n.\r\n", ".\r\n..\r\n.\r\n", SMTP_DATA_FINE },
	{ ".", ".\r\n", SMTP_DATA_FINE },
	{ "a\r", NULL, SMTP_DATA_BARE_CR },
	{ "a\nb", NULL, SMTP_DATA_BARE_LF },
	{ "\r\r\n", NULL, SMTP_DATA_BARE_CR },
};

static void
chunks_have_no_dots_and_end_where_the_caller_says(void **state)
{
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < nitems(chunk_cases); i++) {
		struct bytes in = bytes_of_string(chunk_cases[i].in);

		for (size_t step = 1; step <= in.len + 1; step++) {
			decode(in, true, false, 0, step, &o);
			assert_int_equal(o.fault, chunk_cases[i].fault);
			assert_int_equal(o.used, in.len);
			if (chunk_cases[i].out != NULL)
				assert_true(bytes_equal(bytes_of(o.content, o.n), bytes_of_string(chunk_cases[i].out)));
		}
	}
}

/* RFC 5321 4.5.2 by the letter: whole lines, looked at one by one. Content that has a fault is left to the other tests. */
static size_t
decode_simply(struct bytes in, uint8_t *out, bool *end)
{
	size_t n = 0;

	*end = false;
	while (in.len > 0 && !*end) {
		size_t lf = bytes_find(in, '\n');
		struct bytes line = bytes_first(in, lf + 1);

		*end = bytes_equal(line, BYTES(".\r\n"));
		if (!*end && line.len > 0 && line.at[0] == '.')
			line = bytes_skip(line, 1);
		for (size_t i = 0; i < line.len && !*end; i++)
			out[n++] = line.at[i];
		in = bytes_skip(in, lf + 1);
	}
	return n;
}

static size_t
random_lines(uint8_t *into, size_t max)
{
	size_t n = 0;

	while (n + 10 < max) {
		unsigned long r = (unsigned long)random();

		for (unsigned i = 0; i < r % 4; i++)
			into[n++] = (uint8_t) "..ab"[(r >> (4 + 2 * i)) % 4];
		memcpy(into + n, "\r\n", 2);
		n += 2;
	}
	return n;
}

static void
ten_thousand_messages_come_out_as_the_simple_decoder_has_them(void **state)
{
	uint8_t in[200], expected[200];
	struct outcome o;
	bool end;

	(void)state;
	srandom(5321);
	for (unsigned i = 0; i < 10000; i++) {
		size_t len = random_lines(in, 20 + (size_t)random() % 180),
		       n = decode_simply(bytes_of(in, len), expected, &end);

		decode(bytes_of(in, len), false, false, (size_t)random() % len, 1 + (size_t)random() % 40, &o);
		assert_int_equal(o.fault, SMTP_DATA_FINE);
		assert_int_equal(o.end, end);
		assert_true(bytes_equal(bytes_of(o.content, o.n), bytes_of(expected, n)));
	}
}

static void
line_ends_without_end_cost_no_more_than_text(void **state)
{
	static uint8_t in[1 << 15], out[SMTP_DATA_ROOM(sizeof in)];
	static const uint8_t fill[] = { '\n', '\r' };
	clock_t begun = clock();
	size_t n;

	(void)state;
	for (size_t k = 0; k < nitems(fill); k++) {
		struct smtp_data d;

		memset(in, fill[k], sizeof in);
		smtp_data_begin(&d, false, true, false);
		for (unsigned i = 0; i < 400; i++)
			assert_int_equal(smtp_data_push(&d, bytes_of(in, sizeof in), out, &n), sizeof in);
	}
	assert_true(clock() - begun < 6 * CLOCKS_PER_SEC); /* far more, if each line looked at all that follows */
}

static const struct {
	const char *content;
	uint32_t received, delivered_to;
	bool over;
} hop_cases[] = {
	{ "", 0, 0, false },
	{ "Received: a\r\nSubject: b\r\n", 1, 0, false },
	{ "received: a\r\nRECEIVED: b\r\nDelivered-To: c\r\n\r\nReceived: d\r\n", 2, 1, true },
	{ "Received: a\r\n\tReceived: b\r\n Delivered-To: c\r\n\r\n", 1, 0, true },
	{ "X-Received: a\r\nReceivedX: b\r\nDelivered-Too: c\r\n\r\n", 0, 0, true },
	{ "\r\nReceived: a\r\n", 0, 0, true },
	{ "Received:\r\nDelivered-To:\r\n\r\n", 1, 1, true },
};

static void
hops_are_counted_in_the_header_section_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(hop_cases); i++)
		for (size_t step = 1; step < 80; step++) {
			struct smtp_hops h = { 0 };

			for (struct bytes rest = bytes_of_string(hop_cases[i].content); rest.len > 0;
			     rest = bytes_skip(rest, step))
				smtp_hops_push(&h, bytes_first(rest, step));
			assert_int_equal(h.received, hop_cases[i].received);
			assert_int_equal(h.delivered_to, hop_cases[i].delivered_to);
			assert_int_equal(h.over, hop_cases[i].over);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_crlf_dot_crlf_ends_data_wherever_it_is_cut),
		cmocka_unit_test(a_nul_anywhere_is_a_fault),
		cmocka_unit_test(chunks_have_no_dots_and_end_where_the_caller_says),
		cmocka_unit_test(ten_thousand_messages_come_out_as_the_simple_decoder_has_them),
		cmocka_unit_test(line_ends_without_end_cost_no_more_than_text),
		cmocka_unit_test(hops_are_counted_in_the_header_section_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
