/* Fuzz target: auth, as policy may speak to it in the name of clients who say anything, and as a policy taken over may.
 * Input: records of an octet (bits 0 and 1: PA_BEGIN, PA_RESPONSE, PA_FORGET, a packet as it is; bits 2 and 3: of which session;
 * bit 4: what is said is base64 already), two octets of length, and what is said. Of PA_BEGIN that is an octet for the mechanism, one
 * for flags, then lines: initial response, timestamp, addresses of the certificate, binding.
 * A finding is a crash, an answer that can't be, or somebody let in whom the table does not have. Hashes of crypt(5) are played. */
#include "auth/auth.h"
#include "auth/privileges.h"
#include "base/base64.h"
#include "control/decode.h"
#include "crypt/sasl.h"

#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SESSIONS 4
#define PACKETS_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char passwords[] =
    "alice:$y$j9T$abcdefghijkl$x\nbob:clear=eA==\ngone:clear=eA== disabled\n"
    "carol:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
static const char authuser[] = "dora:%9dd4e461268c8034f5c8564e155c67a6\nerin:=xyz\n!left\n";

static struct control control = CONTROL_NONE;
static struct auth auth;
static struct job *done;
static bool by_password[SESSIONS], by_certificate[SESSIONS]; /* what was begun: answers come after all is said */

static void
must(bool fine)
{
	if (!fine)
		abort();
}

/* ---- in the place of libcrypt and of threads ---- */

char *
crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	(void)snprintf(data, (size_t)size, "%s", phrase[0] == 'x' && phrase[1] == '\0' ? setting : "$y$another");
	return data;
}

enum result
workers_open(struct workers *w, unsigned n, struct why *why)
{
	(void)n;
	*w = (struct workers){ .event_fd = eventfd(0, EFD_CLOEXEC) };
	return w->event_fd >= 0 ? OK : why_set(why, EXHAUSTED, "no eventfd");
}

struct job *
workers_job(struct workers *w)
{
	(void)w;
	return calloc(1, sizeof(struct job));
}

void
workers_submit(struct workers *w, struct job *j)
{
	struct scram_keys k;
	struct why why = WHY_NONE;
	char room[64 + PASSWORD_HASH_MAX];

	(void)w;
	if (j->kind == JOB_CRYPT)
		j->fits = strcmp(crypt_rn(j->password, j->hash, room, sizeof room), j->hash) == 0;
	else
		j->fits = scram_derive(bytes_of(j->password, j->password_len),
			      bytes_of(j->verifier.salt, j->verifier.salt_len), SCRAM_ITERATIONS_MIN, &k, &why) == OK &&
		    memcmp(k.stored, j->verifier.stored, sizeof k.stored) == 0;
	done = j;
	judge_hashed(&auth);
}

struct job *
workers_collect(struct workers *w)
{
	struct job *j = done;

	(void)w;
	done = NULL;
	return j;
}

void
workers_drop(struct workers *w, struct job *j)
{
	(void)w;
	free(j);
}

/* ---- the table ---- */

static void
decode(struct control_source *s, enum control_item item, const char *text)
{
	struct control_data *to = &s->items[item];
	struct decoder d = { .source = s,
		.item = item,
		.schema = &control_schema[item],
		.file = "fuzz",
		.rest = bytes_of_string(text),
		.value = &to->value,
		.table = &to->table,
		.seen = &to->seen };

	decode_text(&d);
	must(!d.failed);
}

static void
open_control(void)
{
	struct control_source s = {
		.from = { .etc = "/etc", .service = "submission", .readers = BY_AUTH }, .etc_fd = -1, .service_fd = -1
	};
	struct why why = WHY_NONE;
	int fd;

	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s.items[i] = (struct control_data){ .value = buf_growing(1u << 16), .table = buf_growing(1u << 16) };
	decode(&s, ITEM_ME, "mx.example.org");
	decode(&s, ITEM_PASSWORDS, passwords);
	decode(&s, ITEM_AUTHUSER, authuser);
	must(control_seal(&s, "auth", &fd, &why) == OK && control_open(&control, fd, "auth", &why) == OK);
	control_forget(&s);
}

/* ---- policy's side ---- */

static struct bytes
take_line(struct bytes *rest)
{
	struct bytes line = bytes_first(*rest, bytes_find(*rest, '\n'));

	*rest = bytes_skip(*rest, line.len + 1);
	return line;
}

static void
put_said(struct buf *b, struct bytes said, bool as_it_is)
{
	if (as_it_is)
		buf_add(b, said);
	else
		base64_encode(said, b);
}

static void
begin(struct channel *c, uint32_t session, struct bytes text, bool as_it_is)
{
	struct pa_begin begin = { .family = LP_IPV4, .conn = "12345678901" };
	uint8_t room[5000], encoded_room[4000];
	struct buf tail = BUF_OVER(room), encoded = BUF_OVER(encoded_room);
	struct why why = WHY_NONE;

	if (text.len < 2)
		return;
	begin.mechanism = text.at[0];
	begin.initial = text.at[1] & 1;
	begin.secure = text.at[1] >> 1 & 1;
	begin.family = text.at[1] & 4 ? text.at[1] >> 4 : LP_IPV4;
	begin.remote[0] = (uint8_t)session;
	text = bytes_skip(text, 2);
	put_said(&encoded, take_line(&text), as_it_is);
	wire_put(&tail, buf_bytes(&encoded));
	wire_put(&tail, take_line(&text));
	wire_put(&tail, take_line(&text));
	wire_put(&tail, text);
	if (encoded.failed || tail.failed)
		return;
	*(begin.mechanism == SP_EXTERNAL ? &by_certificate[session] : &by_password[session]) = true;
	(void)!(channel_send(c, PA_BEGIN, session, &begin, buf_bytes(&tail), NULL, &why) == OK);
}

static void
respond(struct channel *c, uint32_t session, struct bytes text, bool as_it_is)
{
	uint8_t room[SP_SASL_MAX];
	struct buf said = BUF_OVER(room);
	struct why why = WHY_NONE;

	put_said(&said, text, as_it_is);
	if (!said.failed)
		(void)!(channel_send(c, PA_RESPONSE, session, NULL, buf_bytes(&said), NULL, &why) == OK);
}

static void
say_all(struct channel *c, const uint8_t *data, size_t size)
{
	struct why why = WHY_NONE;
	size_t at = 0;

	for (unsigned n = 0; n < PACKETS_MAX && at + 3 <= size; n++) {
		uint8_t how = data[at];
		uint32_t session = how >> 2 & (SESSIONS - 1);
		size_t len = (size_t)(data[at + 1] << 8 | data[at + 2]);
		struct bytes text = bytes_first(bytes_of(data + at + 3, size - at - 3), len);

		at += 3 + text.len;
		if ((how & 3) == 0)
			begin(c, session, text, how & 16);
		else if ((how & 3) == 1)
			respond(c, session, text, how & 16);
		else if ((how & 3) == 2)
			(void)!(channel_send(c, PA_FORGET, session, NULL, BYTES_NONE, NULL, &why) == OK);
		else if (text.len > 0)
			(void)!send(c->fd, text.at, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static bool
may_log_in(struct bytes user)
{
	static const char *const names[] = { "alice", "bob", "carol", "dora", "erin" };

	for (size_t i = 0; i < nitems(names); i++)
		if (bytes_equal(user, bytes_of_string(names[i])))
			return true;
	return false;
}

static void
look_at(const struct wire_message *m)
{
	const struct pa_result *result = m->body;
	uint8_t room[SP_SASL_MAX];
	struct buf text = BUF_OVER(room);
	struct bytes fields[2];

	if (m->type == PA_CHALLENGE) {
		must(base64_decode(m->tail, &text) == OK);
		return;
	}
	must(m->type == PA_RESULT && wire_take_all(m->tail, fields, 2) && fields[1].len > 0);
	must(result->code == 235 || result->code == 454 || result->code == 501 || result->code == 535);
	must((result->code == 235) == (fields[0].len > 0));
	if (result->code != 235 || m->ref >= SESSIONS || by_certificate[m->ref])
		return;
	must(!by_password[m->ref] || may_log_in(fields[0]));
}

/* ---- one run of it ---- */

/* Descriptors up to here stay where they are; what auth may have and has not is no channel. */
static void
keep_numbers(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	while (null >= 0 && null < 20)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	must(null >= 0 && dup2(null, AUTH_LSPAWN_FD) >= 0 && dup2(null, AUTH_AUTHRUN_FD) >= 0);
	(void)close(null);
}

/* What a conversation that ended early has left. */
static void
clean_up(void)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct exchange *e; (e = auth.buckets[i]) != NULL;) {
			auth.buckets[i] = e->next;
			loop_cancel(&auth.loop, &e->turn);
			free(e);
		}
	auth.n_exchanges = 0;
	if (port_is_open(&auth.policy))
		port_close(&auth.policy);
	loop_close(&auth.loop);
	(void)close(auth.workers.event_fd);
	auth = (struct auth){ .n_exchanges = 0 };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct channel policy;
	struct why why = WHY_NONE;
	int pair[2];

	if (control.fd < 0) {
		keep_numbers();
		open_control();
	}
	if (size > 20000)
		return 0;
	memset(by_password, 0, sizeof by_password);
	memset(by_certificate, 0, sizeof by_certificate);
	must(fcntl(AUTH_POLICY_FD, F_GETFD) >= 0 || dup2(AUTH_LSPAWN_FD, AUTH_POLICY_FD) >= 0);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	must(dup2(pair[1], AUTH_POLICY_FD) == AUTH_POLICY_FD);
	(void)close(pair[1]);
	policy = channel_of(pair[0], &policy_auth_protocol, PA_POLICY, false);
	say_all(&policy, data, size);
	for (uint32_t i = 0; i < SESSIONS; i++)
		(void)!(channel_send(&policy, PA_FORGET, i, NULL, BYTES_NONE, NULL, &why) == OK);
	(void)shutdown(pair[0], SHUT_WR);
	(void)!(auth_run(&auth, &control, "submission", &why) == OK);
	while (channel_receive(&policy, &buffer, &m, &why) == OK)
		look_at(&m);
	channel_close(&policy);
	clean_up();
	return 0;
}
