/* Tests of lib/mail/submit: against a server that is the test. It says what was prepared, whatever the client says, and
 * keeps what that was. */
#include "unit.h"

#include "mail/submit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char place[100];
static int listening = -1;

static int
open_place(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	(void)snprintf(un.sun_path, sizeof un.sun_path, "/tmp/submit-test.%d", (int)getpid());
	memcpy(place, un.sun_path, sizeof place - 1);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listening, (struct sockaddr *)&un, sizeof un) != 0 || listen(listening, 5) != 0;
}

static int
close_place(void **state)
{
	(void)state;
	(void)close(listening);
	return unlink(place);
}

static const char leaves[] = "closes without reading";

/* One connection: says everything at once, then reads to the end of the conversation and exits with 0 if what the client
 * said was `heard` (null: anything). */
static pid_t
serve(const char *replies, const char *heard)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	fd = accept(listening, NULL, NULL);
	if (write(fd, replies, strlen(replies)) < 0)
		_exit(2);
	if (heard == leaves)
		_exit(0);
	(void)shutdown(fd, SHUT_WR);
	while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (heard == NULL)
		_exit(0);
	if (strcmp(text, heard) != 0)
		(void)fprintf(stderr, "heard:\n%s", text);
	_exit(strcmp(text, heard) != 0);
}

static void
heard_by(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static enum result
talk(const char *content, struct why *why)
{
	static struct submit s;
	enum result r = submit_open(&s, place, why);

	if (r == OK)
		r = submit_envelope(
		    &s, BYTES("a@b.test"), " BODY=8BITMIME", BYTES("c@d.test\0e@f.test\0"), " NOTIFY=NEVER", why);
	if (r == OK)
		r = submit_content(&s, bytes_of_string(content), why);
	if (r == OK)
		r = submit_end(&s, why);
	submit_close(&s);
	return r;
}

#define BEFORE_DATA \
	"EHLO localhost\r\nMAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<c@d.test> NOTIFY=NEVER\r\n" \
	"RCPT TO:<e@f.test> NOTIFY=NEVER\r\nDATA\r\n"
#define FINE "220 x\r\n250-x\r\n250 y\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"

static void
a_message_is_handed_over(void **state)
{
	static const struct {
		const char *content, *sent;
	} cases[] = {
		{ "", "" },
		{ "A: b\n\n.\n..x\nend", "A: b\r\n\r\n..\r\n...x\r\nend\r\n" },
		{ "a\r.\r\nb\r\rc\n", "a\r\n..\r\nb\r\n\r\nc\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct why why = WHY_NONE;
		char all[1000];
		pid_t pid;

		(void)snprintf(all, sizeof all, BEFORE_DATA "%s.\r\nQUIT\r\n", cases[i].sent);
		pid = serve(FINE "250 2.0.0 taken as 0123\r\n", all);
		assert_int_equal(talk(cases[i].content, &why), OK);
		assert_string_equal(why.text, "");
		heard_by(pid);
	}
}

static void
a_refusal_is_told_as_it_was_said(void **state)
{
	static const struct {
		const char *replies;
		enum result r;
		const char *why;
	} cases[] = {
		{ "554 go away\r\n", REFUSED, "554 go away" },
		{ "421 later\r\n", AGAIN, "421 later" },
		{ "220 x\r\n250 x\r\n550 5.7.1 no sender\r\n", REFUSED, "550 5.7.1 no sender" },
		{ "220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n550-first\r\n550 last\r\n", REFUSED, "<e@f.test>: 550 last" },
		{ "220 x\r\n250 x\r\n250 ok\r\n452 4.3.1 full\r\n", AGAIN, "<c@d.test>: 452 4.3.1 full" },
		{ "220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 what?\r\n", AGAIN, "250 what?" },
		{ FINE "552 too large\r\n", REFUSED, "552 too large" },
		{ FINE "451 not now\r\n", AGAIN, "451 not now" },
		{ "hello\r\n", MALFORMED, "the mail system does not speak SMTP" },
		{ "55\r\n", MALFORMED, "the mail system does not speak SMTP" },
		{ "\r\n", MALFORMED, "the mail system does not speak SMTP" },
		{ "220", AGAIN, "the mail system broke the connection off" },
		{ "220-x\r\n", AGAIN, "the mail system broke the connection off" },
		{ "", AGAIN, "the mail system broke the connection off" },
		{ FINE, AGAIN, "the mail system broke the connection off" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct why why = WHY_NONE;
		pid_t pid = serve(cases[i].replies, NULL);
		enum result r = talk("x\n", &why);

		assert_int_equal(r, cases[i].r);
		assert_string_equal(why.text, cases[i].why);
		heard_by(pid);
	}
}

/* What is said after a failure is that failure, not the reply that came before it. */
static void
a_success_is_no_reason_for_a_later_failure(void **state)
{
	static struct submit s;
	static char address[70000];
	struct why why = WHY_NONE;
	pid_t pid = serve(FINE, NULL);

	(void)state;
	assert_int_equal(submit_open(&s, place, &why), OK);
	assert_string_equal(why.text, "");
	memset(address, 'x', sizeof address);
	assert_int_equal(
	    submit_envelope(&s, BYTES("a@b.test"), "", bytes_of((uint8_t *)address, sizeof address), "", &why),
	    REFUSED);
	assert_non_null(strstr(why.text, "xxx>: an address is too long"));
	submit_close(&s);
	heard_by(pid);
	why = WHY_NONE;
	pid = serve(FINE, NULL);
	assert_int_equal(submit_open(&s, place, &why), OK);
	assert_int_equal(submit_envelope(&s, BYTES("a@b.test"), "", BYTES("c@d\nx\0"), "", &why), REFUSED);
	assert_string_equal(why.text, "an address has a line end in it");
	submit_close(&s);
	heard_by(pid);
}

static void
replies_without_end_are_none(void **state)
{
	static char line[6000], lines[110 * 8 + 1];
	struct why why = WHY_NONE;
	pid_t pid;

	(void)state;
	memset(line, '2', sizeof line - 1);
	pid = serve(line, NULL);
	assert_int_equal(talk("x\n", &why), MALFORMED);
	heard_by(pid);
	for (size_t i = 0; i < 110; i++)
		memcpy(lines + i * 7, "220-x\r\n", 8);
	why = WHY_NONE;
	pid = serve(lines, NULL);
	assert_int_equal(talk("x\n", &why), MALFORMED);
	heard_by(pid);
}

static void
a_server_that_leaves_is_no_signal(void **state)
{
	static char content[900000];
	struct why why = WHY_NONE;
	pid_t pid = serve(FINE, leaves);

	(void)state;
	memset(content, 'x', sizeof content - 1);
	assert_int_equal(talk(content, &why), AGAIN);
	heard_by(pid);
}

static void
an_address_is_no_command(void **state)
{
	static const struct bytes bad[] = { { (const uint8_t *)"a@b\r\nDATA", 9 }, { (const uint8_t *)"a\nb", 3 },
		{ (const uint8_t *)"a\rb", 3 } };

	(void)state;
	for (size_t i = 0; i < 2 * nitems(bad); i++) {
		static struct submit s;
		struct why why = WHY_NONE;
		struct bytes sender = i < nitems(bad) ? bad[i] : BYTES("a@b.test"),
			     to = i < nitems(bad) ? BYTES("x\0") : bad[i - nitems(bad)];
		pid_t pid = serve("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n",
		    i < nitems(bad) ? "EHLO localhost\r\n" : "EHLO localhost\r\nMAIL FROM:<a@b.test>\r\n");

		assert_int_equal(submit_open(&s, place, &why), OK);
		assert_int_equal(submit_envelope(&s, sender, "", to, "", &why), REFUSED);
		submit_close(&s);
		heard_by(pid);
	}
}

static void
nobody_at_the_socket_is_for_later(void **state)
{
	static struct submit s;
	static char long_path[200];
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(submit_open(&s, "/nonexistent/socket", &why), AGAIN);
	assert_non_null(strstr(why.text, "does not answer at /nonexistent/socket"));
	submit_close(&s);
	memset(long_path, 'x', sizeof long_path - 1);
	assert_int_equal(submit_open(&s, long_path, NULL), REFUSED);
	submit_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_handed_over),
		cmocka_unit_test(a_refusal_is_told_as_it_was_said),
		cmocka_unit_test(a_success_is_no_reason_for_a_later_failure),
		cmocka_unit_test(replies_without_end_are_none),
		cmocka_unit_test(a_server_that_leaves_is_no_signal),
		cmocka_unit_test(an_address_is_no_command),
		cmocka_unit_test(nobody_at_the_socket_is_for_later),
	};

	return cmocka_run_group_tests(tests, open_place, close_place);
}
