/* Tests of lib/net/pop3_command, pop3_text and pop3_io: what clients say, what they get. */
#include "unit.h"

#include "net/pop3_command.h"
#include "net/pop3_io.h"
#include "net/pop3_text.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
assert_text(struct bytes is, const char *should)
{
	if (!bytes_equal(is, bytes_of_string(should)))
		fail_msg("'%.*s' instead of '%s'", (int)is.len, (const char *)is.at, should);
}

/* ---- commands ---- */

static void
verbs_are_known_in_any_case(void **state)
{
	static const struct {
		const char *line;
		enum pop3_verb verb;
		const char *argument;
	} rows[] = {
		{ "USER alice", POP3_USER, "alice" },
		{ "user alice@example.test", POP3_USER, "alice@example.test" },
		{ "PASS  with blanks ", POP3_PASS, " with blanks " },
		{ "PASS", POP3_PASS, "" },
		{ "PASS ", POP3_PASS, "" },
		{ "sTlS", POP3_STLS, "" },
		{ "STLSX", POP3_UNKNOWN, "" },
		{ "RETR 1", POP3_RETR, "1" },
		{ "UTF8 USER", POP3_UTF8, "USER" },
		{ "GET / HTTP/1.1", POP3_OTHER_PROTOCOL, "/ HTTP/1.1" },
		{ "EHLO x", POP3_OTHER_PROTOCOL, "x" },
		{ "Host: x", POP3_OTHER_PROTOCOL, "x" },
		{ "", POP3_UNKNOWN, "" },
		{ " USER a", POP3_UNKNOWN, "USER a" },
		{ "USER\ta", POP3_UNKNOWN, "" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct pop3_command c = pop3_command_parse(bytes_of_string(rows[i].line));

		assert_int_equal(c.verb, rows[i].verb);
		assert_text(c.argument, rows[i].argument);
	}
}

static void
numbers_are_taken_one_by_one(void **state)
{
	struct bytes rest = BYTES(" 12  4294967295 x");
	uint32_t n = 7;

	(void)state;
	assert_true(pop3_take_number(&rest, &n));
	assert_int_equal(n, 12);
	assert_true(pop3_take_number(&rest, &n));
	assert_int_equal(n, UINT32_MAX);
	assert_false(pop3_take_number(&rest, &n));
	assert_int_equal(n, UINT32_MAX);
	assert_text(rest, " x");
	assert_false(pop3_is_spent(rest));
	assert_true(pop3_is_spent(BYTES("  ")));
}

static void
what_is_no_number_is_none(void **state)
{
	static const char *const words[] = { "", " ", "-1", "+1", "1x", "0x1", "4294967296", "1.0" };
	uint32_t n = 7;

	(void)state;
	for (size_t i = 0; i < nitems(words); i++) {
		struct bytes rest = bytes_of_string(words[i]);

		if (pop3_take_number(&rest, &n))
			fail_msg("'%s' was taken for %u", words[i], n);
	}
}

/* ---- text ---- */

static void
convert(const char *in, size_t piece, struct pop3_text t, struct buf *out)
{
	struct bytes rest = bytes_of_string(in);

	buf_clear(out);
	for (; rest.len > 0; rest = bytes_skip(rest, piece))
		pop3_text_push(&t, bytes_first(rest, piece), out);
	pop3_text_finish(&t, out);
	assert_int_equal(buf_result(out), OK);
}

static void
lines_end_with_crlf_and_dots_are_doubled_wherever_the_text_is_cut(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", ".\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ "a\n", "a\r\n.\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ ".\n", "..\r\n.\r\n" },
		{ "..\r\n.x", "...\r\n..x\r\n.\r\n" },
		{ "a.b\n.\n", "a.b\r\n..\r\n.\r\n" },
		{ "a\rb\n", "a\rb\r\n.\r\n" },
		{ "a\r", "a\r\r\n.\r\n" },
		{ "\r\r\n", "\r\r\n.\r\n" },
		{ "\n\n\r\n\n", "\r\n\r\n\r\n\r\n.\r\n" },
	};
	uint8_t room[200];
	struct buf out = BUF_OVER(room);

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].in) + 1; piece++) {
			convert(rows[i].in, piece, POP3_TEXT_WHOLE, &out);
			assert_text(buf_bytes(&out), rows[i].out);
		}
}

static void
top_is_the_header_and_so_many_lines(void **state)
{
	static const struct {
		const char *in;
		uint32_t lines;
		const char *out;
	} rows[] = {
		{ "A: b\n\n1\n2\n3\n", 0, "A: b\r\n\r\n.\r\n" },
		{ "A: b\n\n1\n2\n3\n", 2, "A: b\r\n\r\n1\r\n2\r\n.\r\n" },
		{ "A: b\r\n\r\n1\r\n2\r\n", 1, "A: b\r\n\r\n1\r\n.\r\n" },
		{ "A: b\n\n1\n\n.\n", 9, "A: b\r\n\r\n1\r\n\r\n..\r\n.\r\n" },
		{ "A: b\n", 0, "A: b\r\n.\r\n" },
		{ "\nbody\n", 0, "\r\n.\r\n" },
		{ "", 3, ".\r\n" },
	};
	uint8_t room[200];
	struct buf out = BUF_OVER(room);

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].in) + 1; piece++) {
			convert(rows[i].in, piece, POP3_TEXT_TOP(rows[i].lines), &out);
			assert_text(buf_bytes(&out), rows[i].out);
		}
}

/* what the client gets, without the added dots and the last line */
static uint64_t
octets_got(const char *in)
{
	uint8_t room[500];
	struct buf out = BUF_OVER(room);
	uint64_t n;

	convert(in, 7, POP3_TEXT_WHOLE, &out);
	n = out.len - 3;
	for (size_t i = 0; i + 3 < out.len; i++)
		n -= out.at[i] == '.' && (i == 0 || out.at[i - 1] == '\n');
	return n;
}

static void
the_size_is_what_is_sent(void **state)
{
	static const char *const texts[] = { "", "a", "a\n", "a\r\n", "a\rb", "a\r", ".\n..\n", "\n", "\r\n\n\r\r\n",
		"x\n\r" };

	(void)state;
	for (size_t i = 0; i < nitems(texts); i++)
		for (size_t piece = 1; piece <= strlen(texts[i]) + 1; piece++) {
			struct pop3_size s = { 0 };
			struct bytes rest = bytes_of_string(texts[i]);

			for (; rest.len > 0; rest = bytes_skip(rest, piece))
				pop3_size_push(&s, bytes_first(rest, piece));
			assert_int_equal(pop3_size_finish(&s), octets_got(texts[i]));
		}
}

/* ---- input and output ---- */

struct wire {
	struct pop3_io io;
	int peer;
	uint8_t out[256];
};

static void
open_wire(struct wire *w)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	memset(w, 0, sizeof *w);
	w->io.fd = fds[0];
	w->peer = fds[1];
	w->io.out = BUF_OVER(w->out);
}

static void
close_wire(struct wire *w)
{
	(void)close(w->io.fd);
	(void)close(w->peer);
}

static void
say(struct wire *w, const char *text, size_t len)
{
	assert_int_equal(write(w->peer, text, len), (ssize_t)len);
}

static void
lines_come_without_their_ends(void **state)
{
	static const char text[] = "one\r\ntwo\n\r\n\nfi\rve\r\nsi\0x\r\nseven";
	struct wire w;
	struct bytes line;

	(void)state;
	open_wire(&w);
	say(&w, text, sizeof text - 1);
	assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "one");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "two");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_BAD);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_BAD);
	assert_text(pop3_io_rest(&w.io), "seven");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_END);
	assert_true(w.io.over);
	assert_false(w.io.late);
	close_wire(&w);
}

static void
no_part_of_a_line_that_is_too_long_is_a_command(void **state)
{
	struct wire w;
	struct bytes line;
	char text[6000];

	(void)state;
	open_wire(&w);
	memset(text, 'a', sizeof text);
	memcpy(text + 5000, "\r\nQUIT\r\n", 8);
	memcpy(text + 300, " QUIT ", 6);
	say(&w, text, 5008);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_TOO_LONG);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "QUIT");
	memset(text, 'b', sizeof text);
	text[POP3_LINE_MAX - 2] = '\r';
	text[POP3_LINE_MAX - 1] = '\n';
	say(&w, text, POP3_LINE_MAX);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_int_equal(line.len, POP3_LINE_MAX - 2);
	text[POP3_LINE_MAX - 2] = 'b';
	text[POP3_LINE_MAX] = '\n';
	text[POP3_LINE_MAX - 1] = '\r';
	say(&w, text, POP3_LINE_MAX + 1);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_TOO_LONG);
	close_wire(&w);
}

static void
what_another_has_read_comes_first(void **state)
{
	struct wire w;
	struct bytes line;
	uint8_t much[POP3_INPUT] = { 0 };

	(void)state;
	open_wire(&w);
	assert_true(pop3_io_prepend(&w.io, BYTES("STAT\r\nLI")));
	say(&w, "ST\r\n", 4);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "STAT");
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_OK);
	assert_text(line, "LIST");
	assert_true(pop3_io_prepend(&w.io, BYTES("b\n")));
	assert_true(pop3_io_prepend(&w.io, BYTES("a\n")));
	assert_text(pop3_io_rest(&w.io), "a\nb\n");
	assert_false(pop3_io_prepend(&w.io, bytes_of(much, sizeof much)));
	close_wire(&w);
}

static void
who_is_silent_is_late(void **state)
{
	struct wire w;
	struct bytes line;

	(void)state;
	open_wire(&w);
	say(&w, "QU", 2);
	w.io.ends_at = clock_ms() - 1;
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_END);
	assert_true(w.io.late);
	close_wire(&w);
	open_wire(&w);
	pop3_io_patience(&w.io, 1);
	assert_int_equal(pop3_io_line(&w.io, POP3_LINE_MAX, &line), POP3_LINE_END);
	assert_true(w.io.late);
	close_wire(&w);
}

static void
output_of_any_length_goes_out_in_order(void **state)
{
	struct wire w;
	uint8_t much[1000], got[2000];
	size_t n;

	(void)state;
	open_wire(&w);
	memset(much, 'm', sizeof much);
	pop3_io_add(&w.io, "+OK %d\r\n", 1);
	pop3_io_add_bytes(&w.io, bytes_of(much, sizeof much));
	for (int i = 0; i < 40; i++)
		pop3_io_add(&w.io, "%d\r\n", i % 10);
	pop3_io_flush(&w.io);
	n = (size_t)read(w.peer, got, sizeof got);
	assert_int_equal(n, 7 + sizeof much + 120);
	assert_memory_equal(got, "+OK 1\r\nmm", 9);
	assert_memory_equal(got + n - 6, "8\r\n9\r\n", 6);
	(void)close(w.peer);
	pop3_io_add(&w.io, "x");
	pop3_io_flush(&w.io);
	assert_true(w.io.over);
	(void)close(w.io.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_are_known_in_any_case),
		cmocka_unit_test(numbers_are_taken_one_by_one),
		cmocka_unit_test(what_is_no_number_is_none),
		cmocka_unit_test(lines_end_with_crlf_and_dots_are_doubled_wherever_the_text_is_cut),
		cmocka_unit_test(top_is_the_header_and_so_many_lines),
		cmocka_unit_test(the_size_is_what_is_sent),
		cmocka_unit_test(lines_come_without_their_ends),
		cmocka_unit_test(no_part_of_a_line_that_is_too_long_is_a_command),
		cmocka_unit_test(what_another_has_read_comes_first),
		cmocka_unit_test(who_is_silent_is_late),
		cmocka_unit_test(output_of_any_length_goes_out_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
