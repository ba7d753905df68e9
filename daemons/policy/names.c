/* The line to resolve: which session asked what.
 * Trusts resolve for what DNS says; a name of a peer only as far as it was confirmed by its addresses.
 * Never keeps a session waiting once resolve is gone or silent: what was asked has failed then. */
#include "policy/names.h"

#include "policy/checks.h"
#include "policy/policy.h"
#include "policy/privileges.h"

#include "net/domain.h"
#include "sys/log.h"

#include <string.h>
#include <sys/socket.h>

#define QUESTIONS_WAITING 4096
#define PATIENCE_MS 15000 /* resolve itself gives up after 10 s */

/* a reference: session, turn, question */
#define QUESTION_BITS 6
#define TURN_BITS 9
#define TURN_MASK ((1u << TURN_BITS) - 1)
static_assert(QUESTIONS_MAX == 1 << QUESTION_BITS && (int)N_QUESTIONS <= QUESTIONS_MAX, "questions in a reference");
static_assert((1u << (32 - QUESTION_BITS - TURN_BITS)) > 100000, "sessions in a reference: concurrencyincoming");

#define TEST_SLOT ((1u << (32 - QUESTION_BITS - TURN_BITS)) - 1)

static uint32_t
ref_of(const struct policy *p, const struct session *s, unsigned q)
{
	return (uint32_t)(s - p->sessions) << (TURN_BITS + QUESTION_BITS) | (s->ask_turn & TURN_MASK) << QUESTION_BITS |
	    q;
}

static void
peer_named(struct policy *p, struct session *s, const struct rs_answer *a, struct bytes tail)
{
	enum host_known known = a->outcome == RS_FAILED || a->outcome == RS_BOGUS ? HOST_FAILED : HOST_NONE;
	struct bytes name;

	if (a->outcome != RS_FOUND || !wire_take(&tail, &name) || !wire_take(&tail, &name) ||
	    name.len > sizeof s->host || !domain_is_valid(name, false)) {
		session_named(p, s, BYTES_NONE, known);
		return;
	}
	memcpy(s->host, name.at, name.len);
	s->host_len = (uint8_t)name.len;
	session_named(p, s, bytes_of(s->host, s->host_len), HOST_FOUND);
}

static void
settle(struct policy *p, struct session *s, unsigned q, const struct rs_answer *a, struct bytes tail)
{
	s->awaited &= ~QUESTION(q);
	if (q == ASK_PEER_NAME)
		peer_named(p, s, a, tail);
	else
		checks_answered(p, s, (enum question)q, a, tail);
}

static enum result
answered(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);
	uint32_t slot = (uint32_t)(m->ref >> (TURN_BITS + QUESTION_BITS));
	unsigned q = (unsigned)(m->ref & (QUESTIONS_MAX - 1));
	struct session *s;

	if (p->names.n_asked == 0 || (slot >= p->n_used && slot != TEST_SLOT))
		return why_set(why, MALFORMED, "resolve answered what was not asked");
	p->names.n_asked--;
	if (slot == TEST_SLOT) {
		dnslists_tested(p, q, m->body, m->tail);
		return OK;
	}
	s = &p->sessions[slot];
	if (s->unanswered > 0 && --s->unanswered == 0)
		s->open_turns = 0;
	if (s->used && (s->awaited & QUESTION(q)) && ref_of(p, s, q) == m->ref)
		settle(p, s, q, m->body, m->tail); /* else its session has ended, or has gone on */
	return OK;
}

static void
fail_all(struct policy *p, struct session *s)
{
	static const struct rs_answer failed = { .outcome = RS_FAILED };
	uint64_t awaited = s->awaited;

	names_forget(s);
	for (unsigned q = 0; q < QUESTIONS_MAX && s->used; q++)
		if (awaited & QUESTION(q))
			settle(p, s, q, &failed, BYTES_NONE);
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	log_why("resolve-gone", r, why);
	p->names.n_asked = 0;
	for (uint32_t i = 0; i < p->n_used; i++) {
		p->sessions[i].unanswered = p->sessions[i].open_turns = 0;
		if (p->sessions[i].used && p->sessions[i].awaited != 0)
			fail_all(p, &p->sessions[i]);
	}
}

static const struct port_events name_events = { answered, ended };

/* the number of a doorway that is not there may be anything's by now */
static bool
is_doorway(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

void
names_open(struct policy *p)
{
	p->names.port.channel.fd = -1;
	p->names.wanted = is_doorway(POLICY_RESOLVE_FD);
	p->names.peers = control_number(p->settings.control, ITEM_PEERNAMES) != 0;
}

static bool
is_open(struct policy *p)
{
	struct why why = WHY_NONE;
	struct channel c;
	enum result r;

	if (port_is_open(&p->names.port))
		return true;
	r = door_open(POLICY_RESOLVE_FD, &client_resolve_protocol, false, &c, &why);
	if (r == OK && (r = port_open(&p->names.port, &p->loop, c, &name_events, QUESTIONS_WAITING, &why)) == OK) {
		p->names.n_asked = 0;
		return true;
	}
	log_why("resolve", r, &why);
	if (r == ABSENT)
		p->names.wanted = false; /* until warden connects the doorway again, with the next generation */
	return false;
}

static bool
put_question(struct policy *p, uint64_t ref, uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;

	if (!p->names.wanted || !is_open(p) || p->names.n_asked >= RS_IN_FLIGHT ||
	    port_send(&p->names.port, type, ref, body, tail, NULL, &why) != OK)
		return false;
	p->names.n_asked++;
	return true;
}

static bool
ask(struct policy *p, struct session *s, unsigned q, uint16_t type, const void *body, struct bytes tail)
{
	if (s->open_turns >= TURN_MASK) /* its reference would be that of a question which is still open */
		return false;
	if (!put_question(p, ref_of(p, s, q), type, body, tail))
		return false;
	s->unanswered++;
	if (s->awaited == 0)
		s->asked_since_ms = p->loop.now;
	s->awaited |= QUESTION(q);
	return true;
}

bool
names_ask_peer(struct policy *p, struct session *s)
{
	struct rs_peer body = { .family = s->client.peer.family };

	if (!p->names.peers || s->client.is_local_program)
		return false;
	memcpy(body.address, s->client.peer.remote, sizeof body.address);
	s->naming = ask(p, s, ASK_PEER_NAME, RS_PEER, &body, BYTES_NONE);
	return s->naming;
}

bool
names_ask(struct policy *p, struct session *s, enum question q, enum rs_type type, struct bytes name)
{
	struct rs_ask body = { .type = (uint16_t)type };
	uint8_t room[DOMAIN_MAX + 2];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, name);
	return !tail.failed && ask(p, s, q, RS_ASK, &body, buf_bytes(&tail));
}

bool
names_ask_test(struct policy *p, unsigned n, struct bytes name)
{
	struct rs_ask body = { .type = RS_A };
	uint8_t room[DOMAIN_MAX + 2];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, name);
	return !tail.failed &&
	    put_question(p, TEST_SLOT << (TURN_BITS + QUESTION_BITS) | n, RS_ASK, &body, buf_bytes(&tail));
}

void
names_forget(struct session *s)
{
	s->awaited = 0;
	s->ask_turn++;
	if (s->unanswered > 0 && s->open_turns < TURN_MASK)
		s->open_turns++;
}

void
names_sweep(struct policy *p)
{
	for (uint32_t i = 0; i < p->n_used; i++) {
		struct session *s = &p->sessions[i];

		if (!s->used || s->awaited == 0 || p->loop.now - s->asked_since_ms < PATIENCE_MS)
			continue;
		log_simple(SEVERITY_ERROR, "resolve-silent", "conn", s->client.peer.conn);
		fail_all(p, s);
	}
}
