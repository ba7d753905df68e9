/* Connections that go on in TLS: what the engine is told, what the session hears, where passwords go. */
#include "credentials_rig.h"

#include "wire/policy_keyload.h"
#include "wire/policy_tls.h"
#include "wire/tls_facts.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIGEST "0123456789abcdef0123456789abcdef"

static struct bytes record = { (const uint8_t *)"\3\1\1" DIGEST, 35 }; /* TLSA, of those that remote found */

static bool nameless; /* what remote says */

static enum result
secure(struct credentials *k, const struct access *a, bool dane, const char *host)
{
	struct rm_secure ask = { .dane = dane, .vouched = 1, .nameless = nameless };
	uint8_t room[256], list[128];
	struct buf tail = BUF_OVER(room), records = BUF_OVER(list);
	struct wire_message m = { .type = RM_SECURE, .ref = 9, .body = &ask, .fds = { rig.line[0] }, .n_fds = 1 };
	struct why why = WHY_NONE;

	wire_put_string(&tail, host);
	wire_put_string(&tail, "");
	if (dane)
		wire_put(&records, record);
	wire_put(&tail, buf_bytes(&records));
	m.tail = buf_bytes(&tail);
	return credentials_answer(k, a, &rig.port, &m, &why);
}

struct session_asked {
	struct pt_session p;
	char server[64], names[64];
	int fds[4];
};

/* What the engine is told of the connection. */
static struct session_asked
asked_engine(void)
{
	struct channel c = channel_of(rig.tls, &policy_tls_protocol, PT_TLS, true);
	struct bytes f[PT_N_FIELDS + PT_N_DEMAND_FIELDS], names, name = BYTES_NONE;
	struct session_asked a = { 0 };
	struct why why = WHY_NONE;
	struct wire_message m;

	assert_int_equal(channel_receive(&c, &rig.buffer, &m, &why), OK);
	memcpy(&a.p, m.body, sizeof a.p);
	assert_true(wire_take_all(m.tail, f, nitems(f)));
	memcpy(a.server, f[6].at, f[6].len);
	names = f[7];
	assert_true(wire_take(&names, &name));
	memcpy(a.names, name.at, name.len);
	memcpy(a.fds, m.fds, sizeof a.fds);
	return a;
}

static void
end_engine(struct session_asked *a)
{
	for (size_t i = 0; i < nitems(a->fds); i++)
		close(a->fds[i]);
}

static enum rm_blame blame; /* of the last RM_NOT_SECURED */

/* The next thing that the session hears. */
static uint16_t
heard(struct bytes *tail, int *fd)
{
	struct channel c = channel_of(rig.remote, &send_remote_protocol, RM_REMOTE, true);
	struct why why = WHY_NONE;
	struct wire_message m;

	assert_int_equal(channel_receive(&c, &rig.buffer, &m, &why), OK);
	assert_int_equal(m.ref, 9);
	if (m.type == RM_NOT_SECURED)
		blame = (enum rm_blame)((const struct rm_not_secured *)m.body)->blame;
	*tail = m.tail;
	*fd = m.n_fds > 0 ? m.fds[0] : -1;
	return m.type;
}

static const char *proof = "ca+name";

static void
say_facts(int fd, bool good)
{
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_TLS, true);
	struct tf_facts facts = { .peer = TF_PEER_VERIFIED };
	struct tf_failed failed = { .blame = TF_BLAME_PEER };
	uint8_t room[256];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	for (int i = 0; i < TF_N_FIELDS; i++)
		wire_put_string(&tail, i == 0 ? "TLSv1.3" : i == 8 ? proof : "");
	if (good)
		assert_int_equal(channel_send(&c, TF_FACTS, 0, &facts, buf_bytes(&tail), NULL, &why), OK);
	else
		assert_int_equal(channel_send(&c, TF_FAILED, 0, &failed, BYTES("no name"), NULL, &why), OK);
}

static void
stop(struct loop *loop, struct timer *t)
{
	(void)t;
	loop->stop = true;
}

/* What waits to be read is read. */
static void
turn(void)
{
	struct timer soon = { .due = stop };
	struct why why = WHY_NONE;

	rig.loop.stop = false;
	assert_int_equal(loop_at(&rig.loop, &soon, rig.loop.now + 30), OK);
	assert_int_equal(loop_run(&rig.loop, &why), OK);
}

static void
the_engine_hears_what_is_demanded_from_send_alone(void **state)
{
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct rm_peer peer = *a.peer;
	struct session_asked s;

	(void)state;
	a.certificate = BYTES_NONE;
	assert_int_equal(secure(&k, &a, true, "elsewhere.test"), OK);
	s = asked_engine();
	assert_int_equal(s.p.demand, PT_NAME);
	assert_string_equal(s.server, "relay.test");
	assert_string_equal(s.names, "relay.test");
	end_engine(&s);
	k.securing.n = 0;
	securing_leave(&k.securing);
	a.user = BYTES_NONE; /* DANE goes before the policy, unless a password is at stake */
	peer.dane = RM_DANE_FIRST;
	a.peer = &peer;
	assert_int_equal(secure(&k, &a, true, "elsewhere.test"), OK);
	s = asked_engine();
	assert_int_equal(s.p.demand, PT_DANE);
	assert_string_equal(s.server, "elsewhere.test");
	end_engine(&s);
	securing_leave(&k.securing);
}

static void
unusable_tlsa_records_leave_what_a_line_demands(void **state)
{
	static const struct {
		struct bytes record;
		enum pt_demand demand;
	} rows[] = {
		{ { (const uint8_t *)"\3\1\1" DIGEST, 35 }, PT_DANE },
		{ { (const uint8_t *)"\2\0\2" DIGEST DIGEST, 67 }, PT_DANE },
		{ { (const uint8_t *)"\3\0\0\x30\2\5\0", 7 }, PT_DANE },
		{ { (const uint8_t *)"\1\0\1" DIGEST, 35 }, PT_NAME }, /* usages of a public CA are none of mail's */
		{ { (const uint8_t *)"\3\1\1" DIGEST "0", 36 }, PT_NAME },
		{ { (const uint8_t *)"\3\1\2" DIGEST, 35 }, PT_NAME },
		{ { (const uint8_t *)"\3\2\1" DIGEST, 35 }, PT_NAME },
		{ { (const uint8_t *)"\3\1\x9" DIGEST, 35 }, PT_NAME },
		{ { (const uint8_t *)"\3\0\0\x30\3\5\0", 7 }, PT_NAME },
		{ { (const uint8_t *)"\3\1\1", 3 }, PT_NAME },
		{ { (const uint8_t *)"", 0 }, PT_NAME },
	};
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct rm_peer peer = *a.peer;
	struct bytes before = record;
	struct session_asked s;

	(void)state;
	a.certificate = a.user = BYTES_NONE;
	peer.dane = RM_DANE_FIRST;
	a.peer = &peer;
	for (size_t i = 0; i < nitems(rows); i++) {
		record = rows[i].record;
		assert_int_equal(secure(&k, &a, true, "elsewhere.test"), OK);
		s = asked_engine();
		assert_int_equal(s.p.demand, rows[i].demand);
		if (rows[i].demand != PT_DANE)
			assert_string_equal(s.names, "relay.test");
		end_engine(&s);
		k.securing.n = 0;
		securing_leave(&k.securing);
	}
	record = before;
}

/* Else a taken-over session could have a certificate accepted that was made for nobody. */
static void
a_server_name_is_left_out_only_where_no_certificate_is_demanded(void **state)
{
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct rm_peer peer = *a.peer;
	struct session_asked s;

	(void)state;
	a.certificate = a.user = BYTES_NONE;
	a.peer = &peer;
	nameless = true;
	for (unsigned tls = RM_TLS_OPPORTUNISTIC; tls <= RM_TLS_PIN; tls++) {
		peer.tls = (uint8_t)tls;
		assert_int_equal(secure(&k, &a, false, "elsewhere.test"), OK);
		s = asked_engine();
		assert_string_equal(s.server, s.p.demand == PT_ANY ? "" : "relay.test");
		assert_int_equal(s.p.demand == PT_ANY, tls < RM_TLS_CA);
		end_engine(&s);
		k.securing.n = 0;
		securing_leave(&k.securing);
	}
	nameless = false;
}

static void
a_password_goes_to_the_engine_that_was_asked(void **state)
{
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct session_asked s;
	struct bytes text;
	char line[64] = "";
	int fd;

	(void)state;
	a.certificate = BYTES_NONE;
	assert_int_equal(secure(&k, &a, false, "relay.test"), OK);
	assert_int_equal(secure(&k, &a, false, "relay.test"), MALFORMED); /* one at a time */
	s = asked_engine();
	say_facts(s.fds[3], true);
	turn();
	assert_int_equal(heard(&text, &fd), RM_SECURED);
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, fd), OK);
	assert_true(crig_said(&text));
	assert_true(recv(s.fds[1], line, sizeof line - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(line, "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n");
	assert_int_equal(recv(fd, line, sizeof line, MSG_DONTWAIT), -1); /* the session reads nothing of it */
	end_engine(&s);
	close(fd);
	securing_leave(&k.securing);
}

static void
a_handshake_that_proves_nothing_gives_no_connection(void **state)
{
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct session_asked s;
	struct bytes text;
	int fd;

	(void)state;
	a.certificate = BYTES_NONE;
	for (int died = 0; died < 2; died++) {
		assert_int_equal(secure(&k, &a, false, "relay.test"), OK);
		s = asked_engine();
		if (!died)
			say_facts(s.fds[3], false);
		end_engine(&s);
		turn();
		assert_int_equal(heard(&text, &fd), RM_NOT_SECURED);
		assert_true(bytes_equal(
		    text, died ? BYTES("the TLS engine ended in the handshake, without a word") : BYTES("no name")));
		assert_int_equal(k.securing.ours, -1);
		assert_int_equal(blame, died ? RM_BLAME_DEATH : RM_BLAME_PEER);
	}
	k.securing.n = RM_HANDSHAKES_MAX;
	assert_int_equal(secure(&k, &a, false, "relay.test"), MALFORMED);
}

/* An engine that was taken over says what it likes. */
static void
a_proof_that_was_not_demanded_counts_for_nothing(void **state)
{
	static const char *const others[] = { "", "ca", "dane-ee", "dane-ta", "pin", "ca+name ", "verified" };
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	struct session_asked s;
	struct bytes text;
	int fd;

	(void)state;
	a.certificate = BYTES_NONE;
	for (size_t i = 0; i < nitems(others); i++) {
		assert_int_equal(secure(&k, &a, false, "relay.test"), OK);
		s = asked_engine();
		proof = others[i];
		say_facts(s.fds[3], true);
		end_engine(&s);
		turn();
		proof = "ca+name";
		assert_int_equal(heard(&text, &fd), RM_NOT_SECURED);
		assert_int_equal(blame, RM_BLAME_US);
		k.securing.n = 0;
	}
	securing_leave(&k.securing);
}

static void
a_signer_is_bought_for_the_senders_certificate(void **state)
{
	struct channel from_send = channel_of(rig.keyload, &policy_keyload_protocol, PK_KEYLOAD, true);
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	const struct pk_signer *p;
	struct why why = WHY_NONE;
	struct session_asked s;
	struct wire_message m;
	char octet = 0;
	int its;

	(void)state;
	assert_int_equal(secure(&k, &a, false, "relay.test"), OK);
	assert_int_equal(channel_receive(&from_send, &rig.buffer, &m, &why), OK);
	p = m.body;
	assert_int_equal(p->role, PK_TLS_CLIENT);
	assert_string_equal(p->conn, "1jtestconn0");
	assert_true(bytes_equal(m.tail, a.certificate));
	its = m.fds[0];
	s = asked_engine();
	assert_int_equal(send(s.fds[2], "x", 1, 0), 1); /* the two are one channel */
	assert_int_equal(recv(its, &octet, 1, 0), 1);
	close(its);
	end_engine(&s);
	securing_leave(&k.securing);
}

#define CROWD 700

static bool
session_hears(void)
{
	char octet;

	return recv(rig.remote, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
an_engine_that_is_busy_holds_few_descriptors_and_opens_no_way_to_plain_text(void **state)
{
	static struct credentials all[CROWD];
	struct rlimit files;
	struct access a = crig_access();
	struct bytes text;
	size_t n = 0;
	int fd;

	(void)state;
	a.certificate = BYTES_NONE;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max < 8192 ? files.rlim_max : 8192;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	while (n < CROWD && !session_hears()) {
		all[n] = (struct credentials)CREDENTIALS_NONE;
		assert_int_equal(secure(&all[n++], &a, false, "relay.test"), OK);
	}
	assert_in_range(n, 2, CROWD - 1);
	assert_int_equal(heard(&text, &fd), RM_NOT_SECURED);
	assert_int_equal(blame, RM_BLAME_US);
	while (n > 0)
		securing_leave(&all[--n].securing);
}

static int
lowest_free(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* With each number of descriptors that is too small. */
static void
without_descriptors_a_handshake_is_put_off_and_nothing_stays_open(void **state)
{
	struct credentials k = CREDENTIALS_NONE;
	struct access a = crig_access();
	int least = lowest_free(), fd;
	struct rlimit files, few;
	struct session_asked s;
	struct bytes text;
	rlim_t more = 0;

	(void)state;
	a.certificate = BYTES_NONE;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = files;
	for (;; more++) {
		few.rlim_cur = (rlim_t)least + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(secure(&k, &a, false, "relay.test"), OK);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
		if (!session_hears())
			break;
		assert_int_equal(heard(&text, &fd), RM_NOT_SECURED);
		assert_int_equal(blame, RM_BLAME_US);
		assert_int_equal(lowest_free(), least);
	}
	assert_in_range(more, 3, 6);
	s = asked_engine();
	end_engine(&s);
	securing_leave(&k.securing);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_engine_hears_what_is_demanded_from_send_alone, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    unusable_tlsa_records_leave_what_a_line_demands, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_password_goes_to_the_engine_that_was_asked, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_server_name_is_left_out_only_where_no_certificate_is_demanded, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_handshake_that_proves_nothing_gives_no_connection, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_proof_that_was_not_demanded_counts_for_nothing, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_signer_is_bought_for_the_senders_certificate, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    an_engine_that_is_busy_holds_few_descriptors_and_opens_no_way_to_plain_text, crig_set_up,
		    crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    without_descriptors_a_handshake_is_put_off_and_nothing_stays_open, crig_set_up, crig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
