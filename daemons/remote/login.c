/* AUTH to a relay. Name and password are not here: send says them, straight into the connection; this process reads replies.
 * Trusts send for the passwords; the peer for which mechanisms it knows, its challenges for nothing but their form.
 * Never goes on after a relay that fails to prove that it knows the password. Never lets a password go out without TLS unless the route says that it may. */
#include "remote/remote.h"

#include "base/base64.h"
#include "sys/log.h"

#include <string.h>

#define SCRAM_MIN 4096
#define SCRAM_MAX 200000

/* What came of one mechanism. */
enum login {
	LOGIN_DONE,
	LOGIN_REFUSED, /* by the relay, or it or this host can't do it: the next one may be better */
	LOGIN_OVER,    /* the connection is lost, or the relay is not who it should be */
};

static const struct {
	unsigned can;
	uint8_t mechanism; /* enum rm_mechanism */
	uint8_t last_step;
	const char *name;
} by_strength[] = {
	{ SMTP_CAN_SCRAM_SHA_256, RM_SCRAM_SHA_256, 1, "SCRAM-SHA-256" },
	{ SMTP_CAN_CRAM_MD5, RM_CRAM_MD5, 1, "CRAM-MD5" },
	{ SMTP_CAN_PLAIN, RM_PLAIN, 0, "PLAIN" },
	{ SMTP_CAN_LOGIN, RM_LOGIN, 2, "LOGIN" },
};

/* send writes the next line; the tail is what it needs for that. In *expected: the server's signature, of SCRAM. */
static enum login
have_said(struct session *s, const struct rm_auth *auth, struct bytes tail, struct buf *expected, struct outcome *o)
{
	struct why why = WHY_NONE;
	const struct rm_auth_said *said;
	struct wire_message m;
	enum result r;

	r = talk_flush(&s->line.talk, session_limit(s, MINUTES(5)), &why);
	if (r == OK)
		r = session_ask(s, RM_AUTH, auth, tail, &s->line.talk.fd, &m, &why);
	if (r != OK) {
		s->line.lost = true;
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 2, "%s", why.text);
		return LOGIN_OVER;
	}
	said = m.body;
	wire_close_fds(&m);
	if (m.type != RM_AUTH_SAID || !said->ok) {
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "authentication: %.*s", (int)m.tail.len,
		    (const char *)m.tail.at);
		return LOGIN_REFUSED;
	}
	buf_add(expected, m.tail);
	return LOGIN_DONE;
}

static bool
hear(struct session *s, struct smtp_reply *reply, struct outcome *o)
{
	struct why why = WHY_NONE;

	if (talk_reply(&s->line.talk, session_limit(s, MINUTES(5)), reply, NULL, &why) == OK) {
		s->line.lost |= reply->code == 421;
		return true;
	}
	s->line.lost = true;
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 2, "%s", why.text);
}

static struct bytes
challenge_of(const struct smtp_reply *reply)
{
	return smtp_reply_words(reply);
}

/* "r=…,s=…,i=…" into what send is to have of it (RFC 5802 7) */
static bool
scram_challenge(struct bytes text, struct rm_auth *auth, struct buf *tail)
{
	struct bytes rest = text, nonce, salt, count;
	uint8_t room[256];
	struct buf decoded = BUF_OVER(room);
	uint64_t n;

	if (!bytes_split(&rest, ',', &nonce) || !bytes_split(&rest, ',', &salt) || !bytes_split(&rest, ',', &count) ||
	    !bytes_starts(nonce, BYTES("r=")) || !bytes_starts(salt, BYTES("s=")) ||
	    !bytes_starts(count, BYTES("i=")) || !bytes_to_number(bytes_skip(count, 2), SCRAM_MAX, &n) ||
	    n < SCRAM_MIN || base64_decode(bytes_skip(salt, 2), &decoded) != OK || decoded.failed)
		return false;
	auth->iterations = (uint32_t)n;
	wire_put(tail, text);
	wire_put(tail, bytes_skip(nonce, 2));
	wire_put(tail, buf_bytes(&decoded));
	return !tail->failed;
}

/* The peer's challenge into the tail of the next RM_AUTH. */
static bool
take_challenge(const struct smtp_reply *reply, struct rm_auth *auth, struct buf *tail, struct outcome *o)
{
	uint8_t room[1024];
	struct buf decoded = BUF_OVER(room);
	bool good = base64_decode(challenge_of(reply), &decoded) == OK && !decoded.failed;

	buf_clear(tail);
	if (auth->mechanism == RM_LOGIN)
		return true; /* "Username:" and the like, in whatever form */
	if (good && auth->mechanism == RM_SCRAM_SHA_256)
		good = scram_challenge(buf_bytes(&decoded), auth, tail);
	else if (good)
		wire_put(tail, buf_bytes(&decoded));
	if (good && !tail->failed)
		return true;
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "authentication: the challenge makes no sense");
}

/* After the client's final message: "v=…" is in a challenge of its own, or in the reply. */
static bool
scram_end(struct session *s, struct smtp_reply *reply, struct bytes expected, struct outcome *o)
{
	uint8_t room[512], want_room[512];
	struct buf decoded = BUF_OVER(room), want = BUF_OVER(want_room);
	bool in_challenge = reply->code == 334;
	struct bytes text = challenge_of(reply);

	if (in_challenge) {
		buf_add_string(&s->line.talk.out, "\r\n");
		if (base64_decode(text, &decoded) != OK)
			buf_clear(&decoded);
		if (!hear(s, reply, o))
			return false;
	} else if (reply->code == 235) {
		text = bytes_skip(text, bytes_find_last(text, ' ') == text.len ? 0 : bytes_find_last(text, ' ') + 1);
		(void)(base64_decode(text, &decoded) == OK);
	}
	buf_add_string(&want, "v=");
	buf_add(&want, expected);
	if (reply->code != 235 || bytes_equal(buf_bytes(&decoded), buf_bytes(&want)) ||
	    (!in_challenge && decoded.len == 0)) /* a server that leaves it out proves nothing, but TLS has */
		return true;
	return outcome_set(
	    o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "authentication: the relay does not know the password that it asks for");
}

/* The relay waits for a line that it does not get (RFC 4954 4): with its reply the exchange is over, and commands are again. */
static enum login
cancel(struct session *s, struct outcome *o)
{
	struct smtp_reply reply;
	struct outcome lost;

	buf_add_string(&s->line.talk.out, "*\r\n");
	if (hear(s, &reply, &lost) && reply.code != 334)
		return s->line.lost ? LOGIN_OVER : LOGIN_REFUSED;
	if (!s->line.lost)
		(void)outcome_set(
		    &lost, RM_TEMPORARY, RM_OF_PEER, 7, 0, "authentication: the relay does not let it be given up");
	s->line.lost = true;
	*o = lost;
	return LOGIN_OVER;
}

/* a password can be put right: no mail is returned for it */
static enum login
refused(struct session *s, const struct smtp_reply *reply, struct outcome *o)
{
	(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 8, "authentication was refused: %.300s", reply->text);
	return s->line.lost ? LOGIN_OVER : LOGIN_REFUSED;
}

static enum login
converse(struct session *s, struct rm_auth *auth, unsigned last_step, struct smtp_reply *reply, struct outcome *o)
{
	uint8_t room[2048], expected_room[128];
	struct buf tail = BUF_OVER(room), expected = BUF_OVER(expected_room);
	enum login l;

	for (;; auth->step++) {
		buf_clear(&expected);
		l = have_said(s, auth, buf_bytes(&tail), &expected, o);
		if (l != LOGIN_DONE)
			return l == LOGIN_REFUSED && auth->step > 0 ? cancel(s, o) : l;
		if (!hear(s, reply, o))
			return LOGIN_OVER;
		if (auth->step == last_step)
			break;
		if (reply->code == 235)
			return LOGIN_DONE;
		if (reply->code != 334)
			return refused(s, reply, o);
		if (!take_challenge(reply, auth, &tail, o))
			return cancel(s, o);
	}
	if (auth->mechanism == RM_SCRAM_SHA_256 && !scram_end(s, reply, buf_bytes(&expected), o))
		return LOGIN_OVER; /* not with a password in clear to one that does not know it */
	if (reply->code == 235)
		return LOGIN_DONE;
	l = refused(s, reply, o);
	return reply->code == 334 && l == LOGIN_REFUSED ? cancel(s, o) : l;
}

static void
log_next(const struct session *s, const char *refused_name, const char *next_name, const struct outcome *o)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "login-refused");
	log_text(&l, "conn", s->order.peer.conn);
	log_text(&l, "host", s->line.host->name);
	log_text(&l, "mechanism", refused_name);
	log_text(&l, "next", next_name);
	log_text(&l, "why", o->text);
	log_end(&l);
}

static bool
nothing_in_common(const struct session *s, bool may, struct outcome *o)
{
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0,
	    may ? "%s offers no way to log in that this host knows and relaymechanisms allows"
		: "%s can't be authenticated to without TLS",
	    s->line.host->name);
}

/* The relay's word on the password is worth more than that it does not know a mechanism. */
static void
keep_worst(struct outcome *all, const struct outcome *one)
{
	if (strstr(all->text, "refused: 535") == NULL)
		*all = *one;
}

bool
line_log_in(struct session *s, struct outcome *o)
{
	const uint8_t allowed = s->order.peer.auth;
	bool may = s->line.secure || s->order.peer.auth_plain;
	struct outcome one = { .text = "" };
	const char *before = NULL;

	o->text[0] = '\0';
	for (size_t i = 0; i < nitems(by_strength); i++) {
		struct rm_auth auth = { .mechanism = by_strength[i].mechanism };
		struct smtp_reply reply = SMTP_REPLY_NONE;
		enum login l;

		if (!may || (s->line.offer.can & by_strength[i].can) == 0 ||
		    (allowed & 1u << by_strength[i].mechanism) == 0)
			continue;
		if (before != NULL)
			log_next(s, before, by_strength[i].name, &one);
		if ((l = converse(s, &auth, by_strength[i].last_step, &reply, &one)) == LOGIN_DONE)
			return true;
		keep_worst(o, &one);
		if (l == LOGIN_OVER)
			return false;
		before = by_strength[i].name;
	}
	return before == NULL ? nothing_in_common(s, may, o) : false;
}
