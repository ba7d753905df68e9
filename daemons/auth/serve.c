/* The lines of `auth`: to policy, and to lspawn.
 * Trusts policy for which session is meant and where it comes from; what a client said is decoded here, in bounds.
 * Never answers for a session twice, never lets one go on as a user that it has not proved to be. */
#include "auth/auth.h"
#include "auth/privileges.h"

#include "base/base64.h"
#include "base/secret.h"
#include "control/passwords.h"
#include "control/users.h"
#include "crypt/digest.h"
#include "sys/log.h"
#include "wire/auth_lspawn.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINE_WAITING 65536
#define HASHERS 2

/* ---- exchanges ---- */

static struct exchange **
place_of(struct auth *a, uint64_t ref)
{
	struct exchange **at = &a->buckets[(ref ^ ref >> 20) & (BUCKETS - 1)];

	while (*at != NULL && (*at)->ref != ref)
		at = &(*at)->next;
	return at;
}

static struct exchange *
find_exchange(struct auth *a, uint64_t ref)
{
	return *place_of(a, ref);
}

static void
forget(struct auth *a, struct exchange *e)
{
	struct exchange **at = place_of(a, e->ref);

	*at = e->next;
	loop_cancel(&a->loop, &e->turn);
	calls_forget(&e->caller);
	if (e->job != NULL)
		e->job->asker = NULL;
	secret_wipe(e, sizeof *e);
	free(e);
	a->n_exchanges--;
}

static struct exchange *
remember(struct auth *a, uint64_t ref)
{
	struct exchange **at = place_of(a, ref), *e;

	if (*at != NULL)
		forget(a, *at);
	e = a->n_exchanges < EXCHANGES_MAX ? calloc(1, sizeof *e) : NULL;
	if (e == NULL)
		return NULL;
	at = place_of(a, ref);
	*at = e;
	e->auth = a;
	e->ref = ref;
	a->n_exchanges++;
	return e;
}

/* ---- what policy is told ---- */

static void
tell(struct auth *a, uint16_t type, uint64_t ref, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;
	enum result r = port_send(&a->policy, type, ref, body, tail, NULL, &why);

	if (r != OK) {
		log_why("policy", r, &why);
		a->end = r;
		a->loop.stop = true;
	}
}

void
exchange_say(struct exchange *e, struct bytes challenge)
{
	uint8_t room[SP_SASL_MAX];
	struct buf text = BUF_OVER(room);

	base64_encode(challenge, &text);
	tell(e->auth, PA_CHALLENGE, e->ref, NULL, buf_bytes(&text));
}

static void
tell_result(struct auth *a, uint64_t ref, const struct pa_result *result, struct bytes user, const char *text)
{
	uint8_t room[PA_USER_MAX + SP_TEXT_MAX];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, user);
	wire_put_string(&tail, text);
	tell(a, PA_RESULT, ref, result, buf_bytes(&tail));
}

void
exchange_end(struct exchange *e, uint16_t code, uint8_t subject, uint8_t detail, const char *text)
{
	struct pa_result result = { .code = code, .enhanced = { code / 100, subject, detail } };

	tell_result(e->auth, e->ref, &result, BYTES(""), text);
	forget(e->auth, e);
}

void
exchange_accept(struct exchange *e)
{
	struct pa_result result = { .code = 235, .enhanced = { 2, 7, 0 } };

	e->phase = PHASE_DONE;
	tell_result(e->auth, e->ref, &result, exchange_name(e), "welcome");
}

/* ---- what policy says ---- */

static void
take(struct exchange *e, struct bytes text)
{
	uint8_t room[SP_SASL_MAX];
	struct buf said = BUF_OVER(room);

	if (bytes_equal(text, BYTES("*")))
		exchange_end(e, 501, 7, 0, "given up, as you wish");
	else if (base64_decode(text, &said) != OK || said.failed)
		exchange_end(e, 501, 5, 2, "that is not base64");
	else
		mechanism_take(e, buf_bytes(&said));
	secret_wipe(room, sizeof room);
}

enum { INITIAL, TIMESTAMP, EMAILS, BINDING, N_FIELDS };

static bool
is_sound(const struct pa_begin *begin, const struct bytes fields[N_FIELDS])
{
	return begin->mechanism < SP_N_MECHANISMS && begin->conn[ID_LEN] == '\0' &&
	    (begin->family == LP_IPV4 || begin->family == LP_IPV6 || begin->family == LP_UNIX) &&
	    fields[TIMESTAMP].len <= SASL_TEXT_MAX && fields[EMAILS].len <= SASL_TEXT_MAX &&
	    (fields[BINDING].len == 0 || fields[BINDING].len == BINDING_LEN);
}

static void
copy(void *into, struct bytes from)
{
	if (from.len > 0)
		memcpy(into, from.at, from.len);
}

static void
describe(struct exchange *e, const struct pa_begin *begin, const struct bytes fields[N_FIELDS])
{
	memcpy(e->conn, begin->conn, sizeof e->conn);
	memcpy(e->remote, begin->remote, sizeof e->remote);
	e->mechanism = begin->mechanism;
	e->secure = begin->secure != 0;
	e->family = begin->family;
	copy(e->challenge, fields[TIMESTAMP]);
	e->challenge_len = (uint16_t)fields[TIMESTAMP].len;
	copy(e->emails, fields[EMAILS]);
	e->emails_len = (uint16_t)fields[EMAILS].len;
	copy(e->binding, fields[BINDING]);
	e->binding_len = (uint8_t)fields[BINDING].len;
}

static enum result
on_begin(struct auth *a, const struct wire_message *m, struct why *why)
{
	static const struct pa_result busy = { .code = 454, .enhanced = { 4, 7, 0 } };
	const struct pa_begin *begin = m->body;
	struct bytes fields[N_FIELDS];
	struct exchange *e;

	if (!wire_take_all(m->tail, fields, N_FIELDS) || !is_sound(begin, fields))
		return why_set(why, MALFORMED, "PA_BEGIN with fields that can't be");
	e = remember(a, m->ref);
	if (e == NULL) {
		tell_result(a, m->ref, &busy, BYTES(""), "too many are authenticating, try again later");
		return OK;
	}
	describe(e, begin, fields);
	if (begin->initial != 0) /* RFC 4954 4: "=" is an empty one */
		take(e, bytes_equal(fields[INITIAL], BYTES("=")) ? BYTES("") : fields[INITIAL]);
	else
		mechanism_begin(e);
	return OK;
}

/* A POP3 session goes on as the user whom its exchange has proved. */
static enum result
on_box(struct auth *a, struct exchange *e, const struct wire_message *m, struct why *why)
{
	struct destination d;
	uint8_t room[6144];
	struct buf tail = BUF_OVER(room);
	enum result r = users_route(a->control, exchange_name(e), &d);

	if (r != OK || d.route != ROUTE_LOCAL || !port_is_open(&a->lspawn))
		return why_set(why, MALFORMED, "PA_BOX for somebody without a mailbox");
	wire_put(&tail, d.user.key);
	wire_put(&tail, d.user.row);
	wire_put(&tail, d.user.maildir);
	forget(a, e);
	return port_send(&a->lspawn, AL_SPAWN, m->ref, NULL, buf_bytes(&tail), m->fds, why);
}

static enum result
from_policy(struct port *port, struct wire_message *m, struct why *why)
{
	struct auth *a = auth_of_loop(port->loop);
	struct exchange *e = find_exchange(a, m->ref);

	switch (m->type) {
	case PA_BEGIN:
		return on_begin(a, m, why);
	case PA_FORGET:
		if (e != NULL)
			forget(a, e);
		return OK;
	case PA_RESPONSE:
		if (e == NULL || e->phase == PHASE_BUSY || e->phase == PHASE_DONE)
			return why_set(why, MALFORMED, "a response to nothing");
		take(e, m->tail);
		return OK;
	default:
		if (e == NULL || e->phase != PHASE_DONE)
			return why_set(why, MALFORMED, "PA_BOX for somebody who has not authenticated");
		return on_box(a, e, m, why);
	}
}

static void
policy_ended(struct port *port, enum result r, struct why *why)
{
	struct auth *a = auth_of_loop(port->loop);

	if (r != ABSENT)
		log_why("policy-gone", r, why);
	a->end = r == ABSENT ? OK : r;
	a->loop.stop = true;
}

static const struct port_events policy_events = { from_policy, policy_ended };

/* ---- lspawn ---- */

static enum result
from_lspawn(struct port *port, struct wire_message *m, struct why *why)
{
	(void)port;
	(void)why;
	struct why refused = WHY_NONE;

	(void)!why_set(&refused, REFUSED, "%.*s", (int)m->tail.len, (const char *)m->tail.at);
	log_why("spawn-refused", REFUSED, &refused);
	return OK;
}

static void
lspawn_ended(struct port *port, enum result r, struct why *why)
{
	struct auth *a = auth_of_loop(port->loop);

	log_why("lspawn-gone", r, why);
	a->end = r;
	a->loop.stop = true;
}

static const struct port_events lspawn_events = { from_lspawn, lspawn_ended };

/* ---- the loop ---- */

static void
hashed(struct loop *loop, struct source *s, uint32_t events)
{
	(void)s;
	(void)events;
	judge_hashed(auth_of_loop(loop));
}

static void
between_turns(struct loop *loop)
{
	(void)loop;
	log_flush();
}

static bool
is_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static enum result
open_lines(struct auth *a, struct why *why)
{
	struct channel policy = channel_of(AUTH_POLICY_FD, &policy_auth_protocol, PA_AUTH, false);
	struct channel lspawn = channel_of(AUTH_LSPAWN_FD, &auth_lspawn_protocol, AL_AUTH, false);
	enum result r = port_open(&a->policy, &a->loop, policy, &policy_events, LINE_WAITING, why);

	if (r == OK)
		a->policy.secret = true;
	if (r == OK && is_channel(AUTH_LSPAWN_FD))
		r = port_open(&a->lspawn, &a->loop, lspawn, &lspawn_events, LINE_WAITING, why);
	if (r == OK)
		r = users_follow_in(&a->users, &a->loop, why);
	return r == OK ? elsewhere_open(a, why) : r;
}

enum result
auth_run(struct auth *a, const struct control *control, const char *service, struct why *why)
{
	enum result r;

	a->control = control;
	a->is_pop3 = strncmp(service, "pop3", 4) == 0;
	a->me = control_text(control, ITEM_ME);
	a->end = OK;
	/* the same in each generation: a salt that changes would tell that it is invented */
	if (!digest_keyed(a->salt_key, passwords_dummy(control), a->salt_key))
		return why_set(why, BROKEN, "OpenSSL hashes nothing");
	if ((r = sasl_open(why)) != OK || (r = backoff_open(&a->backoff, why)) != OK ||
	    (r = loop_open(&a->loop, why)) != OK || (r = workers_open(&a->workers, HASHERS, why)) != OK)
		return r;
	a->hashed = (struct source){ .fd = a->workers.event_fd, .ready = hashed };
	if ((r = loop_watch(&a->loop, &a->hashed, EPOLLIN, why)) != OK || (r = open_lines(a, why)) != OK)
		return r;
	a->loop.idle = between_turns;
	log_gather();
	r = loop_run(&a->loop, why);
	log_flush();
	return r == OK ? a->end : r;
}
