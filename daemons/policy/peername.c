/* The check of the peer's name: what it is called, by DNS, and confirmed by its addresses (RFC 1912 2.1).
 * Trusts resolve for the confirmation.
 * Never takes a name that can be no host's. */
#include "policy/checks.h"
#include "policy/session.h"

#include "net/domain.h"

#include <string.h>

static void
answered(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_peername]);
	struct policy *p = policy_of_loop(c->loop);
	struct bytes tail, name;
	const struct rs_answer *a = names_answer(p, s, how, m, &tail);

	(void)what;
	s->host_known = a->outcome == RS_FAILED || a->outcome == RS_BOGUS ? HOST_FAILED : HOST_NONE;
	if (a->outcome == RS_FOUND && wire_take(&tail, &name) && wire_take(&tail, &name) &&
	    name.len <= sizeof s->host && domain_is_valid(name, false)) {
		memcpy(s->host, name.at, name.len);
		s->host_len = (uint8_t)name.len;
		s->host_known = HOST_FOUND;
	}
	session_found(p, s);
}

static void
begin(struct policy *p, struct session *s)
{
	s->host_known = HOST_NOT_ASKED;
	if (p->names.peers && !s->client.is_local_program)
		(void)names_ask_peer(p, &s->asking[CHECK_peername], &s->client.peer, answered);
}

const struct check_work peername_work = { .begin = begin, .for_relays = true };
