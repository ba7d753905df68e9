/* Tests of `send` when something fails: a mailbox that hangs, memory that is not there.
 * Trusts nothing of it: every message is asserted.
 * Never waits longer than some seconds. */
#include "send_rig.h"

#include "failing.h"

#include <poll.h>
#include <signal.h>
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
	uint32_t credit = 0, ref;

	(void)state;
	srig_start();
	anns.id = id_of_number(id_number(&joes.id) - 1); /* joe's are counted up */
	for (int i = 0; i < 20000; i++) {                /* as much as it asks for, and then ann's */
		struct pollfd p = { srig_queue.fd, POLLIN, 0 };

		while (credit == 0 || poll(&p, 1, 0) > 0) {
			if (poll(&p, 1, 1000) <= 0)
				break;
			assert_int_equal(channel_receive(&srig_queue, &room, &w, &why), OK);
			assert_int_equal(w.type, QS_CREDIT);
			credit += ((const struct qs_credit *)w.body)->n;
		}
		assert_true(credit > 0);
		joes.id = id_of_number(id_number(&joes.id) + 1);
		announce(&joes);
		credit--;
	}
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

/* plays everybody until nothing more comes; what became of m */
static uint16_t
play(const struct srig_message *m)
{
	static struct wire_buffer room;
	struct channel locals[8], *ends[11] = { &srig_queue, &srig_bounces, &srig_lspawn };
	unsigned n = 3;
	uint16_t last = UINT16_MAX;
	struct why why;

	for (;;) {
		struct pollfd p[11];
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
			if (ends[i] == &srig_lspawn) {
				locals[n - 3] = channel_of(w.fds[0], &send_local_protocol, SD_LOCAL, true);
				ends[n] = &locals[n - 3];
				n++;
				break;
			}
			if (i >= 3)
				deliver_answer(ends[i], w.ref, SD_DELIVERED, "");
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
	for (unsigned i = 3; i < n; i++)
		channel_close(ends[i]);
	return last;
}

static void
without_memory_nothing_is_done_that_is_not(void **state)
{
	/* no report for the second one, so that it can come to an end */
	static const struct srig_recipient three[] = { { "joe@local.example", 0 }, { "none@local.example", 1 },
		{ "ann@local.example", 0 } };
	bool done = false;

	(void)state;
	for (unsigned n = 1; n < 40; n++) {
		struct srig_message m = srig_message(0, 0, "s@far.example", three, 3);
		struct store_message after;
		struct why why = WHY_NONE;
		int status;

		srig_fail_at = n;
		srig_start();
		announce(&m);
		done = play(&m) == QS_DONE;
		assert_int_equal(store_read(m.fd, &after, &why), OK);
		for (uint32_t i = 0; i < 3 && done; i++)
			assert_int_equal(after.statuses.at[i], i == 1 ? STORE_FAILED : STORE_DELIVERED);
		store_message_free(&after);
		channel_close(&srig_queue);
		channel_close(&srig_bounces);
		channel_close(&srig_lspawn);
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
		rig(without_memory_nothing_is_done_that_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
