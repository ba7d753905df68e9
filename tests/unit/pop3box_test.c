/* Tests of daemons/pop3box: whole sessions in a private Maildir. What the client says is there beforehand, what it got is
 * looked at afterwards. */
#include "unit.h"

#include "home.h"
#include "pop3box/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char got[400000];
static uint32_t max_errors = 20;
static struct why away;

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static int
fresh(void **state)
{
	(void)state;
	max_errors = 20;
	remove_tree("m");
	if (mkdir("m", 0700) != 0 || chdir("m") != 0 || mkdir("cur", 0700) != 0 || mkdir("new", 0700) != 0 ||
	    mkdir("tmp", 0700) != 0)
		return 1;
	put("cur/1000.a:2,S", "Subject: one\n\n1\n2\n3\n");
	put("new/1001.b", ".dot\r\n\r\n..\n");
	put("new/1002.c", "x");
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	return chdir("..");
}

static enum result
run(const char *ahead, const char *said)
{
	static struct box box;
	static struct wire_message m;
	struct pb_session body = { .idle_seconds = 1, .max_errors = max_errors };
	uint8_t room[PB_AHEAD_MAX + PB_USER_MAX + 8];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;
	int fds[2];
	size_t n = 0;
	ssize_t some;
	enum result r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	(void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(write(fds[1], said, strlen(said)), (ssize_t)strlen(said));
	(void)shutdown(fds[1], SHUT_WR);
	wire_put_string(&tail, "alice@example.test");
	wire_put_string(&tail, ahead);
	memset(&box, 0, sizeof box);
	m = (struct wire_message){ .body = &body, .tail = buf_bytes(&tail), .fds = { fds[0] }, .n_fds = 1 };
	r = session_run(&box, &m, &away, &why);
	while ((some = read(fds[1], got + n, sizeof got - 1 - n)) > 0)
		n += (size_t)some;
	got[n] = '\0';
	(void)close(fds[1]);
	return r;
}

static void
session(const char *said, const char *should)
{
	assert_int_equal(run("", said), OK);
	assert_string_equal(got, should);
}

static unsigned
left(void)
{
	return count_files("cur") + count_files("new");
}

#define HELLO "+OK logged in\r\n"
#define BYE "+OK bye\r\n"

static void
sizes_and_ids_are_listed(void **state)
{
	(void)state;
	session("STAT\r\nLIST\r\nlist 2\r\nUIDL\r\nUIDL 3\r\nQUIT\r\n",
	    HELLO "+OK 3 40\r\n+OK 3 messages\r\n1 25\r\n2 12\r\n3 3\r\n.\r\n+OK 2 12\r\n"
		  "+OK\r\n1 1000.a\r\n2 1001.b\r\n3 1002.c\r\n.\r\n+OK 3 1002.c\r\n" BYE);
	assert_int_equal(access(MAILDIR_SIZES, F_OK), 0);
}

static void
messages_come_whole_with_their_dots_doubled(void **state)
{
	(void)state;
	session("RETR 2\r\nRETR 3\r\nTOP 1 2\r\nTOP 1 0\r\nLAST\r\nQUIT\r\n",
	    HELLO "+OK 12 octets\r\n..dot\r\n\r\n...\r\n.\r\n+OK 3 octets\r\nx\r\n.\r\n"
		  "+OK\r\nSubject: one\r\n\r\n1\r\n2\r\n.\r\n+OK\r\nSubject: one\r\n\r\n.\r\n+OK 3\r\n" BYE);
}

static void
a_message_of_any_size_comes_as_it_is_listed(void **state)
{
	static char text[100001];
	size_t n = 0;

	(void)state;
	while (n + 80 < sizeof text) {
		memset(text + n, '.', 79);
		text[n + 79] = '\n';
		n += 80;
	}
	text[n] = '\0';
	put("new/1003.d", text);
	assert_int_equal(run("", "LIST 4\r\nRETR 4\r\nNOOP\r\n"), OK);
	assert_int_equal(
	    strlen(got), strlen(HELLO) + strlen("+OK 4 101250\r\n+OK 101250 octets\r\n") + n / 80 * 82 + 3 + 5);
	assert_non_null(strstr(got, "..\r\n.\r\n+OK\r\n"));
}

static void
nothing_is_removed_without_quit(void **state)
{
	(void)state;
	session("DELE 1\r\nDELE 2\r\nSTAT\r\n", HELLO "+OK marked\r\n+OK marked\r\n+OK 1 3\r\n");
	assert_int_equal(left(), 3);
	assert_int_equal(access("new/1002.c", F_OK), 0); /* and nothing is moved */
}

static void
what_is_marked_goes_with_quit_and_the_rest_is_not_new_any_more(void **state)
{
	(void)state;
	session("DELE 2\r\nRETR 2\r\nDELE 2\r\nLIST 2\r\nLIST\r\nQUIT\r\n",
	    HELLO "+OK marked\r\n-ERR that message is marked as deleted\r\n-ERR that message is marked as deleted\r\n"
		  "-ERR that message is marked as deleted\r\n+OK 2 messages\r\n1 25\r\n3 3\r\n.\r\n" BYE);
	assert_int_equal(left(), 2);
	assert_int_equal(access("cur/1000.a:2,S", F_OK), 0);
	assert_int_equal(access("cur/1002.c:2,", F_OK), 0);
	session("UIDL\r\n", HELLO "+OK\r\n1 1000.a\r\n2 1002.c\r\n.\r\n");
}

static void
rset_takes_marks_back(void **state)
{
	(void)state;
	session("DELE 1\r\nDELE 3\r\nRSET\r\nSTAT\r\nQUIT\r\n",
	    HELLO "+OK marked\r\n+OK marked\r\n+OK\r\n+OK 3 40\r\n" BYE);
	assert_int_equal(left(), 3);
}

static void
what_was_read_ahead_comes_first(void **state)
{
	(void)state;
	assert_int_equal(run("STAT\r\nNO", "OP\r\nQUIT\r\n"), OK);
	assert_string_equal(got, HELLO "+OK 3 40\r\n+OK\r\n" BYE);
}

static void
what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
	static const char *const lines[] = { "", "RETR", "RETR 0", "RETR 4", "RETR -1", "RETR ../../etc/passwd", "DELE",
		"DELE 99999999999", "DELE cur/1000.a:2,S", "TOP 1", "TOP", "TOP 1 x", "LIST x", "LIST 4", "UIDL 0",
		"USER alice", "PASS x", "STLS", "AUTH PLAIN", "UTF8", "XTND", "RETR\t1", "QUIT\rQUIT" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		char said[200];

		(void)snprintf(said, sizeof said, "%s\r\nNOOP\r\n", lines[i]);
		assert_int_equal(run("", said), OK);
		if (strncmp(got, HELLO "-ERR ", strlen(HELLO) + 5) != 0 ||
		    strcmp(got + strlen(got) - 7, "\r\n+OK\r\n") != 0)
			fail_msg("'%s': %s", lines[i], got);
	}
	assert_int_equal(left(), 3);
}

static void
errors_are_counted(void **state)
{
	(void)state;
	max_errors = 2;
	session("x\r\nRETR 9\r\nDELE 1\r\nQUIT\r\n",
	    HELLO "-ERR unknown command\r\n-ERR no such message\r\n-ERR too many errors\r\n");
	assert_int_equal(left(), 3);
	session("GET / HTTP/1.1\r\nQUIT\r\n", HELLO "-ERR this is a POP3 server\r\n");
}

static void
a_message_that_is_gone_is_said_to_be(void **state)
{
	(void)state;
	assert_int_equal(unlink("new/1001.b"), 0);
	assert_int_equal(symlink("/etc/passwd", "new/1001.b"), 0);
	session("LIST\r\n", HELLO "+OK 2 messages\r\n1 25\r\n2 3\r\n.\r\n");
	assert_int_equal(unlink("new/1001.b"), 0);
	assert_int_equal(mkdir("new/1001.b", 0700), 0);
	session("STAT\r\n", HELLO "+OK 2 28\r\n");
}

static void
a_mailbox_that_is_none_can_not_be_opened(void **state)
{
	(void)state;
	remove_tree("new");
	assert_int_equal(symlink("cur", "new"), 0);
	session("STAT\r\nQUIT\r\n",
	    "-ERR [SYS/PERM] the mailbox can't be opened: new is a symbolic link; expected a directory\r\n");
}

static void
a_home_that_can_not_be_used_is_told_to_the_client(void **state)
{
	(void)state;
	(void)!why_set(&away, REFUSED, "the home directory /home/eve can't be used: Permission denied");
	session("STAT\r\nQUIT\r\n",
	    "-ERR [SYS/TEMP] the mailbox can't be opened: the home directory /home/eve can't be used: "
	    "Permission denied\r\n");
	away = WHY_NONE;
}

static void
capabilities_are_those_of_rfc_2449(void **state)
{
	(void)state;
	session("CAPA\r\n",
	    HELLO "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8\r\n.\r\n");
}

static void
a_session_without_its_fields_is_none(void **state)
{
	static struct box box;
	struct pb_session body = { 0 };
	struct wire_message m = { .body = &body, .tail = BYTES("\0"), .fds = { -1, -1 } };

	(void)state;
	assert_int_equal(session_run(&box, &m, &away, NULL), MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, leave)
		TEST(sizes_and_ids_are_listed),
		TEST(messages_come_whole_with_their_dots_doubled),
		TEST(a_message_of_any_size_comes_as_it_is_listed),
		TEST(nothing_is_removed_without_quit),
		TEST(what_is_marked_goes_with_quit_and_the_rest_is_not_new_any_more),
		TEST(rset_takes_marks_back),
		TEST(what_was_read_ahead_comes_first),
		TEST(what_makes_no_sense_is_refused_and_changes_nothing),
		TEST(errors_are_counted),
		TEST(a_message_that_is_gone_is_said_to_be),
		TEST(a_mailbox_that_is_none_can_not_be_opened),
		TEST(a_home_that_can_not_be_used_is_told_to_the_client),
		TEST(capabilities_are_those_of_rfc_2449),
		TEST(a_session_without_its_fields_is_none),
	};

	return cmocka_run_group_tests(tests, enter_home, leave_home);
}
