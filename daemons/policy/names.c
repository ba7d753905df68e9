/* Names of peers, by way of resolve.
 * Trusts resolve for what DNS says; a name only as far as it was confirmed by its addresses.
 * Never keeps a session waiting once resolve is gone: it goes on without a name. */
#include "policy/policy.h"
#include "policy/privileges.h"

#include "net/domain.h"
#include "sys/log.h"
#include "wire/client_resolve.h"

#include <string.h>
#include <sys/socket.h>

#define QUESTIONS_WAITING 4096

static enum result
answered(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);
	const struct rs_answer *a = m->body;
	struct bytes tail = m->tail, name;
	struct session *s;

	if (m->ref >> 8 >= p->n_used)
		return why_set(why, MALFORMED, "resolve answered what was not asked");
	s = &p->sessions[m->ref >> 8];
	if (!s->used || !s->naming || s->name_turn != (uint8_t)m->ref)
		return OK; /* its session has ended meanwhile */
	if (a->outcome != RS_FOUND || !wire_take(&tail, &name) || !wire_take(&tail, &name) ||
	    name.len > sizeof s->host || !domain_is_valid(name, false)) {
		session_named(p, s, BYTES_NONE);
		return OK;
	}
	memcpy(s->host, name.at, name.len);
	s->host_len = (uint8_t)name.len;
	session_named(p, s, bytes_of(s->host, s->host_len));
	return OK;
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	log_why("resolve-gone", r, why);
	for (uint32_t i = 0; i < p->n_used; i++)
		if (p->sessions[i].used && p->sessions[i].naming)
			session_named(p, &p->sessions[i], BYTES_NONE);
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
	p->names.wanted = control_number(p->settings.control, ITEM_PEERNAMES) != 0 && is_doorway(POLICY_RESOLVE_FD);
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

bool
names_ask(struct policy *p, struct session *s)
{
	struct rs_peer ask = { .family = s->client.peer.family };
	struct why why = WHY_NONE;
	uint32_t ref;

	if (!p->names.wanted || s->client.is_local_program || !is_open(p))
		return false;
	memcpy(ask.address, s->client.peer.remote, sizeof ask.address);
	ref = (uint32_t)(s - p->sessions) << 8 | ++s->name_turn;
	s->naming = port_send(&p->names.port, RS_PEER, ref, &ask, BYTES_NONE, NULL, &why) == OK;
	return s->naming;
}
