/* Whether somebody is who he says he is.
 * Trusts the table of passwords.
 * Never tells by its words or by the time it takes whether a name is known; never keeps a password once it is judged. */
#include "auth/auth.h"

#include "base/secret.h"
#include "control/users.h"
#include "crypt/digest.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- the log: a line a failure, with the address ---- */

static struct bytes
address_of(const struct exchange *e)
{
	return bytes_of(e->remote, e->family == LP_IPV4 ? 4 : e->family == LP_IPV6 ? 16 : 0);
}

static void
log_outcome(const struct exchange *e, const char *event, const char *why)
{
	char peer[INET6_ADDRSTRLEN] = "local";
	struct log_line l;

	if (e->family != LP_UNIX)
		(void)inet_ntop(e->family == LP_IPV4 ? AF_INET : AF_INET6, e->remote, peer, sizeof peer);
	log_begin(&l, SEVERITY_INFO, event);
	log_text(&l, "conn", e->conn);
	log_text(&l, "peer", peer);
	log_text(&l, "mechanism", sp_mechanism_names[e->mechanism]);
	log_text(&l, "tls", e->secure ? "yes" : "no");
	log_bytes(&l, "user", exchange_name(e));
	log_text(&l, "why", why);
	log_end(&l);
}

/* ---- ends ---- */

static void
tell_failure(struct loop *loop, struct timer *t)
{
	(void)loop;
	exchange_end(container_of(t, struct exchange, turn), 535, 7, 8, "authentication failed");
}

/* What is known of a name shows in the time that it takes: hashes differ in their cost. So failures are told at whole multiples
 * of pace_ms after the client's last word. */
void
judge_failed(struct exchange *e, const char *why)
{
	uint64_t pace = e->auth->pace_ms, now = clock_ms();

	log_outcome(e, "auth-failed", why);
	e->phase = PHASE_BUSY;
	e->turn.due = tell_failure;
	if (pace == 0 || loop_at(&e->auth->loop, &e->turn, now + pace - (now - e->began_ms) % pace) != OK)
		tell_failure(&e->auth->loop, &e->turn);
}

void
judge_trouble(struct exchange *e, const char *why)
{
	log_outcome(e, "auth-trouble", why);
	exchange_end(e, 454, 7, 0, "authentication is not possible now, try again later");
}

/* POP3 needs a mailbox, too, of somebody as whom lspawn starts a process. Null: there is one; else what is wrong. */
static const char *
lacks_mailbox(const struct exchange *e)
{
	struct destination d;
	enum result r = users_route(e->auth->control, exchange_name(e), &d);

	if (r == REFUSED)
		return user_refusal_text(d.user.refusal);
	if (r != OK && r != ABSENT)
		return "the table of users can't be read";
	return r == OK && d.route == ROUTE_LOCAL ? NULL : "the user has no mailbox";
}

static void
succeeded(struct exchange *e)
{
	struct backoff *b = &e->auth->backoff;
	const char *lack = e->auth->is_pop3 ? lacks_mailbox(e) : NULL;

	if (lack != NULL) {
		log_outcome(e, "auth-trouble", lack);
		exchange_end(e, 454, 7, 0, lack); /* the password was right: the user may know */
		return;
	}
	backoff_succeeded(b, e->account, backoff_network(b, address_of(e)), e->auth->loop.now);
	log_outcome(e, "authenticated", NULL);
	exchange_accept(e);
}

static void
conclude(struct exchange *e, bool good)
{
	secret_wipe(e->password, sizeof e->password);
	if (good)
		succeeded(e);
	else
		judge_failed(e, e->known ? "wrong password" : "no such user");
}

void
judge_answered(struct exchange *e, enum ar_outcome outcome, struct bytes who, const char *why)
{
	if (outcome == AR_TROUBLE)
		judge_trouble(e, why);
	else if (outcome == AR_BAD)
		judge_failed(e, why);
	else if (who.len > 0 && !mechanism_set_name(e, who))
		judge_trouble(e, "the name that it was given can't be one");
	else
		succeeded(e);
}

void
judge_proven(struct exchange *e)
{
	conclude(e, true);
}

/* ---- hashing ---- */

static void
hash(struct exchange *e, enum job_kind kind, const struct password_entry *entry, bool for_show, bool verdict)
{
	struct job *j = workers_job(&e->auth->workers);
	struct bytes text = for_show ? passwords_dummy(e->auth->control) : entry->hash;

	if (j == NULL) {
		judge_trouble(e, "too many passwords to be checked at once");
		return;
	}
	j->asker = e;
	j->kind = kind;
	if (kind == JOB_SCRAM)
		(void)!passwords_cut_scram(entry->scram, &j->verifier); /* it was checked when the table was made */
	else
		memcpy(j->hash, text.at, text.len < sizeof j->hash ? text.len : sizeof j->hash - 1);
	memcpy(j->password, e->password, e->password_len);
	j->password_len = e->password_len;
	secret_wipe(e->password, sizeof e->password);
	e->for_show = for_show;
	e->verdict = verdict;
	e->job = j;
	workers_submit(&e->auth->workers, j);
}

void
judge_hashed(struct auth *a)
{
	struct job *j;

	while ((j = workers_collect(&a->workers)) != NULL) {
		struct exchange *e = j->asker;
		bool fits = j->fits;

		workers_drop(&a->workers, j);
		if (e == NULL)
			continue; /* its session has ended */
		e->job = NULL;
		conclude(e, e->for_show ? e->verdict : fits);
	}
}

/* ---- PLAIN, LOGIN ---- */

static struct bytes
password_of(const struct exchange *e)
{
	return bytes_of(e->password, e->password_len);
}

static bool
has_digest(const struct exchange *e, struct bytes hex)
{
	char got[DIGEST_HEX_MAX + 1];
	bool same = digest_hex(password_of(e), hex.len / 2, got);
	uint8_t wanted[DIGEST_HEX_MAX];

	for (size_t i = 0; i < hex.len && i < sizeof wanted; i++)
		wanted[i] = ascii_lower(hex.at[i]);
	same = same && bytes_equal_constant_time(bytes_of_string(got), bytes_of(wanted, hex.len));
	secret_wipe(got, sizeof got);
	return same;
}

static void
judge_password(struct exchange *e, const struct password_entry *entry, enum result found)
{
	bool usable = found == OK && !entry->disabled;

	if (usable && entry->hash.len > 0)
		hash(e, JOB_CRYPT, entry, false, false);
	else if (usable && entry->scram.len > 0)
		hash(e, JOB_SCRAM, entry, false, false);
	else if (usable && entry->clear.len > 0)
		hash(e, JOB_CRYPT, entry, true, bytes_equal_constant_time(entry->clear, password_of(e)));
	else
		hash(e, JOB_CRYPT, entry, true, usable && entry->digest.len > 0 && has_digest(e, entry->digest));
}

/* ---- CRAM-MD5, APOP ---- */

static bool
is_digest(const struct exchange *e, struct bytes password)
{
	struct bytes digest = bytes_of(e->first, e->first_len), challenge = bytes_of(e->challenge, e->challenge_len);

	return e->mechanism == SP_APOP ? digest_apop_is(digest, password, challenge)
				       : sasl_cram_md5_is(digest, password, challenge);
}

static void
judge_digest(struct exchange *e, const struct password_entry *entry, enum result found)
{
	bool usable = found == OK && !entry->disabled && entry->clear.len > 0;
	bool fits = is_digest(e, usable ? entry->clear : BYTES("nobody's"));

	conclude(e, usable && fits);
}

/* ---- SCRAM ---- */

/* A name without a verifier gets a salt that stays the same, as if it had one of postern passwd. */
static void
invent_verifier(const struct exchange *e, struct scram_verifier *v)
{
	uint8_t octets[SASL_HASH_LEN] = { 0 };

	(void)digest_keyed(e->auth->salt_key, exchange_name(e), octets);
	*v = (struct scram_verifier){ .iterations = SCRAM_ITERATIONS, .salt_len = 16 };
	memcpy(v->salt, octets, 16);
	memset(v->stored, 0xff, sizeof v->stored);
}

enum result
judge_verifier(struct exchange *e, struct scram_verifier *v)
{
	struct password_entry entry;
	enum result r = passwords_find(e->auth->control, exchange_name(e), &entry);

	if (r != OK && r != ABSENT)
		return r;
	if (r == ABSENT || entry.disabled || passwords_cut_scram(entry.scram, v) != OK)
		invent_verifier(e, v);
	return OK;
}

static void
judge_scram(struct exchange *e, const struct password_entry *entry, enum result found)
{
	struct bytes first = bytes_of(e->first, e->first_len);
	uint8_t room[SASL_TEXT_MAX];
	struct buf message = BUF_OVER(room);
	struct why why = WHY_NONE;
	struct scram_first f;
	enum result r = scram_first_take(first, e->mechanism == SP_SCRAM_SHA_256_PLUS, &f, &why);

	if (e->mechanism == SP_SCRAM_SHA_256_PLUS)
		f.binding = bytes_of(e->binding, e->binding_len);
	if (r == OK)
		r = scram_server_end(&e->keys, &f, bytes_of(e->server_first, e->server_first_len),
		    bytes_of(e->challenge, e->challenge_len), &message, &why);
	if (r != OK || found != OK || entry->scram.len == 0) {
		conclude(e, false);
		return;
	}
	e->phase = PHASE_SCRAM_END;
	exchange_say(e, buf_bytes(&message));
}

/* ---- all ---- */

static void
judge_now(struct exchange *e)
{
	struct password_entry entry;
	enum result r = passwords_find(e->auth->control, exchange_name(e), &entry);

	if (r != OK && r != ABSENT) {
		judge_trouble(e, "the table of passwords can't be read");
		return;
	}
	if ((r == ABSENT || entry.elsewhere) && elsewhere_knows(e)) {
		elsewhere_ask(e);
		return;
	}
	e->known = r == OK;
	switch (e->mechanism) {
	case SP_PLAIN:
	case SP_LOGIN:
		judge_password(e, &entry, r);
		break;
	case SP_CRAM_MD5:
	case SP_APOP:
		judge_digest(e, &entry, r);
		break;
	case SP_EXTERNAL:
		conclude(e, !entry.disabled);
		break;
	default:
		judge_scram(e, &entry, r);
		break;
	}
}

static void
turn_came(struct loop *loop, struct timer *t)
{
	(void)loop;
	judge_now(container_of(t, struct exchange, turn));
}

void
judge(struct exchange *e)
{
	struct auth *a = e->auth;
	struct backoff *b = &a->backoff;
	uint64_t network = backoff_network(b, address_of(e)), now = a->loop.now, for_network = 0, for_account;

	e->phase = PHASE_BUSY;
	e->account = backoff_account(b, exchange_name(e)); /* authrun may know it by another name */
	if (e->family != LP_UNIX)
		for_network = backoff_wait(b, BACKOFF_NETWORK, network, network, now);
	for_account = for_network == BACKOFF_TOO_LONG ? 0 : backoff_wait(b, BACKOFF_ACCOUNT, e->account, network, now);
	if (for_network == BACKOFF_TOO_LONG || for_account == BACKOFF_TOO_LONG) {
		log_outcome(
		    e, "auth-failed", for_account == 0 ? "too many failures from there" : "too many failures of it");
		exchange_end(e, 454, 7, 0, "too many failures, try again later");
		return;
	}
	e->turn.due = turn_came;
	if (for_network < for_account)
		for_network = for_account;
	if (for_network == 0)
		judge_now(e);
	else if (loop_at(&a->loop, &e->turn, clock_ms() + for_network) != OK)
		judge_trouble(e, "no memory");
}
