/* The line to resolve.
 * Trusts resolve for what DNS says; a name of a peer only as far as it was confirmed by its addresses.
 * Never keeps a session waiting once resolve is gone or silent: what was asked has failed then. */
#include "policy/names.h"

#include "policy/privileges.h"
#include "policy/session.h"

#include "net/domain.h"
#include "sys/log.h"
#include "wire/door.h"

#include <string.h>
#include <sys/socket.h>

#define QUESTIONS_WAITING 4096
#define PATIENCE_MS 15000 /* resolve itself gives up after 10 s */

/* ---- the line ---- */

static enum result
answered(struct port *port, struct wire_message *m, struct why *why)
{
	if (!calls_answered(&policy_of_loop(port->loop)->names.asked, m->ref, m))
		return why_set(why, MALFORMED, "resolve answered what was not asked");
	return OK;
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	log_why("resolve-gone", r, why);
	calls_broken(&policy_of_loop(port->loop)->names.asked);
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
	p->names.asked = calls_of(&p->loop, RS_IN_FLIGHT);
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
	if (r == OK && (r = port_open(&p->names.port, &p->loop, c, &name_events, QUESTIONS_WAITING, &why)) == OK)
		return true;
	log_why("resolve", r, &why);
	if (r == ABSENT)
		p->names.wanted = false; /* until warden connects the doorway again, with the next generation */
	return false;
}

/* ---- questions ---- */

static bool
ask(struct policy *p, struct caller *who, unsigned what, uint16_t type, const void *body, struct bytes tail,
    call_answer then)
{
	struct why why = WHY_NONE;
	uint64_t ref = p->names.wanted && is_open(p) ? calls_ask(&p->names.asked, who, what, then, PATIENCE_MS) : 0;

	if (ref != 0 && port_send(&p->names.port, type, ref, body, tail, NULL, &why) == OK)
		return true;
	calls_withdraw(&p->names.asked, ref);
	return false;
}

bool
names_ask_peer(struct policy *p, struct caller *who, const struct lp_peer *peer, call_answer then)
{
	struct rs_peer body = { .family = peer->family };

	memcpy(body.address, peer->remote, sizeof body.address);
	return ask(p, who, 0, RS_PEER, &body, BYTES_NONE, then);
}

bool
names_ask(struct policy *p, struct caller *who, unsigned what, enum rs_type type, struct bytes name, call_answer then)
{
	struct rs_ask body = { .type = (uint16_t)type };
	uint8_t room[DOMAIN_MAX + 2];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, name);
	return !tail.failed && ask(p, who, what, RS_ASK, &body, buf_bytes(&tail), then);
}

/* ---- answers ---- */

const struct rs_answer *
names_answer(
    struct policy *p, const struct session *s, enum call_end how, const struct wire_message *m, struct bytes *tail)
{
	static const struct rs_answer failed = { .outcome = RS_FAILED };

	if (how == CALL_EXPIRED && s != NULL && p->names.silent_ms != p->loop.now) {
		p->names.silent_ms = p->loop.now; /* one line for all that end at this moment */
		log_simple(SEVERITY_ERROR, "resolve-silent", "conn", s->client.peer.conn);
	}
	*tail = how == CALL_ANSWERED ? m->tail : BYTES_NONE;
	return how == CALL_ANSWERED ? m->body : &failed;
}

enum finding
names_finding(const struct rs_answer *a)
{
	switch (a->outcome) {
	case RS_FOUND:
		return FINDING_GOOD;
	case RS_NO_DATA:
	case RS_NO_NAME:
	case RS_BAD_QUESTION:
		return FINDING_BAD;
	default:
		return FINDING_FAILED;
	}
}

bool
names_is_null_mx(const struct rs_answer *a, struct bytes tail)
{
	struct bytes record;

	return a->outcome == RS_FOUND && a->n == 1 && wire_take(&tail, &record) && wire_take(&tail, &record) &&
	    record.len == 2;
}
