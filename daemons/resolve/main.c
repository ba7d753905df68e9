/* resolve: answers questions about names for all other processes.
 * Trusts DNSSEC where there is any; what is not signed is marked so, and the client decides what it is worth.
 * Never answers but what was asked, never opens a file, never speaks to anybody but name servers and its clients. */
#include "resolve/peer.h"
#include "resolve/privileges.h"
#include "resolve/resolver.h"
#include "sys/log.h"
#include "sys/process.h"
#include "wire/door.h"
#include "wire/port.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 2048 /* each connection of remote is one */
#define ANSWERS_WAITING 8192
#define REMOTE_ASKS_MAX 64 /* questions of one session of remote that wait for their answers: it asks two at a time */
#define SECONDS_MAX 10     /* then the question counts as failed, whatever the library still tries */

struct client {
	struct port port;
	bool used;
	uint32_t n_asked, asks_max; /* questions that wait */
	uint32_t generation;        /* tells an answer's client from who has the place now */
};

struct resolve {
	struct loop loop;
	struct resolver *resolver;
	struct source answers, doors[3];
	struct client clients[CLIENTS_MAX];
};

static struct resolve self_state;

/* one question of a client, until its answer is sent */
struct errand {
	uint32_t client, generation, ref;
	uint16_t type;
	struct timer late;
	bool answered;
};

static void
reply(struct errand *e, const struct rs_answer *a, struct bytes tail)
{
	struct client *c = &self_state.clients[e->client];
	struct why why = WHY_NONE;

	if (e->answered || !c->used || c->generation != e->generation)
		return;
	e->answered = true;
	if (port_send(&c->port, RS_ANSWER, e->ref, a, tail, NULL, &why) == EXHAUSTED)
		log_why("client", EXHAUSTED, &why);
}

/* Its question is answered, or never will be. */
static void
end(struct errand *e)
{
	struct client *c = &self_state.clients[e->client];

	if (c->used && c->generation == e->generation)
		c->n_asked--;
	free(e);
}

static void
give_up(struct loop *loop, struct timer *t)
{
	struct errand *e = container_of(t, struct errand, late);
	struct rs_answer a = { .type = e->type, .outcome = RS_FAILED };
	static const uint8_t no_name[2];

	(void)loop;
	reply(e, &a, bytes_of(no_name, sizeof no_name));
}

static void
came(void *ctx, const struct rs_answer *a, struct bytes tail)
{
	struct errand *e = ctx;

	loop_cancel(&self_state.loop, &e->late);
	reply(e, a, tail);
	end(e);
}

static bool
is_type(uint16_t type)
{
	static const uint16_t types[] = { RS_A, RS_CNAME, RS_PTR, RS_MX, RS_TXT, RS_AAAA, RS_TLSA };

	for (size_t i = 0; i < nitems(types); i++)
		if (types[i] == type)
			return true;
	return false;
}

static enum result
begin(struct errand *e, const struct wire_message *m)
{
	const struct rs_ask *ask = m->body;
	struct bytes name;

	if (m->type == RS_PEER) {
		e->type = RS_PTR;
		return peer_ask(self_state.resolver, m->body, came, e);
	}
	e->type = ask->type;
	if (!is_type(ask->type) || !wire_take_all(m->tail, &name, 1))
		return MALFORMED;
	return resolver_ask(self_state.resolver, ask->type, name, came, e, NULL);
}

static enum result
asked(struct port *p, struct wire_message *m, struct why *why)
{
	struct client *c = container_of(p, struct client, port);
	struct errand *e = calloc(1, sizeof *e);
	struct rs_answer refusal = { .outcome = RS_FAILED };
	enum result r;

	if (e == NULL)
		return why_set(why, EXHAUSTED, "no memory for a question");
	*e = (struct errand){ .client = (uint32_t)(c - self_state.clients),
		.generation = c->generation,
		.ref = m->ref,
		.late = { .due = give_up } };
	r = c->n_asked++ < c->asks_max ? loop_at(&self_state.loop, &e->late, self_state.loop.now + SECONDS_MAX * 1000)
				       : EXHAUSTED;
	if (r == OK && (r = begin(e, m)) == OK)
		return OK;
	loop_cancel(&self_state.loop, &e->late);
	refusal.type = e->type;
	refusal.outcome = r == MALFORMED ? RS_BAD_QUESTION : RS_FAILED;
	reply(e, &refusal, bytes_of((const uint8_t[2]){ 0, 0 }, 2));
	end(e);
	return OK;
}

static void
gone(struct port *p, enum result r, struct why *why)
{
	struct client *c = container_of(p, struct client, port);

	if (r != ABSENT)
		log_why("client", r, why);
	c->used = false;
	c->generation++;
}

static const struct port_events client_events = { asked, gone };

static void
at_the_door(struct loop *loop, struct source *s, uint32_t events)
{
	struct why why = WHY_NONE;
	struct channel c;
	enum result r = door_take(s->fd, &client_resolve_protocol, &c, &why);

	(void)events;
	if (r == AGAIN)
		return;
	for (size_t i = 0; r == OK && i < CLIENTS_MAX; i++) {
		struct client *client = &self_state.clients[i];

		if (client->used)
			continue;
		r = port_open(&client->port, loop, c, &client_events, ANSWERS_WAITING, &why);
		client->used = r == OK;
		client->n_asked = 0;
		client->asks_max = s->fd == RESOLVE_REMOTE_DOOR_FD ? REMOTE_ASKS_MAX : RS_IN_FLIGHT;
		if (r == OK)
			return;
	}
	if (r == OK) {
		channel_close(&c);
		r = why_set(&why, EXHAUSTED, "more than %d clients", CLIENTS_MAX);
	}
	log_why("door", r, &why);
}

static void
answers_ready(struct loop *loop, struct source *s, uint32_t events)
{
	(void)loop;
	(void)s;
	(void)events;
	resolver_ready(self_state.resolver);
}

static enum result
open_all(struct resolve *s, const struct control *control, struct why *why)
{
	static const int doors[] = { RESOLVE_POLICY_DOOR_FD, RESOLVE_REMOTE_DOOR_FD, RESOLVE_ADMIN_DOOR_FD };
	enum result r;

	if ((r = loop_open(&s->loop, why)) != OK || (r = resolver_open(&s->resolver, control, why)) != OK)
		return r;
	s->answers = (struct source){ .fd = resolver_fd(s->resolver), .ready = answers_ready };
	r = loop_watch(&s->loop, &s->answers, EPOLLIN, why);
	for (size_t i = 0; i < nitems(doors) && r == OK; i++) {
		s->doors[i] = (struct source){ .fd = doors[i], .ready = at_the_door };
		r = loop_watch(&s->loop, &s->doors[i], EPOLLIN, why);
	}
	return r;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &resolve_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "resolve", &why)) != OK ||
	    (r = open_all(&self_state, &control, &why)) != OK)
		return process_refuse(&self, r, &why);
	(void)signal(SIGPIPE, SIG_IGN);
	r = loop_run(&self_state.loop, &why);
	return process_refuse(&self, r, &why);
}
