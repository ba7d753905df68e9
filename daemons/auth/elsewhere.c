/* Whom the tables don't have: authrun is asked, which runs a program or asks Dovecot.
 * Trusts it for its answer to what was asked.
 * Never keeps the password once it has been handed on, never takes an answer for another exchange than the one that asked. */
#include "auth/auth.h"
#include "auth/privileges.h"

#include "base/secret.h"
#include "net/domain.h"
#include "sys/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ASKED_MAX 512 /* at a time, as jobs of hashing */
#define LINE_WAITING 4096

static bool
is_digest(const struct exchange *e)
{
	return e->mechanism == SP_APOP || e->mechanism == SP_CRAM_MD5;
}

/* What isn't what the mechanism shows is wrong, without asking. */
static bool
is_hex(struct bytes digest)
{
	for (size_t i = 0; i < digest.len; i++)
		if (!ascii_is_digit(digest.at[i]) &&
		    (ascii_lower(digest.at[i]) < 'a' || ascii_lower(digest.at[i]) > 'f'))
			return false;
	return digest.len == 32; /* MD5 */
}

/* local or local@domain, and none of the tables' own marks at its front */
static bool
is_name(struct bytes name)
{
	size_t at = bytes_find_last(name, '@');

	return name.len > 0 && memchr("!@*", name.at[0], 3) == NULL &&
	    (at == name.len || domain_is_valid(bytes_skip(name, at + 1), false));
}

bool
elsewhere_knows(const struct exchange *e)
{
	return e->auth->asks && is_name(exchange_name(e)) &&
	    (e->mechanism == SP_PLAIN || e->mechanism == SP_LOGIN || is_digest(e));
}

static void
said(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct exchange *e = container_of(who, struct exchange, caller);
	const struct ar_verdict *verdict;
	struct bytes fields[2];
	char reason[AR_REASON_MAX + 1];

	(void)c;
	(void)what;
	if (how != CALL_ANSWERED || !wire_take_all(m->tail, fields, 2)) {
		judge_trouble(e, "authrun did not answer");
		return;
	}
	verdict = m->body;
	(void)snprintf(
	    reason, sizeof reason, "%.*s", (int)fields[1].len, fields[1].at == NULL ? "" : (const char *)fields[1].at);
	if (fields[0].len > 0 && !is_name(fields[0]))
		judge_trouble(e, "the name that it was given can't be one");
	else
		judge_answered(e, (enum ar_outcome)verdict->outcome, fields[0], reason);
}

/* Null if it was asked, else why not. */
static const char *
ask(struct exchange *e, const struct ar_check *check, struct bytes tail)
{
	struct auth *a = e->auth;
	struct why why = WHY_NONE;
	uint64_t ref = calls_ask(&a->asked, &e->caller, 0, said, 0);

	if (ref == 0)
		return "too many are asked about";
	if (port_is_open(&a->authrun) && port_send(&a->authrun, AR_CHECK, ref, check, tail, NULL, &why) == OK)
		return NULL;
	calls_withdraw(&a->asked, ref);
	return "no program can be asked";
}

void
elsewhere_ask(struct exchange *e)
{
	bool digest = is_digest(e);
	struct ar_check check = { .is_digest = digest, .secure = e->secure, .family = e->family };
	uint8_t room[AR_NAME_MAX + AR_SECRET_MAX + AR_TIMESTAMP_MAX + 8];
	struct buf tail = BUF_OVER(room);
	const char *trouble;

	if (digest && !is_hex(bytes_of(e->first, e->first_len))) {
		judge_failed(e, "that is no digest");
		return;
	}
	memcpy(check.conn, e->conn, sizeof check.conn);
	memcpy(check.remote, e->remote, sizeof check.remote);
	wire_put(&tail, exchange_name(e));
	wire_put(&tail, digest ? bytes_of(e->first, e->first_len) : bytes_of(e->password, e->password_len));
	wire_put(&tail, digest ? bytes_of(e->challenge, e->challenge_len) : BYTES_NONE);
	trouble = tail.failed ? "no program can be asked" : ask(e, &check, buf_bytes(&tail));
	secret_wipe(room, sizeof room);
	secret_wipe(e->password, sizeof e->password);
	if (trouble != NULL)
		judge_trouble(e, trouble);
}

static enum result
from_authrun(struct port *port, struct wire_message *m, struct why *why)
{
	const struct ar_verdict *verdict = m->body;
	struct bytes fields[2];

	if (m->type != AR_VERDICT || verdict->outcome > AR_TROUBLE || !wire_take_all(m->tail, fields, 2) ||
	    fields[1].len > AR_REASON_MAX || !calls_answered(&auth_of_loop(port->loop)->asked, m->ref, m))
		return why_set(why, MALFORMED, "authrun gave a verdict that can't be");
	return OK;
}

static void
authrun_ended(struct port *port, enum result r, struct why *why)
{
	struct auth *a = auth_of_loop(port->loop);

	log_why("authrun-gone", r, why);
	a->end = r;
	a->loop.stop = true;
}

enum result
elsewhere_open(struct auth *a, struct why *why)
{
	static const struct port_events events = { from_authrun, authrun_ended };
	struct channel c = channel_of(AUTH_AUTHRUN_FD, &auth_authrun_protocol, AR_AUTH, false);
	enum result r;
	int type = 0;
	socklen_t len = sizeof type;

	a->authrun.channel.fd = -1;
	a->asked = calls_of(&a->loop, ASKED_MAX);
	if (getsockopt(AUTH_AUTHRUN_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		return OK;
	r = port_open(&a->authrun, &a->loop, c, &events, LINE_WAITING, why);
	a->authrun.secret = true;
	a->asks = control_text(a->control, ITEM_CHECKPASSWORD).len > 0 ||
	    control_text(a->control, ITEM_DOVECOTAUTH).len > 0;
	return r;
}
