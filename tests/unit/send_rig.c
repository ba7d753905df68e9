/* A queue, an lspawn and locals around one unconfined `send`.
 * Trusts nothing of it: every message is asserted.
 * Never leaves its private directory and its own channels. */
#include "send_rig.h"

#include "base/crc32c.h"
#include "failing.h"
#include "send/send.h"
#include "sys/clock.h"
#include "wire/policy_keyload.h"
#include "wire/policy_tls.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct control_dir srig_dir;
pid_t srig_child;
struct channel srig_queue, srig_bounces, srig_lspawn, srig_pspawn, srig_remote;
static struct channel keyload, tls;
uint32_t srig_slow_ms;
unsigned srig_fail_at;
static struct wire_buffer buffer;
static uint64_t last_id;

void
srig_be_patient(int fd)
{
	static const struct timeval patience = { 5, 0 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
}

static void
run_send(const int fds[7])
{
	static struct send self;
	struct control items;
	struct why why = WHY_NONE;
	enum result r = dir_open(&srig_dir, "send", &items, &why);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (r != OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	for (int i = 0; i < 7; i++)
		(void)dup2(fds[i], 100 + i);
	(void)dup2(items.fd, 107);
	if (getenv("SEND_TEST_LOG") == NULL)
		(void)dup2(null, 2);
	(void)close_range(3, 99, 0);
	(void)dup2(100, SEND_QUEUE_FD);
	(void)dup2(101, SEND_BOUNCES_FD);
	(void)dup2(102, SEND_LSPAWN_FD);
	(void)dup2(103, SEND_REMOTE_FD);
	(void)dup2(104, SEND_KEYLOAD_FD);
	(void)dup2(105, SEND_TLS_FD);
	(void)dup2(106, SEND_PSPAWN_FD);
	(void)close_range(100, 106, 0);
	self.in_hand_max = send_in_hand_max();
	self.slow_ms = srig_slow_ms;
	fail_allocation(srig_fail_at);
	r = send_run(&self, &items, &why);
	_exit(r == OK ? 0 : 100);
}

static int
open_end(struct channel *mine, const struct wire_protocol *protocol, enum wire_side side)
{
	struct why why = WHY_NONE;
	int pair[2];

	assert_int_equal(channel_pair(pair, &why), OK);
	srig_be_patient(pair[0]);
	*mine = channel_of(pair[0], protocol, side, true);
	return pair[1];
}

void
srig_start(void)
{
	int fds[7];
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	fds[0] = open_end(&srig_queue, &queue_send_protocol, QS_QUEUE);
	fds[1] = open_end(&srig_bounces, &policy_queue_protocol, PQ_QUEUE);
	fds[2] = open_end(&srig_lspawn, &send_lspawn_protocol, SL_LSPAWN);
	fds[3] = open_end(&srig_remote, &send_remote_door_protocol, RD_REMOTE);
	fds[4] = open_end(&keyload, &policy_keyload_protocol, PK_KEYLOAD);
	fds[5] = open_end(&tls, &policy_tls_protocol, PT_TLS);
	fds[6] = open_end(&srig_pspawn, &send_lspawn_protocol, SL_LSPAWN);
	srig_child = fork();
	assert_true(srig_child >= 0);
	if (srig_child == 0) {
		channel_close(&srig_queue);
		channel_close(&srig_bounces);
		channel_close(&srig_lspawn);
		channel_close(&srig_pspawn);
		channel_close(&srig_remote);
		channel_close(&keyload);
		channel_close(&tls);
		run_send(fds);
	}
	for (int i = 0; i < 7; i++)
		(void)close(fds[i]);
}

int
srig_set_up(void **state)
{
	(void)state;
	srig_fail_at = 0;
	srig_deferring.fd = -1;
	dir_make(&srig_dir);
	dir_put(&srig_dir, "locals", "local.example\n");
	dir_put(&srig_dir, "users/assign",
	    "=joe:joe:2001:2001:/home/joe:::\n=ann:ann:2002:2002:/home/ann:::\n"
	    "=postmaster:joe:2001:2001:/home/joe:::\n.\n");
	dir_put(&srig_dir, "queuelifetime", "86400\n");
	return 0;
}

int
srig_tear_down(void **state)
{
	int status;

	(void)state;
	channel_close(&srig_queue);
	channel_close(&srig_bounces);
	channel_close(&srig_lspawn);
	channel_close(&srig_pspawn);
	channel_close(&srig_remote);
	channel_close(&srig_deferring);
	channel_close(&keyload);
	channel_close(&tls);
	(void)kill(srig_child, SIGKILL);
	(void)waitpid(srig_child, &status, 0);
	dir_remove(&srig_dir);
	return 0;
}

/* ---- messages ---- */

struct srig_message
srig_message(uint64_t age_s, uint32_t flags, const char *sender, const struct srig_recipient *recipients, unsigned n)
{
	static const char content[] = "Subject: test\r\n\r\nbody\r\n";
	struct srig_message m = { .id = id_next(&last_id, clock_wall_us()),
		.fd = memfd_create("queue file", MFD_CLOEXEC) };
	struct store_draft draft = STORE_DRAFT_NONE;
	struct store_facts facts = { .id = m.id, .flags = flags, .n_recipients = n, .uid = UINT32_MAX };
	struct why why = WHY_NONE;
	struct bytes octets;

	facts.received_us = clock_wall_us() - age_s * 1000000;
	facts.reverse = bytes_of_string(sender);
	facts.envid = facts.conn = BYTES("");
	facts.service = BYTES("smtpd");
	facts.trace = BYTES("Received: from test id \r\n");
	facts.id_at = facts.trace.len - 2;
	assert_int_equal(store_draft_begin(&draft, &facts, &why), OK);
	for (unsigned i = 0; i < n; i++) {
		struct store_recipient r = { bytes_of_string(recipients[i].address), BYTES(""), recipients[i].notify };

		assert_int_equal(store_draft_add(&draft, &r, &why), OK);
	}
	octets = store_draft_finish(&draft, sizeof content - 1, crc32c_add(0, bytes_of(content, sizeof content - 1)));
	assert_int_equal(write(m.fd, octets.at, octets.len), octets.len);
	assert_int_equal(write(m.fd, content, sizeof content - 1), sizeof content - 1);
	store_draft_free(&draft);
	return m;
}

struct srig_message
srig_simple(const char *recipient)
{
	struct srig_recipient r = { recipient, 0 };

	return srig_message(0, 0, "sender@far.example", &r, 1);
}

struct srig_message
srig_from(const char *sender)
{
	struct srig_recipient r = { "a@far.example", 0 };

	return srig_message(0, 0, sender, &r, 1);
}

static void
say_message(const struct srig_message *m, uint64_t ref)
{
	struct qs_message body = { .fresh = ref == 0 };
	struct why why = WHY_NONE;

	memcpy(body.id, m->id.text, sizeof body.id);
	assert_int_equal(channel_send(&srig_queue, QS_MESSAGE, ref, &body, BYTES_NONE, &m->fd, &why), OK);
}

void
announce(const struct srig_message *m)
{
	say_message(m, 0);
}

void
srig_announce_many(struct srig_message *m, unsigned n, uint32_t *credit)
{
	static struct wire_buffer room;
	struct why why = WHY_NONE;
	struct wire_message w;

	for (unsigned i = 0; i < n; i++) {
		struct pollfd p = { srig_queue.fd, POLLIN, 0 };

		while (poll(&p, 1, *credit == 0 ? 2000 : 0) > 0) {
			assert_int_equal(channel_receive(&srig_queue, &room, &w, &why), OK);
			assert_int_equal(w.type, QS_CREDIT);
			*credit += ((const struct qs_credit *)w.body)->n;
		}
		assert_true(*credit > 0);
		m->id = id_of_number(id_number(&m->id) + 1);
		announce(m);
		--*credit;
	}
}

unsigned
srig_resident_kib(void)
{
	char path[64], line[256];
	unsigned kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/status", srig_child);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "VmRSS: %u", &kib);
	(void)fclose(f);
	return kib;
}

void
answer_fetch(const struct srig_message *m, uint64_t ref)
{
	say_message(m, ref);
}

void
srig_say(uint16_t type, const struct srig_message *m)
{
	struct qs_name body = { .spare = 0 };
	struct why why = WHY_NONE;

	memcpy(body.id, m->id.text, sizeof body.id);
	assert_int_equal(channel_send(&srig_queue, type, 0, &body, BYTES_NONE, NULL, &why), OK);
}

struct wire_message
srig_receive(struct channel *c, uint16_t type)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	do {
		assert_int_equal(channel_receive(c, &buffer, &m, &why), OK);
	} while (c == &srig_queue && m.type == QS_CREDIT);
	assert_int_equal(m.type, type);
	return m;
}

static struct wire_message
about(const struct srig_message *of, uint16_t type)
{
	struct wire_message m = srig_receive(&srig_queue, type);

	assert_string_equal(((const struct qs_name *)m.body)->id, of->id.text);
	return m;
}

static void
assert_begins(struct bytes text, const char *begin)
{
	if (text.len < strlen(begin) || memcmp(text.at, begin, strlen(begin)) != 0)
		fail_msg("\"%.*s\" does not begin with \"%s\"", (int)text.len, (const char *)text.at, begin);
}

void
expect_status(const struct srig_message *of, uint32_t recipient, enum store_status status, const char *note_begins)
{
	struct wire_message m = about(of, QS_STATUS);
	const struct qs_status *body = m.body;

	assert_int_equal(body->recipient, recipient);
	assert_int_equal(body->status, status);
	assert_begins(m.tail, note_begins);
	assert_int_equal(store_put_status(of->fd, recipient, status), OK);
}

uint64_t
expect_later(const struct srig_message *of)
{
	struct wire_message m = about(of, QS_LATER);
	const struct qs_later *body = m.body;

	assert_int_equal(store_put_later(of->fd, body->attempts, body->due_at), OK);
	return body->due_at;
}

void
expect_done(const struct srig_message *of)
{
	(void)about(of, QS_DONE);
}

uint64_t
expect_fetch(const struct srig_message *of)
{
	return about(of, QS_FETCH).ref;
}

void
expect_silence(struct channel *c, unsigned ms)
{
	struct pollfd p = { c->fd, POLLIN, 0 };
	struct wire_message m;
	struct why why = WHY_NONE;

	while (poll(&p, 1, (int)ms) > 0) {
		assert_int_equal(channel_receive(c, &buffer, &m, &why), OK);
		assert_true(c == &srig_queue && m.type == QS_CREDIT);
	}
}

/* ---- deliveries ---- */

struct channel
expect_spawn(uint32_t uid)
{
	struct wire_message m = srig_receive(&srig_lspawn, SL_SPAWN);
	struct bytes fields[2];
	struct user_row row;
	int fd = m.fds[0];

	assert_true(wire_take_all(m.tail, fields, 2) && users_row_take(fields[1], &row));
	assert_int_equal(row.uid, uid);
	srig_be_patient(fd);
	return channel_of(fd, &send_local_protocol, SD_LOCAL, true);
}

uint64_t
expect_delivery(struct channel *local, const struct srig_message *of, const char *recipient)
{
	struct wire_message m = srig_receive(local, SD_DELIVER);
	struct bytes fields[4];

	wire_close_fds(&m);
	assert_string_equal(((const struct sd_deliver *)m.body)->id, of->id.text);
	assert_true(wire_take_all(m.tail, fields, 4));
	assert_true(bytes_equal(fields[1], bytes_of_string(recipient)));
	return m.ref;
}

void
deliver_answer(struct channel *local, uint64_t ref, enum sd_outcome outcome, const char *text)
{
	struct sd_result body = { .outcome = (uint8_t)outcome, .enhanced = { 9, 2, 3 } };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(local, SD_RESULT, ref, &body, bytes_of_string(text), NULL, &why), OK);
}

/* ---- reports ---- */

const char *
expect_report(const char *to, uint32_t flags, uint64_t *ref)
{
	static char text[65536];
	struct wire_message m = srig_receive(&srig_bounces, PQ_OPEN);
	const struct pq_open *open = m.body;
	struct pq_writer writer = { .id = "0000000000a" };
	struct bytes fields[8];
	struct why why = WHY_NONE;
	int fd = memfd_create("report", MFD_CLOEXEC);
	ssize_t n;

	*ref = m.ref;
	assert_int_equal(open->flags, flags);
	assert_true(wire_take_all(m.tail, fields, 8));
	assert_int_equal(fields[0].len, 0);
	assert_true(bytes_equal(fields[5], bytes_of_string(to)));
	assert_int_equal(channel_send(&srig_bounces, PQ_WRITER, m.ref, &writer, BYTES_NONE, &fd, &why), OK);
	m = srig_receive(&srig_bounces, PQ_COMMIT);
	assert_int_equal(m.ref, *ref);
	n = pread(fd, text, sizeof text - 1, 0);
	(void)close(fd);
	assert_int_equal(n, ((const struct pq_commit *)m.body)->octets);
	assert_int_equal(crc32c_add(0, bytes_of(text, (size_t)n)), ((const struct pq_commit *)m.body)->sum);
	text[n] = '\0';
	return text;
}

void
report_committed(uint64_t ref)
{
	struct pq_committed c = { .id = "0000000000a" };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&srig_bounces, PQ_COMMITTED, ref, &c, BYTES_NONE, NULL, &why), OK);
}

void
report_failed(uint64_t ref)
{
	struct pq_failed f = { EXHAUSTED };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&srig_bounces, PQ_FAILED, ref, &f, BYTES("as the test wants"), NULL, &why), OK);
}
