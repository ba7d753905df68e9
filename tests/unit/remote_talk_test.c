/* Tests of remote's patience with a peer: each wait has its end, and so has all of them together. */
#include "unit.h"

#include "remote/talk.h"
#include "sys/clock.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct talk talk;

static int
begin(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	talk_begin(&talk, pair[0]);
	return pair[1];
}

static void
a_peer_that_says_something_in_time_has_an_end_all_the_same(void **state)
{
	int peer = begin();
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(write(peer, "250-more\r\n250-and more\r\n25", 27), 27);
	talk.ends_at = clock_ms() + 50;
	assert_int_equal(talk_reply(&talk, 600000, &reply, NULL, &why), AGAIN);
	assert_non_null(strstr(why.text, "too long in all"));
	(void)close(peer);
	talk_end(&talk);
}

static void
a_peer_that_takes_a_little_now_and_then_has_an_end_all_the_same(void **state)
{
	int peer = begin();
	struct why why = WHY_NONE;
	static const uint8_t octets[TALK_OUT];
	enum result r = OK;

	(void)state;
	talk.ends_at = clock_ms() + 50;
	for (int i = 0; i < 1000 && r == OK; i++) {
		buf_add(&talk.out, bytes_of(octets, sizeof octets));
		r = talk_flush(&talk, 600000, &why);
	}
	assert_int_equal(r, AGAIN);
	assert_non_null(strstr(why.text, "too long in all"));
	(void)close(peer);
	talk_end(&talk);
}

static void
a_line_without_a_code_lets_no_reply_count_for_the_command_before_its_own(void **state)
{
	static const char said[] = "250-a\r\nb\r\n250 c\r\nno reply at all\r\n250 next\r\n";
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		int peer = begin();

		talk.ahead = ahead != 0;
		talk.ends_at = 0;
		assert_int_equal(write(peer, said, sizeof said - 1), sizeof said - 1);
		assert_int_equal(talk_reply(&talk, 1000, &reply, NULL, &why), OK);
		assert_int_equal(talk_reply(&talk, 1000, &reply, NULL, &why), ahead ? MALFORMED : OK);
		(void)close(peer);
		talk_end(&talk);
	}
	assert_non_null(strstr(why.text, "a line that is no reply"));
}

static void
without_such_an_end_each_wait_has_its_own(void **state)
{
	int peer = begin();
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	(void)state;
	talk.ends_at = 0;
	assert_int_equal(talk_reply(&talk, 50, &reply, NULL, &why), AGAIN);
	assert_non_null(strstr(why.text, "timed out"));
	(void)close(peer);
	talk_end(&talk);
}

static void
garbage_and_a_close_are_told_as_what_they_are(void **state)
{
	int peer = begin();
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	(void)state;
	talk.ends_at = 0;
	assert_int_equal(write(peer, "OK, taken\r\n\1\n", 13), 13);
	(void)close(peer);
	assert_int_equal(talk_reply(&talk, 5000, &reply, NULL, &why), ABSENT);
	assert_non_null(strstr(why.text, "closed the connection, after it said: OK, taken"));
	talk_end(&talk);
}

static void
a_last_line_without_an_end_counts_if_the_peer_closes(void **state)
{
	int peer = begin();
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(write(peer, "250-2.0.0 a\n250 queued", 22), 22);
	(void)close(peer);
	assert_int_equal(talk_reply(&talk, 5000, &reply, NULL, &why), OK);
	assert_string_equal(reply.text, "250-2.0.0 a queued");
	assert_int_equal(talk_reply(&talk, 5000, &reply, NULL, &why), ABSENT);
	talk_end(&talk);
}

static void
lines_without_a_code_offer_nothing(void **state)
{
	int peer = begin();
	struct smtp_reply reply;
	struct smtp_offer offer = { 0 };
	struct why why = WHY_NONE;
	static const char said[] = "SIZE 5\r\n250-STARTTLS\r\nPIPELINING\r\n250-SIZE 7\r\n250 DSN\r\n";

	(void)state;
	assert_int_equal(write(peer, said, sizeof said - 1), sizeof said - 1);
	assert_int_equal(talk_reply(&talk, 5000, &reply, &offer, &why), OK);
	assert_int_equal(offer.can, SMTP_CAN_SIZE | SMTP_CAN_DSN); /* the first line is the host's name */
	assert_int_equal(offer.size, 7);
	(void)close(peer);
	talk_end(&talk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_says_something_in_time_has_an_end_all_the_same),
		cmocka_unit_test(a_peer_that_takes_a_little_now_and_then_has_an_end_all_the_same),
		cmocka_unit_test(a_line_without_a_code_lets_no_reply_count_for_the_command_before_its_own),
		cmocka_unit_test(without_such_an_end_each_wait_has_its_own),
		cmocka_unit_test(garbage_and_a_close_are_told_as_what_they_are),
		cmocka_unit_test(a_last_line_without_an_end_counts_if_the_peer_closes),
		cmocka_unit_test(lines_without_a_code_offer_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
