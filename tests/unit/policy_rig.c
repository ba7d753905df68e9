/* A listen, front ends and a queue around one unconfined `policy`.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include "policy/policy.h"
#include "policy/privileges.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct control_dir rig_dir;
pid_t rig_child;
struct channel listen_end, queue_end, resolve_end, auth_end;
bool rig_resolves;
int rig_peer = -1;
static int door, resolve_door;
struct wire_buffer rig_buffer, queue_buffer, resolve_buffer;
static uint32_t n_peers;

static const struct timeval patience = { 5, 0 };

static void
run_policy(const char *service, int listen_fd, int queue_fd, int resolve_fd, int auth_fd)
{
	static struct policy policy;
	struct control items;
	struct settings settings;
	struct why why = WHY_NONE;
	enum result r = dir_open(&rig_dir, "policy", &items, &why);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (r != OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	(void)dup2(listen_fd, 100);
	(void)dup2(queue_fd, 101);
	(void)dup2(items.fd, 102);
	if (rig_resolves)
		(void)dup2(resolve_fd, 103);
	if (auth_fd >= 0)
		(void)dup2(auth_fd, 104);
	if (getenv("POLICY_TEST_LOG") == NULL)
		(void)dup2(null, 2);
	(void)close_range(3, 99, 0);
	(void)dup2(100, POLICY_LISTEN_FD);
	(void)dup2(101, POLICY_QUEUE_FD);
	if (rig_resolves)
		(void)dup2(103, POLICY_RESOLVE_FD);
	if (auth_fd >= 0)
		(void)dup2(104, POLICY_AUTH_FD);
	(void)close_range(100, 101, 0);
	(void)close_range(103, 104, 0);
	settings = settings_of(&items, service);
	r = policy_run(&policy, &settings, &why);
	_exit(r == OK ? 0 : 100);
}

static void
start(const char *service, bool with_auth)
{
	int pair[2], doors[2], names[2], auth[2] = { -1, -1 };
	struct why why = WHY_NONE;

	assert_int_equal(channel_pair(pair, &why), OK);
	if (with_auth)
		assert_int_equal(channel_pair(auth, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, doors), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, names), 0);
	rig_child = fork();
	assert_true(rig_child >= 0);
	if (rig_child == 0) {
		(void)close(pair[0]);
		(void)close(doors[0]);
		(void)close(names[0]);
		run_policy(service, pair[1], doors[1], names[1], auth[1]);
	}
	(void)close(auth[1]);
	auth_end = channel_of(auth[0], &policy_auth_protocol, PA_AUTH, true);
	if (with_auth)
		assert_int_equal(setsockopt(auth[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	(void)close(pair[1]);
	(void)close(doors[1]);
	(void)close(names[1]);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	listen_end = channel_of(pair[0], &listen_policy_protocol, LP_LISTEN, true);
	door = doors[0];
	resolve_door = names[0];
	resolve_end.fd = -1;
	queue_end.fd = -1;
	n_peers = 0;
}

void
rig_start(void)
{
	start("smtpd", false);
}

void
rig_start_as(const char *service)
{
	start(service, true);
}

int
rig_set_up(void **state)
{
	(void)state;
	rig_resolves = false;
	dir_make(&rig_dir);
	dir_put(&rig_dir, "locals", "local.example\nmx.example.org\n");
	dir_put(&rig_dir, "localiphost", "local.example\n");
	dir_put(&rig_dir, "rcpthosts", "local.example\nbackup.example\n");
	dir_put(&rig_dir, "users/assign",
	    "=joe:joe:1001:1002:/home/joe:::\n+many-:joe:1001:1002:/home/joe:-::\n"
	    "=postmaster:joe:1001:1002:/home/joe:::\n.\n");
	dir_put(&rig_dir, "rules",
	    "192.0.2.66:deny\n192.0.2.77:allow,RELAYCLIENT=\"\"\n192.0.2.78:allow,RELAYCLIENT=\"@gate.example\"\n"
	    "192.0.2.79:allow,DATABYTES=\"10\",MAXRECIPIENTS=\"1\",REPLY_MAILBOX=\"ask us\"\n"
	    "192.0.2.80:allow,AUTHINCLEAR=\"\"\n");
	dir_put(&rig_dir, "mechanisms", "PLAIN CRAM-MD5 APOP EXTERNAL\n");
	dir_put(&rig_dir, "badmailfrom", "spammer@x.example\n");
	dir_put(&rig_dir, "badrcptto", "many-bad@local.example\n");
	dir_put(&rig_dir, "badhelo", "localhost\n");
	dir_put(&rig_dir, "databytes", "1000000\n");
	dir_put(&rig_dir, "concurrencyincoming", "3\n");
	return 0;
}

int
rig_tear_down(void **state)
{
	int status;

	(void)state;
	channel_close(&listen_end);
	channel_close(&queue_end);
	channel_close(&resolve_end);
	channel_close(&auth_end);
	rig_forget_peer();
	(void)close(door);
	(void)close(resolve_door);
	(void)kill(rig_child, SIGKILL);
	(void)waitpid(rig_child, &status, 0);
	dir_remove(&rig_dir);
	return 0;
}

void
rig_forget_peer(void)
{
	if (rig_peer >= 0)
		(void)close(rig_peer);
	rig_peer = -1;
}

struct channel
connect_peer(const uint8_t *address, uint8_t family)
{
	struct lp_peer peer = { .conn = "00000000001", .slot = n_peers++, .family = family, .uid = UINT32_MAX };
	struct why why = WHY_NONE;
	int pair[2], net[2];

	if (family == LP_UNIX)
		peer.uid = 4711;
	else {
		memcpy(peer.remote, address, family == LP_IPV6 ? 16 : 4);
		memcpy(peer.local, (const uint8_t[]){ 192, 0, 2, 1 }, 4);
	}
	assert_int_equal(channel_pair(pair, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, net), 0);
	assert_int_equal(
	    channel_send(&listen_end, LP_PEER, 0, &peer, BYTES_NONE, (int[]){ pair[1], net[1] }, &why), OK);
	(void)close(pair[1]);
	(void)close(net[1]);
	rig_forget_peer();
	rig_peer = net[0];
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	return channel_of(pair[0], &smtpd_policy_protocol, SP_SMTPD, true);
}

void
expect_ended(uint32_t slot)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(&listen_end, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, LP_ENDED);
	assert_int_equal(((const struct lp_ended *)m.body)->slot, slot);
}

void
expect_welcome(struct channel *c, unsigned code, unsigned flags)
{
	const struct sp_welcome *w;
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_WELCOME);
	w = m.body;
	assert_int_equal(w->code, code);
	assert_int_equal(
	    w->flags & ~(unsigned)(SP_LENIENT | SP_HELO_REQUIRED), flags); /* tests/system/test_dialects.py */
}

void
expect_answer(struct channel *c, unsigned code, const char *enhanced)
{
	const struct sp_answer *a;
	struct wire_message m;
	struct why why = WHY_NONE;
	char have[32];

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_ANSWER);
	a = m.body;
	(void)snprintf(have, sizeof have, "%u %u.%u.%u", a->code, a->enhanced[0], a->enhanced[1], a->enhanced[2]);
	{
		char want[32];

		(void)snprintf(want, sizeof want, "%u %s", code, enhanced);
		assert_string_equal(have, want);
	}
}

void
rig_say(struct channel *c, uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(c, type, 0, body, tail, NULL, &why), OK);
}

/* What each channel's front end would have kept of MAIL. */
static struct {
	const char *helo, *from;
	struct sp_mail mail;
	bool begun;
} kept[1024];

void
rig_mail(struct channel *c, const char *helo, const char *from, uint64_t octets)
{
	kept[c->fd].helo = helo;
	kept[c->fd].from = from;
	kept[c->fd].mail = (struct sp_mail){ .octets = octets, .helo = SP_EHLO };
	kept[c->fd].begun = false;
}

void
rig_mail_utf8(struct channel *c, const char *from)
{
	rig_mail(c, "client.example", from, 0);
	kept[c->fd].mail.smtputf8 = 1;
}

void
rcpt(struct channel *c, const char *to, unsigned code, const char *enhanced)
{
	rcpt_say(c, to);
	rcpt_hear(c, code, enhanced);
}

struct channel
rig_begin(const uint8_t address[4])
{
	struct channel c = connect_peer(address, LP_IPV4);

	expect_welcome(&c, 220, 0);
	return c;
}

const uint8_t anybody[4] = { 192, 0, 2, 5 }, denied[4] = { 192, 0, 2, 66 }, relay[4] = { 192, 0, 2, 77 },
	      gate[4] = { 192, 0, 2, 78 }, small[4] = { 192, 0, 2, 79 }, clear[4] = { 192, 0, 2, 80 };

struct channel
begin_mail(const uint8_t address[4], const char *from)
{
	struct channel c = rig_begin(address);

	rig_mail(&c, "client.example", from, 0);
	return c;
}

static void
take(int fd, const struct wire_protocol *protocol, struct channel *end)
{
	struct channel handed;
	struct why why = WHY_NONE;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	for (int i = 0; i < 500; i++) {
		enum result r = door_take(fd, protocol, &handed, &why);

		if (r == OK) {
			assert_int_equal(setsockopt(handed.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
			*end = handed;
			end->waits = true;
			return;
		}
		assert_int_equal(r, AGAIN);
		(void)usleep(10000);
	}
	fail_msg("nobody came to the door");
}

void
take_door(void)
{
	take(door, &policy_queue_protocol, &queue_end);
}

uint64_t
resolve_asked(uint16_t type, const char *name)
{
	struct wire_message m;
	struct why why = WHY_NONE;
	struct bytes asked;

	if (resolve_end.fd < 0)
		take(resolve_door, &client_resolve_protocol, &resolve_end);
	assert_int_equal(channel_receive(&resolve_end, &resolve_buffer, &m, &why), OK);
	assert_int_equal(m.type, RS_ASK);
	assert_int_equal(((const struct rs_ask *)m.body)->type, type);
	assert_true(wire_take_all(m.tail, &asked, 1));
	if (!bytes_equal(asked, bytes_of_string(name)))
		fail_msg("asked about %.*s, not %s", (int)asked.len, (const char *)asked.at, name);
	return m.ref;
}

void
resolve_says(uint64_t ref, enum rs_outcome outcome, struct bytes record)
{
	struct rs_answer a = { .outcome = (uint8_t)outcome, .n = record.at != NULL };
	uint8_t room[600];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, "");
	if (record.at != NULL)
		wire_put(&tail, record);
	assert_int_equal(channel_send(&resolve_end, RS_ANSWER, ref, &a, buf_bytes(&tail), NULL, &why), OK);
}

void
rcpt_say(struct channel *c, const char *to)
{
	struct sp_begin begin = { .mail = kept[c->fd].mail };
	uint8_t room[SP_BEGIN_TAIL_MAX];
	struct buf tail = BUF_OVER(room);

	if (!kept[c->fd].begun) {
		wire_put_string(&tail, kept[c->fd].helo);
		wire_put_string(&tail, kept[c->fd].from);
		wire_put_string(&tail, "");
	}
	wire_put_string(&tail, to);
	wire_put_string(&tail, "");
	if (kept[c->fd].begun)
		rig_say(c, SP_RCPT, &begin.rcpt, buf_bytes(&tail));
	else
		rig_say(c, SP_BEGIN, &begin, buf_bytes(&tail));
}

void
rcpt_hear(struct channel *c, unsigned code, const char *enhanced)
{
	expect_answer(c, code, enhanced);
	kept[c->fd].begun = kept[c->fd].begun || code == 250;
}

struct wire_message
queue_receives(uint16_t type)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	do
		if (channel_receive(&queue_end, &queue_buffer, &m, &why) != OK)
			fail_msg("%s", why.text);
	while (m.type == PQ_LOOK && type != PQ_LOOK); /* with a session now and then, never instead of something */
	assert_int_equal(m.type, type);
	return m;
}

uint64_t
give_writer(uint64_t ref)
{
	struct pq_writer w = { .id = "0000000000a" };
	struct why why = WHY_NONE;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_int_equal(channel_send(&queue_end, PQ_WRITER, ref, &w, BYTES_NONE, &fd, &why), OK);
	(void)close(fd);
	return ref;
}

void
say_committed(uint64_t ref)
{
	struct pq_committed c = { .id = "0000000000a" };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&queue_end, PQ_COMMITTED, ref, &c, BYTES_NONE, NULL, &why), OK);
}

void
say_failed(uint64_t ref, enum result r)
{
	struct pq_failed f = { (uint32_t)r };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&queue_end, PQ_FAILED, ref, &f, BYTES("as the test wants"), NULL, &why), OK);
}

void
expect_content(struct channel *c, uint64_t max)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_CONTENT);
	assert_int_equal(((const struct sp_content *)m.body)->max_octets, max);
	wire_close_fds(&m);
}

uint64_t
to_writing(struct channel *c)
{
	uint64_t ref;

	rig_say(c, SP_DATA, NULL, BYTES_NONE);
	if (queue_end.fd < 0)
		take_door();
	ref = give_writer(queue_receives(PQ_OPEN).ref);
	expect_content(c, 1000000);
	return ref;
}
