/* Tests of `send` when something fails: a mailbox that hangs, memory that is not there.
 * Trusts nothing of it: every message is asserted.
 * Never waits longer than some seconds. */
#include "send_rig.h"

#include "failing.h"
#include "send/send.h"
#include "sys/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void
a_user_whose_deliveries_hang_leaves_room_for_others(void **state)
{
	struct srig_message joes = srig_simple("joe@local.example"), anns = srig_simple("ann@local.example");
	static struct wire_buffer room;
	struct wire_message w;
	struct channel joe, ann;
	struct why why = WHY_NONE;
	uint64_t ref;
	uint32_t credit = 0;

	(void)state;
	srig_start();
	anns.id = id_of_number(id_number(&joes.id) - 1); /* joe's are counted up */
	srig_announce_many(&joes, 20000, &credit);       /* as much as it asks for, and then ann's */
	announce(&anns);
	joe = expect_spawn(2001);
	ann = expect_spawn(2002);
	deliver_answer(&ann, expect_delivery(&ann, &anns, "ann@local.example"), SD_DELIVERED, "");
	expect_done(&anns);
	assert_int_equal(channel_receive(&joe, &room, &w, &why), OK);
	ref = w.ref;
	wire_close_fds(&w);
	deliver_answer(&joe, ref, SD_DELIVERED, ""); /* it goes on as soon as they do */
	assert_int_equal(channel_receive(&srig_queue, &room, &w, &why), OK);
	assert_int_equal(w.type, QS_DONE);
}

#define MANY 100000

static void
a_hundred_thousand_that_wait_are_light_and_asked_for_piece_by_piece(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct pollfd p = { 0 };
	static struct wire_buffer room;
	struct wire_message w;
	struct why why = WHY_NONE;
	unsigned before, asked = 0;
	uint32_t credit = 0;

	(void)state;
	assert_int_equal(store_put_later(m.fd, 1, clock_wall_s() + 5000), OK);
	srig_start();
	srig_announce_many(&m, 1000, &credit);
	before = srig_resident_kib();
	srig_announce_many(&m, MANY - 1000, &credit);
	expect_silence(&srig_queue, 200);
	assert_in_range(srig_resident_kib(), 1, before + 10000 + SRIG_SHADOW_KIB);
	assert_int_equal(kill(srig_child, SIGALRM), 0);
	p = (struct pollfd){ srig_queue.fd, POLLIN, 0 };
	for (; poll(&p, 1, 200) > 0; asked++) {
		assert_int_equal(channel_receive(&srig_queue, &room, &w, &why), OK);
		assert_int_equal(w.type, QS_FETCH);
	}
	assert_in_range(asked, 100, IN_HAND_MAX / 2);
}

static void
a_file_that_is_no_message_harms_nobody(void **state)
{
	static const uint8_t zeros[4096];
	struct srig_message bad = { .id = id_of_number(77) }, cut = srig_simple("joe@local.example"),
			    good = srig_simple("joe@local.example");
	struct channel local;

	(void)state;
	bad.fd = memfd_create("damaged", MFD_CLOEXEC);
	assert_int_equal(write(bad.fd, zeros, sizeof zeros), sizeof zeros);
	assert_int_equal(ftruncate(cut.fd, 90), 0);
	srig_start();
	announce(&bad);
	announce(&cut);
	announce(&good);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &good, "joe@local.example"), SD_DELIVERED, "");
	expect_done(&good);
	expect_silence(&srig_queue, 50);
	channel_close(&local);
}

static void
twenty_thousand_recipients_are_begun_piece_by_piece(void **state)
{
	static struct srig_recipient many[STORE_RECIPIENTS_MAX];
	struct srig_message big, small = srig_simple("joe@local.example");
	struct channel local;

	(void)state;
	for (size_t i = 0; i < nitems(many); i++)
		many[i] = (struct srig_recipient){ "someone@far..example", 1 };
	big = srig_message(0, 0, "s@far.example", many, STORE_RECIPIENTS_MAX);
	srig_start();
	announce(&big);
	announce(&small);
	local = expect_spawn(2001); /* before the other's end, which nobody has read yet */
	(void)expect_delivery(&local, &small, "joe@local.example");
	for (uint32_t i = 0; i < STORE_RECIPIENTS_MAX; i++)
		expect_status(&big, i, STORE_FAILED, "5.1.2 ");
	expect_done(&big);
	channel_close(&local);
}

/* plays everybody until nothing more comes; what became of m */
static uint16_t
play(const struct srig_message *m)
{
	static struct wire_buffer room;
	struct channel made[8], *ends[12] = { &srig_queue, &srig_bounces, &srig_lspawn, &srig_remote };
	unsigned n = 4;
	uint16_t last = UINT16_MAX;
	struct why why;

	for (;;) {
		struct pollfd p[12];
		struct wire_message w;

		for (unsigned i = 0; i < n; i++)
			p[i] = (struct pollfd){ ends[i]->fd, POLLIN, 0 };
		if (poll(p, n, 150) <= 0)
			break;
		for (unsigned i = 0; i < n; i++) {
			why = WHY_NONE;
			if (!(p[i].revents & (POLLIN | POLLHUP)))
				continue;
			if (channel_receive(ends[i], &room, &w, &why) != OK)
				return last; /* the process has ended, or a local's channel */
			if (ends[i] == &srig_lspawn || ends[i] == &srig_remote) {
				made[n - 4] = ends[i] == &srig_lspawn
				    ? channel_of(w.fds[0], &send_local_protocol, SD_LOCAL, true)
				    : channel_of(w.fds[0], &send_remote_protocol, RM_REMOTE, true);
				ends[n] = &made[n - 4];
				n++;
				break;
			}
			if (i >= 4 && ends[i]->protocol == &send_local_protocol)
				deliver_answer(ends[i], w.ref, SD_DELIVERED, "");
			else if (i >= 4 && w.type == RM_RECIPIENTS)
				remote_answer(ends[i], w.ref, RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
			if (ends[i] == &srig_bounces && w.type == PQ_OPEN)
				report_failed(w.ref);
			if (ends[i] == &srig_queue && w.type == QS_STATUS) {
				const struct qs_status *s = w.body;

				assert_int_equal(
				    store_put_status(m->fd, s->recipient, (enum store_status)s->status), OK);
			} else if (ends[i] == &srig_queue && w.type != QS_CREDIT)
				last = w.type;
			wire_close_fds(&w);
		}
	}
	for (unsigned i = 4; i < n; i++)
		channel_close(ends[i]);
	return last;
}

static void
without_memory_nothing_is_done_that_is_not(void **state)
{
	/* no report for the second one, so that it can come to an end */
	static const struct srig_recipient some[] = { { "joe@local.example", 0 }, { "none@local.example", 1 },
		{ "ann@local.example", 0 }, { "a@far.example", 0 }, { "b@other.example", 0 } };
	bool done = false;

	(void)state;
	for (unsigned n = 1; n < 120; n++) {
		struct srig_message m = srig_message(0, 0, "s@far.example", some, nitems(some));
		struct store_message after;
		struct why why = WHY_NONE;
		int status;

		srig_fail_at = n;
		srig_start();
		announce(&m);
		done = play(&m) == QS_DONE;
		assert_int_equal(store_read(m.fd, &after, &why), OK);
		for (uint32_t i = 0; i < nitems(some) && done; i++)
			assert_int_equal(after.statuses.at[i], i == 1 ? STORE_FAILED : STORE_DELIVERED);
		store_message_free(&after);
		channel_close(&srig_queue);
		channel_close(&srig_bounces);
		channel_close(&srig_lspawn);
		channel_close(&srig_remote);
		(void)usleep(20000); /* it ends without its neighbours, as it should */
		(void)kill(srig_child, SIGKILL);
		assert_int_equal(waitpid(srig_child, &status, 0), srig_child);
		assert_true(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
		assert_true(!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 100);
		(void)close(m.fd);
	}
	assert_true(done); /* without a failure it comes to an end */
	srig_fail_at = 0;
	srig_start();
}

#define rig(test) cmocka_unit_test_setup_teardown(test, srig_set_up, srig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig(a_user_whose_deliveries_hang_leaves_room_for_others),
		rig(a_hundred_thousand_that_wait_are_light_and_asked_for_piece_by_piece),
		rig(a_file_that_is_no_message_harms_nobody),
		rig(twenty_thousand_recipients_are_begun_piece_by_piece),
		rig(without_memory_nothing_is_done_that_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
