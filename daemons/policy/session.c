/* A session's answers and its end.
 * Trusts its callers: who may ask for what was looked at before.
 * Never answers where nobody listens any more, never frees anything: an end is marked, and the loop concludes it. */
#include "policy/session.h"

#include "sys/fd.h"
#include "sys/log.h"

void
session_answer(struct policy *p, struct session *s, const struct reply *r)
{
	struct why why = WHY_NONE;
	char room[SP_TEXT_MAX];

	if (!port_is_open(&s->port))
		return;
	if (port_send(&s->port, SP_ANSWER, 0, &r->answer, reply_text(r, room), NULL, &why) != OK)
		session_end(p, s);
}

void
session_decide(struct policy *p, struct session *s, const struct reply *r, struct bytes recipient)
{
	if (r->reason != NULL)
		session_log_refusal(s, r, recipient);
	session_answer(p, s, r);
}

static void
mark(struct policy *p, struct session *s)
{
	if (s->marked)
		return;
	s->marked = true;
	s->next_marked = p->marked;
	p->marked = s;
}

void
session_found(struct policy *p, struct session *s)
{
	mark(p, s);
}

void
session_end(struct policy *p, struct session *s)
{
	if (!s->used)
		return;
	port_close(&s->port);
	fd_close(&s->connection); /* the peer sees the end when the front end and policy have closed it */
	s->ending = true;
	mark(p, s);
}

void
session_lost(struct policy *p, struct session *s, const char *from, enum result r, const struct why *why)
{
	struct log_line l;

	if (r != ABSENT) {
		log_begin(&l, SEVERITY_ERROR, "session-broken");
		session_log(&l, s);
		log_text(&l, "from", from);
		log_text(&l, "result", result_meaning(r)->name);
		log_text(&l, "why", why->text);
		log_end(&l);
	}
	session_end(p, s);
}
