/* The mechanisms, as far as the client's words go.
 * Trusts nothing that a client said: each message is cut by lib/crypt, each length is bounded.
 * Never decides whether a password is right. */
#include "auth/auth.h"

#include "base/secret.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NOT_A_NAME "that can be no name"
#define NOT_A_PASSWORD "that can be no password"

static void
malformed(struct exchange *e)
{
	exchange_end(e, 501, 5, 2, "that is not what this mechanism says");
}

/* Somebody tried to log in, with a name or a password that can be nobody's: 535 as for any other failure, and a line that names him.
 * name: what he said where a name belongs, never what may be a password. */
static void
impossible(struct exchange *e, struct bytes name, const char *why)
{
	name = bytes_first(name, sizeof e->name);
	if (name.len > 0)
		memcpy(e->name, name.at, name.len);
	e->name_len = (uint16_t)name.len;
	judge_failed(e, why);
}

static bool
copy(struct bytes from, void *into, size_t size, uint16_t *len)
{
	if (from.len > size)
		return false;
	if (from.len > 0)
		memcpy(into, from.at, from.len);
	*len = (uint16_t)from.len;
	return true;
}

bool
mechanism_set_name(struct exchange *e, struct bytes name)
{
	if (name.len == 0 || name.len > sizeof e->name)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] <= ' ' || name.at[i] == 0x7f)
			return false;
		e->name[i] = ascii_lower(name.at[i]);
	}
	e->name_len = (uint16_t)name.len;
	return true;
}

/* A password is at most SASL_NAME_MAX octets, none of them zero: a table's hash is of a string. */
static bool
set_password(struct exchange *e, struct bytes password)
{
	return password.len > 0 && bytes_find(password, '\0') == password.len &&
	    copy(password, e->password, sizeof e->password, &e->password_len);
}

static void
take_plain(struct exchange *e, struct bytes said)
{
	struct bytes other, name, password;

	if (sasl_plain_take(said, &other, &name, &password) != OK)
		impossible(e, name, "is not NUL, name, NUL, password");
	else if (!mechanism_set_name(e, name))
		impossible(e, name, NOT_A_NAME);
	else if (!set_password(e, password))
		judge_failed(e, NOT_A_PASSWORD);
	else if (other.len > 0 && !bytes_equal_nocase(other, name))
		judge_failed(e, "wants to act as another one");
	else
		judge(e);
}

static void
take_login(struct exchange *e, struct bytes said)
{
	if (e->phase == PHASE_FIRST) {
		if (!mechanism_set_name(e, said)) {
			impossible(e, said, NOT_A_NAME);
			return;
		}
		e->phase = PHASE_PASSWORD;
		exchange_say(e, BYTES("Password:"));
	} else if (!set_password(e, said))
		judge_failed(e, NOT_A_PASSWORD);
	else
		judge(e);
}

/* CRAM-MD5 and APOP: a name and a digest */
static void
take_digest(struct exchange *e, struct bytes said)
{
	struct bytes name, digest;

	if (sasl_cram_md5_take(said, &name, &digest) != OK || !copy(digest, e->first, sizeof e->first, &e->first_len))
		impossible(
		    e, bytes_find(said, ' ') < said.len ? name : BYTES(""), "is not a name, a blank and a digest");
	else if (!mechanism_set_name(e, name))
		impossible(e, name, NOT_A_NAME);
	else
		judge(e);
}

static void
take_external(struct exchange *e, struct bytes said)
{
	struct bytes list = bytes_of(e->emails, e->emails_len), one;
	bool fits = false;

	while (!fits && wire_take(&list, &one))
		fits = said.len == 0 || bytes_equal_nocase(said, one);
	if (!mechanism_set_name(e, fits ? one : said))
		impossible(e, said, NOT_A_NAME);
	else if (!fits)
		judge_failed(e, "is no address of the certificate");
	else
		judge(e);
}

/* ---- SCRAM ---- */

static bool
is_bound(const struct exchange *e)
{
	return e->mechanism == SP_SCRAM_SHA_256_PLUS;
}

static void
take_scram_first(struct exchange *e, struct bytes said)
{
	struct buf message = BUF_OVER(e->server_first);
	uint8_t room[SASL_NAME_MAX];
	struct buf name = BUF_OVER(room);
	char nonce[SASL_NONCE_LEN + 1];
	struct scram_first f;
	struct scram_verifier v;
	struct why why = WHY_NONE;

	if (!copy(said, e->first, sizeof e->first, &e->first_len) ||
	    scram_first_take(said, is_bound(e), &f, &why) != OK || scram_name(f.name, &name) != OK) {
		malformed(e);
		return;
	}
	if (!mechanism_set_name(e, buf_bytes(&name))) {
		impossible(e, buf_bytes(&name), NOT_A_NAME);
		return;
	}
	if (f.other.len > 0 && !bytes_equal_nocase(f.other, f.name))
		judge_failed(e, "wants to act as another one");
	else if (f.header.at[0] == 'y' && e->binding_len > 0) /* RFC 5802 6: somebody took -PLUS out of the offer */
		judge_failed(e, "was not offered the channel binding that is there");
	else if (judge_verifier(e, &v) != OK || sasl_nonce(nonce, &why) != OK ||
	    scram_server_begin(f.nonce, nonce, bytes_of(v.salt, v.salt_len), v.iterations, &message) != OK)
		judge_trouble(e, "no SCRAM message can be made");
	else {
		memcpy(e->keys.stored, v.stored, sizeof e->keys.stored);
		memcpy(e->keys.server, v.server, sizeof e->keys.server);
		e->server_first_len = (uint16_t)message.len;
		e->phase = PHASE_SCRAM_FINAL;
		exchange_say(e, buf_bytes(&message));
	}
}

/* The proof is looked at by judge, when it is this exchange's turn. */
static void
take_scram_final(struct exchange *e, struct bytes said)
{
	if (copy(said, e->challenge, sizeof e->challenge, &e->challenge_len))
		judge(e);
	else
		malformed(e);
}

/* ---- all ---- */

static void
make_challenge(struct exchange *e)
{
	uint64_t random[2];
	int n;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
		judge_trouble(e, "no randomness");
		return;
	}
	n = snprintf((char *)e->challenge, sizeof e->challenge, "<%llx.%llx@%.*s>", (unsigned long long)random[0],
	    (unsigned long long)random[1], (int)e->auth->me.len, (const char *)e->auth->me.at);
	e->challenge_len = (uint16_t)n;
	exchange_say(e, bytes_of(e->challenge, e->challenge_len));
}

void
mechanism_begin(struct exchange *e)
{
	switch (e->mechanism) {
	case SP_LOGIN:
		exchange_say(e, BYTES("Username:"));
		break;
	case SP_CRAM_MD5:
		make_challenge(e);
		break;
	case SP_APOP:
		malformed(e); /* its challenge was in the greeting */
		break;
	default:
		exchange_say(e, BYTES(""));
		break;
	}
}

void
mechanism_take(struct exchange *e, struct bytes said)
{
	e->began_ms = clock_ms();
	if (e->phase == PHASE_SCRAM_END) {
		judge_proven(e);
		return;
	}
	if (e->phase == PHASE_SCRAM_FINAL) {
		take_scram_final(e, said);
		return;
	}
	switch (e->mechanism) {
	case SP_PLAIN:
		take_plain(e, said);
		break;
	case SP_LOGIN:
		take_login(e, said);
		break;
	case SP_CRAM_MD5:
	case SP_APOP:
		take_digest(e, said);
		break;
	case SP_EXTERNAL:
		take_external(e, said);
		break;
	default:
		take_scram_first(e, said);
		break;
	}
}
