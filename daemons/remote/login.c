/* AUTH to a relay. Name and password are not here: send says them, straight into the connection; this process reads replies.
 * Trusts send for the passwords; the peer for which mechanisms it knows, its challenges for nothing but their form.
 * Never lets a password go out without TLS unless the route says that it may. */
#include "remote/remote.h"

#include "base/base64.h"

#include <string.h>

#define SCRAM_MIN 4096
#define SCRAM_MAX 200000

static bool
choose(const struct session *s, enum rm_mechanism *m, struct outcome *o)
{
	static const struct {
		unsigned can;
		enum rm_mechanism mechanism;
		bool says_password;
	} by_strength[] = {
		{ SMTP_CAN_SCRAM_SHA_256, RM_SCRAM_SHA_256, false },
		{ SMTP_CAN_CRAM_MD5, RM_CRAM_MD5, false },
		{ SMTP_CAN_PLAIN, RM_PLAIN, true },
		{ SMTP_CAN_LOGIN, RM_LOGIN, true },
	};
	bool may = s->line.secure || s->order.peer.auth_plain;

	for (size_t i = 0; i < nitems(by_strength); i++)
		if ((s->line.offer.can & by_strength[i].can) != 0 && may) {
			*m = by_strength[i].mechanism;
			return true;
		}
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0,
	    may ? "%s offers no authentication that this host knows (it offers neither SCRAM-SHA-256, CRAM-MD5, PLAIN "
		  "nor LOGIN)"
		: "%s can't be authenticated to without TLS",
	    s->line.host->name);
}

/* send writes the next line; `challenge` is what it needs for it. In *expected: the server's signature, of SCRAM. */
static bool
have_said(struct session *s, const struct rm_auth *auth, struct bytes tail, struct buf *expected, struct outcome *o)
{
	struct why why = WHY_NONE;
	const struct rm_auth_said *said;
	struct wire_message m;
	enum result r;

	r = talk_flush(&s->line.talk, session_limit(s, MINUTES(5)), &why);
	if (r == OK)
		r = session_ask(s, RM_AUTH, auth, tail, &s->line.talk.fd, &m, &why);
	if (r != OK)
		return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 2, "%s", why.text);
	said = m.body;
	wire_close_fds(&m);
	if (m.type != RM_AUTH_SAID || !said->ok)
		return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "authentication: %.*s", (int)m.tail.len,
		    (const char *)m.tail.at);
	if (expected != NULL)
		buf_add(expected, m.tail);
	return true;
}

static bool
hear(struct session *s, struct smtp_reply *reply, struct outcome *o)
{
	struct why why = WHY_NONE;

	if (talk_reply(&s->line.talk, session_limit(s, MINUTES(5)), reply, NULL, &why) == OK)
		return true;
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

static bool
converse(struct session *s, struct rm_auth *auth, struct smtp_reply *reply, struct outcome *o)
{
	static const uint8_t last_steps[] = {
		[RM_PLAIN] = 0, [RM_LOGIN] = 2, [RM_CRAM_MD5] = 1, [RM_SCRAM_SHA_256] = 1
	};
	uint8_t room[2048], expected_room[128];
	struct buf tail = BUF_OVER(room), expected = BUF_OVER(expected_room);

	for (;;) {
		buf_clear(&expected);
		if (!have_said(s, auth, buf_bytes(&tail), &expected, o) || !hear(s, reply, o))
			return false;
		if (auth->step == last_steps[auth->mechanism])
			break;
		if (reply->code != 334)
			return true; /* refused: the caller looks at the code */
		if (!take_challenge(reply, auth, &tail, o))
			return false;
		auth->step++;
	}
	return auth->mechanism != RM_SCRAM_SHA_256 || scram_end(s, reply, buf_bytes(&expected), o);
}

bool
line_log_in(struct session *s, struct outcome *o)
{
	struct rm_auth auth = { .step = 0 };
	struct smtp_reply reply = SMTP_REPLY_NONE;
	enum rm_mechanism m = RM_SCRAM_SHA_256;

	if (!choose(s, &m, o))
		return false;
	auth.mechanism = (uint8_t)m;
	if (!converse(s, &auth, &reply, o))
		return false;
	if (reply.code == 235)
		return true;
	/* a password can be put right: no mail is returned for it */
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 8, "authentication was refused: %.300s", reply.text);
}
