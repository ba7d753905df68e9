/* Signers and logins for connections of remote.
 * Trusts remote to say what the relay said, for nothing else: which name, password and certificate is never its choice.
 * Never tells remote a password: the line goes to the engine that had our demand, or where the route allows plain text. */
#include "send/credentials.h"

#include "base/base64.h"
#include "base/secret.h"
#include "send/send.h"
#include "sys/log.h"
#include "wire/policy_keyload.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNER_WAIT_MS 330000 /* a handshake may take five minutes */
#define LINE_MAX_OCTETS 2048
#define SALTED_MAX 16

/* The expensive part of a login at a relay: its salt and count are the same each time. */
struct salted {
	uint8_t of[SASL_HASH_LEN]; /* as scram_name_of_keys has it */
	struct scram_keys keys;
	uint64_t used;
};

static struct port keyload = { .channel.fd = -1 };
static struct salted salted[SALTED_MAX];
static uint64_t n_uses;

/* ---- signers ---- */

static enum result
nothing_expected(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	return why_set(why, MALFORMED, "keyload said something");
}

static void
line_ended(struct port *p, enum result r, struct why *why)
{
	(void)p;
	log_why("keyload", r, why); /* warden starts all of us anew */
}

static const struct port_events keyload_events = { nothing_expected, line_ended };

enum result
credentials_open(struct loop *loop, int keyload_fd, struct why *why)
{
	enum result r = sasl_open(why);

	keyload.channel.fd = -1;
	if (r != OK || keyload_fd < 0)
		return r;
	return port_open(&keyload, loop, channel_of(keyload_fd, &policy_keyload_protocol, PK_POLICY, false),
	    &keyload_events, ENGINE_LINE, why);
}

void
credentials_close(void)
{
	port_close(&keyload);
	secret_wipe(salted, sizeof salted);
}

enum result
credentials_buy_signer(const struct access *a, int *engine_fd, struct why *why)
{
	struct pk_signer ask = { .role = PK_TLS_CLIENT, .wait_ms = SIGNER_WAIT_MS };
	int pair[2];
	enum result r;

	if (!port_is_open(&keyload))
		return why_set(why, ABSENT, "keyload does not run");
	if ((r = channel_pair(pair, why)) != OK)
		return r;
	memcpy(ask.conn, a->conn, strnlen(a->conn, ID_LEN));
	r = port_send(&keyload, PK_SIGNER, 0, &ask, a->certificate, &pair[1], why);
	(void)close(pair[1]);
	if (r == OK)
		*engine_fd = pair[0];
	else
		(void)close(pair[0]);
	return r;
}

/* ---- SCRAM ---- */

static enum result
keys_for(const struct access *a, struct bytes salt, uint32_t iterations, struct scram_keys *keys, struct why *why)
{
	uint8_t of[SASL_HASH_LEN];
	struct salted *oldest = &salted[0];
	enum result r;

	if ((r = scram_name_of_keys(a->password, salt, iterations, of)) != OK)
		return why_set(why, r, "the salt can't be used");
	for (size_t i = 0; i < SALTED_MAX; i++) {
		if (salted[i].used > 0 &&
		    bytes_equal_constant_time(bytes_of(salted[i].of, sizeof of), bytes_of(of, sizeof of))) {
			salted[i].used = ++n_uses;
			*keys = salted[i].keys;
			return OK;
		}
		if (salted[i].used < oldest->used)
			oldest = &salted[i];
	}
	if ((r = scram_derive(a->password, salt, iterations, keys, why)) != OK)
		return r;
	memcpy(oldest->of, of, sizeof of);
	oldest->keys = *keys;
	oldest->used = ++n_uses;
	return OK;
}

static enum result
scram_final(struct credentials *k, const struct access *a, const struct rm_auth *auth, struct bytes tail,
    struct buf *text, struct buf *expected, struct why *why)
{
	uint8_t first_room[SASL_TEXT_MAX], proof[SASL_HASH_LEN];
	struct buf first = BUF_OVER(first_room);
	struct bytes f[3]; /* the challenge, its nonce, its salt */
	struct scram_keys keys;
	enum result r;

	if (!wire_take_all(tail, f, nitems(f)) || scram_client_begin(a->user, k->nonce, &first) != OK)
		return why_set(why, MALFORMED, "the relay's challenge can't be answered");
	if ((r = keys_for(a, f[2], auth->iterations, &keys, why)) == OK)
		r = scram_client_end(&keys, buf_bytes(&first), f[0], f[1], text, proof, why);
	secret_wipe(&keys, sizeof keys);
	if (r == OK)
		base64_encode(bytes_of(proof, sizeof proof), expected);
	return r;
}

/* ---- what is said in a step; base64 of `text` follows `word` ---- */

struct line {
	const char *word;
	struct buf text, expected;
	bool has_text;
	uint8_t text_room[SASL_TEXT_MAX], expected_room[64];
};

static enum result
begin(struct credentials *k, const struct access *a, struct line *l, struct why *why)
{
	enum result r = OK;

	l->has_text = k->mechanism == RM_PLAIN || k->mechanism == RM_SCRAM_SHA_256;
	switch ((enum rm_mechanism)k->mechanism) {
	case RM_PLAIN:
		l->word = "AUTH PLAIN ";
		r = sasl_plain_say(a->user, a->password, &l->text);
		break;
	case RM_LOGIN:
		l->word = "AUTH LOGIN";
		break;
	case RM_CRAM_MD5:
		l->word = "AUTH CRAM-MD5";
		break;
	case RM_SCRAM_SHA_256:
		l->word = "AUTH SCRAM-SHA-256 ";
		if ((r = sasl_nonce(k->nonce, why)) != OK)
			return r;
		r = scram_client_begin(a->user, k->nonce, &l->text);
		break;
	}
	return r == OK ? OK : why_set(why, r, "the name or password of the route can't be said");
}

static enum result
go_on(struct credentials *k, const struct access *a, const struct rm_auth *auth, struct bytes tail, struct line *l,
    struct why *why)
{
	struct bytes challenge;

	l->has_text = true;
	if (k->mechanism == RM_SCRAM_SHA_256)
		return scram_final(k, a, auth, tail, &l->text, &l->expected, why);
	if (k->mechanism == RM_LOGIN) {
		buf_add(&l->text, k->step == 1 ? a->user : a->password);
		return buf_result(&l->text);
	}
	if (!wire_take_all(tail, &challenge, 1) || sasl_cram_md5_say(a->user, a->password, challenge, &l->text) != OK)
		return why_set(why, REFUSED, "the relay's challenge can't be answered");
	return OK;
}

/* The connection's other end is the engine, which had our demand; or this route may do without TLS. */
static bool
may_carry(const struct credentials *k, int fd, bool plain)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof domain;

	if (securing_made(&k->securing, fd))
		return true;
	return plain && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain != AF_UNIX &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static enum result
say(const struct line *l, int fd, struct why *why)
{
	uint8_t room[LINE_MAX_OCTETS];
	struct buf line = BUF_OVER(room);
	ssize_t n;

	buf_add_string(&line, l->word);
	if (l->has_text)
		base64_encode(buf_bytes(&l->text), &line);
	buf_add_string(&line, "\r\n");
	if (line.failed)
		return why_set(why, EXHAUSTED, "the name or password of the route is too long");
	n = send(fd, line.at, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	secret_wipe(room, sizeof room);
	return n == (ssize_t)line.len ? OK : why_set(why, BROKEN, "the connection does not take a line");
}

static bool
is_in_turn(struct credentials *k, const struct access *a, const struct rm_auth *auth)
{
	static const uint8_t last_steps[] = {
		[RM_PLAIN] = 0, [RM_LOGIN] = 2, [RM_CRAM_MD5] = 1, [RM_SCRAM_SHA_256] = 1
	};

	if (a->user.len == 0 || auth->mechanism >= nitems(last_steps) || auth->step > last_steps[auth->mechanism] ||
	    (a->peer->auth & 1u << auth->mechanism) == 0)
		return false;
	if (auth->step > 0 && (auth->mechanism != k->mechanism || auth->step != k->step + 1))
		return false;
	return auth->step > 0 || ++k->n_logins <= LOGINS_MAX;
}

static enum result
log_in(struct credentials *k, const struct access *a, struct port *to, struct wire_message *m, struct why *why)
{
	struct line l = { .word = "", .text = BUF_OVER(l.text_room), .expected = BUF_OVER(l.expected_room) };
	struct rm_auth_said said = { .ok = 1 };
	const struct rm_auth *auth = m->body;
	struct why reason = WHY_NONE;
	enum result r;

	if (!is_in_turn(k, a, auth))
		return why_set(why, MALFORMED, "remote logs in out of turn");
	k->mechanism = auth->mechanism;
	k->step = auth->step;
	if (!may_carry(k, m->fds[0], a->plain))
		r = why_set(&reason, REFUSED, "a password is not said without TLS here");
	else if ((r = k->step == 0 ? begin(k, a, &l, &reason) : go_on(k, a, auth, m->tail, &l, &reason)) == OK)
		r = say(&l, m->fds[0], &reason);
	if (r == OK)
		r = port_send(to, RM_AUTH_SAID, m->ref, &said, buf_bytes(&l.expected), NULL, why);
	else {
		said.ok = 0;
		r = port_send(to, RM_AUTH_SAID, m->ref, &said, bytes_of_string(reason.text), NULL, why);
	}
	secret_wipe(&l, sizeof l);
	return r;
}

enum result
credentials_answer(
    struct credentials *k, const struct access *a, struct port *to, struct wire_message *m, struct why *why)
{
	if (m->type == RM_SECURE)
		return securing_begin(&k->securing, a, to, m, why);
	if (m->type == RM_AUTH)
		return log_in(k, a, to, m, why);
	return why_set(why, MALFORMED, "remote asks for what is not known here");
}
