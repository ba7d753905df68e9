/* Tests of lib/mail/report: what is returned, how much of it, and that no text of another host becomes a field. */
#include "unit.h"

#include "base/crc32c.h"
#include "failing.h"
#include "home.h"
#include "mail/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct report
report_of(const char *content)
{
	struct report r = { .host = BYTES("mx.test"),
		.from = BYTES("MAILER-DAEMON@mx.test"),
		.to = BYTES("you@x.test"),
		.id = BYTES("0123456789"),
		.arrived_s = 951827696,
		.now_s = 1795410729,
		.content_len = strlen(content),
		.reverse_path = BYTES("you@x.test"),
		.trace = BYTES("Received: by mx.test\r\n") };

	r.fd = memory_with(bytes_of_string(content));
	return r;
}

static const struct report_recipient nobody = {
	.address = BYTES("me@y.test"), .status = { 5, 1, 1 }, .text = BYTES("no mailbox here")
};

/* the report, as a string; valid until the next */
static char *
finished(struct report *r, struct report_writer *w)
{
	static char text[4 << 20];
	struct why why = WHY_NONE;
	struct report_size size;
	int fd = memfd_create("report", MFD_CLOEXEC);
	ssize_t n;

	if (report_finish(w, r, fd, &size, &why) != OK)
		fail_msg("%s", why.text);
	n = pread(fd, text, sizeof text - 1, 0);
	assert_int_equal(n, size.octets);
	assert_int_equal(crc32c_add(0, bytes_of(text, (size_t)n)), size.sum);
	text[n] = '\0';
	(void)close(fd);
	(void)close(r->fd);
	report_free(w);
	return text;
}

static char *
simple(struct report *r, const struct report_recipient *who)
{
	struct report_writer w;

	report_begin(&w);
	report_add(&w, r, who);
	return finished(r, &w);
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

static void
a_report_has_its_three_parts(void **state)
{
	struct report r = report_of("Subject: s\r\n\r\nthe body\r\n");
	char *text = simple(&r, &nobody), boundary[100], line[110];

	(void)state;
	assert_int_equal(sscanf(strstr(text, "boundary=\""), "boundary=\"%90[^\"]", boundary), 1);
	(void)snprintf(line, sizeof line, "\r\n--%s", boundary);
	assert_int_equal(count(text, line), 4);
	assert_non_null(strstr(text, "\r\nAuto-Submitted: auto-replied\r\n"));
	assert_non_null(strstr(text, "\r\nSubject: failure notice\r\n"));
	assert_non_null(strstr(text,
	    "\r\nFinal-Recipient: rfc822;me@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Diagnostic-Code: x-postern; no mailbox here\r\n"));
	assert_non_null(strstr(text,
	    "Content-Type: message/rfc822\r\n\r\nReturn-Path: <you@x.test>\r\nReceived: by mx.test\r\n"
	    "Subject: s\r\n\r\nthe body\r\n"));
	assert_null(strstr(text, "Original-Recipient"));
}

static void
texts_of_others_stay_in_their_field(void **state)
{
	struct report r = report_of("\r\n");
	struct report_recipient who = nobody;
	char *text;

	(void)state;
	who.from_peer = true;
	who.text = BYTES("550 no\r\nAction: delivered\r\n\r\n--x\x1b[0m\0\xff");
	who.orcpt = BYTES("rfc822;a+2Bb+0D+0AX: y+4@z");
	r.envid = BYTES("id+20x+0A");
	text = simple(&r, &who);
	assert_non_null(strstr(text, "\r\nDiagnostic-Code: smtp; 550 no  Action: delivered    --x [0m ?\r\n"));
	assert_non_null(strstr(text, "\r\nOriginal-Recipient: rfc822;a+b+0D+0AX: y+4@z\r\n"));
	assert_non_null(strstr(text, "\r\nOriginal-Envelope-Id: id x+0A\r\n"));
	assert_null(strstr(text, "\r\nAction: delivered"));
	assert_int_equal(count(text, "\n"), count(text, "\r\n"));
}

static void
people_are_told_who_said_it_and_how_long_it_is_tried(void **state)
{
	struct report r = report_of("\r\n");
	struct report_recipient who = nobody;
	char *text;

	(void)state;
	who.from_peer = true;
	who.host = BYTES("mx.y.test");
	who.text = BYTES("550 not here");
	text = simple(&r, &who);
	assert_non_null(strstr(text, "\r\n<me@y.test>:\r\nmx.y.test said: 550 not here\r\n\r\n"));
	assert_null(strstr(text, "Will-Retry-Until"));
	who.action = REPORT_DELAYED;
	r.until_s = UINT64_C(15) * 86400;
	text = simple(&r, &who);
	assert_non_null(strstr(
	    text, "\r\nThere is no need to send it again: it is tried until Fri, 16 Jan 1970 00:00:00 +0000\r\n"));
	assert_non_null(strstr(text, "\r\nWill-Retry-Until: Fri, 16 Jan 1970 00:00:00 +0000\r\n"));
}

static void
no_line_is_longer_than_a_line_may_be(void **state)
{
	static uint8_t long_text[5000];
	struct report r = report_of("\r\n");
	struct report_recipient who = nobody;
	char *text;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	who.text = bytes_of(long_text, sizeof long_text);
	for (text = simple(&r, &who); *text != '\0'; text = strstr(text, "\r\n") + 2)
		assert_in_range(strstr(text, "\r\n") - text, 0, 998);
}

static void
what_is_too_large_comes_back_as_its_header(void **state)
{
	struct report r = report_of("Subject: s\r\nX: y\r\n\r\nbody that is long enough\r\n");
	char *text;

	(void)state;
	r.max_octets = 30;
	text = simple(&r, &nobody);
	assert_non_null(strstr(text, "Content-Type: text/rfc822-headers\r\n"));
	assert_non_null(strstr(text, "Subject: s\r\nX: y\r\n"));
	assert_null(strstr(text, "body that"));
}

static void
a_header_without_end_comes_back_within_the_bound(void **state)
{
	static char content[200000];
	struct report r;
	char *text;

	(void)state;
	memset(content, 'h', sizeof content - 1);
	r = report_of(content);
	r.headers_only = true;
	r.max_octets = 1000;
	text = simple(&r, &nobody);
	assert_in_range(strlen(text), 1000, 4000);
	assert_string_equal(text + strlen(text) - 4, "--\r\n");
}

static void
a_header_cut_within_a_line_end_leaves_no_lone_cr(void **state)
{
	static const char content[] = "Subject: s\r\nX: y\r\nY: z\r\n\r\nbody\r\n";

	(void)state;
	for (size_t n = 1; n < sizeof content - 1; n++) {
		struct report r = report_of(content);

		r.max_octets = n;
		for (const char *at = simple(&r, &nobody); (at = strchr(at, '\r')) != NULL; at++)
			assert_int_equal(at[1], '\n');
	}
}

static void
only_the_header_comes_back_when_asked_for(void **state)
{
	struct report r = report_of("Subject: s\r\n\r\nbody\r\n"), empty = report_of("\r\nbody\r\n");

	(void)state;
	r.headers_only = empty.headers_only = true;
	assert_null(strstr(simple(&r, &nobody), "body"));
	assert_null(strstr(simple(&empty, &nobody), "body"));
}

static void
recipients_that_do_not_fit_are_counted(void **state)
{
	static uint8_t long_text[800];
	struct report r = report_of("\r\n");
	struct report_recipient who = nobody;
	struct report_writer w;
	unsigned n = 0;
	char *text, more[50];

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	who.text = bytes_of(long_text, sizeof long_text);
	report_begin(&w);
	for (unsigned i = 0; i < 1000; i++)
		report_add(&w, &r, &who);
	assert_in_range(w.n_omitted, 1, 999);
	n = w.n_omitted;
	text = finished(&r, &w);
	(void)snprintf(more, sizeof more, "and %u more.\r\n", n);
	assert_non_null(strstr(text, more));
	assert_int_equal(count(text, "Final-Recipient: "), 1000 - n);
}

static void
a_report_that_is_utf8_says_so(void **state)
{
	struct report r = report_of("\r\n");
	struct report_recipient who = nobody;
	char *text;

	(void)state;
	r.utf8 = true;
	who.address = BYTES("\xc3\xbc@y.test");
	text = simple(&r, &who);
	assert_non_null(strstr(text, "report-type=global-delivery-status"));
	assert_non_null(strstr(text, "Final-Recipient: utf-8;\xc3\xbc@y.test\r\n"));
	assert_non_null(strstr(text, "Content-Type: message/global\r\n"));
}

static void
without_memory_or_room_there_is_no_half_report(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		struct report r = report_of("Subject: s\r\n\r\nbody\r\n");
		struct report_writer w;
		struct why why = WHY_NONE;
		struct report_size size;
		enum result result;
		int fd = memfd_create("report", MFD_CLOEXEC);
		bool failed;

		fail_allocation(n);
		report_begin(&w);
		report_add(&w, &r, &nobody);
		result = report_finish(&w, &r, fd, &size, &why);
		failed = allocation_failed();
		(void)close(fd);
		(void)close(r.fd);
		/* a recipient that did not fit is counted, and the report is whole all the same */
		assert_true(result == (failed ? EXHAUSTED : OK) || (result == OK && w.n_omitted == 1));
		report_free(&w);
		if (!failed)
			return;
	}
}

static void
a_message_that_can_not_be_read_is_an_error(void **state)
{
	struct report r = report_of("short");
	struct report_writer w;
	struct report_size size;
	int fd = memfd_create("report", MFD_CLOEXEC);

	(void)state;
	r.content_len = 100;
	report_begin(&w);
	report_add(&w, &r, &nobody);
	assert_int_equal(report_finish(&w, &r, fd, &size, NULL), BROKEN);
	report_free(&w);
	(void)close(fd);
	(void)close(r.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_has_its_three_parts),
		cmocka_unit_test(texts_of_others_stay_in_their_field),
		cmocka_unit_test(people_are_told_who_said_it_and_how_long_it_is_tried),
		cmocka_unit_test(no_line_is_longer_than_a_line_may_be),
		cmocka_unit_test(what_is_too_large_comes_back_as_its_header),
		cmocka_unit_test(a_header_cut_within_a_line_end_leaves_no_lone_cr),
		cmocka_unit_test(a_header_without_end_comes_back_within_the_bound),
		cmocka_unit_test(only_the_header_comes_back_when_asked_for),
		cmocka_unit_test(recipients_that_do_not_fit_are_counted),
		cmocka_unit_test(a_report_that_is_utf8_says_so),
		cmocka_unit_test(without_memory_or_room_there_is_no_half_report),
		cmocka_unit_test(a_message_that_can_not_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
