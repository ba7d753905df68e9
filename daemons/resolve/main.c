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

#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 2048                       /* each connection of remote is one */
#define REMOTE_CLIENTS_MAX (CLIENTS_MAX - 256) /* the others' room is not remote's to take */
#define ANSWERS_WAITING 8192
#define REMOTE_ASKS_MAX 64 /* questions of one session of remote that wait for their answers: it asks two at a time */
#define REMOTE_IN_FLIGHT (RS_IN_FLIGHT / 2) /* of all sessions of remote, those that have ended meanwhile too */
#define SECONDS_MAX 10                      /* then the question counts as failed, whatever the library still tries */

struct client {
	struct port port;
	bool used, is_remote;
	uint32_t n_asked, asks_max; /* questions that wait */
	uint32_t generation;        /* tells an answer's client from who has the place now */
};

struct resolve {
	struct loop loop;
	struct resolver *resolver;
	struct source answers, doors[3];
	struct client clients[CLIENTS_MAX];
	uint32_t n_remotes, n_remote_asked; /* clients; questions in hand */
};

static struct resolve self_state;

/* one question of a client, until its answer is sent */
struct errand {
	uint32_t client, generation;
	uint64_t ref;
	uint16_t type;
	struct timer late;
	bool answered, is_remote;
};

static void
forget(struct client *c)
{
	c->used = false;
	c->generation++;
	self_state.n_remotes -= c->is_remote;
}

static void
reply(struct errand *e, const struct rs_answer *a, struct bytes tail)
{
	struct client *c = &self_state.clients[e->client];
	struct why why = WHY_NONE;

	if (e->answered || !c->used || c->generation != e->generation)
		return;
	e->answered = true;
	if (port_send(&c->port, RS_ANSWER, e->ref, a, tail, NULL, &why) != EXHAUSTED)
		return;
	log_why("client", EXHAUSTED, &why);
	if (c->is_remote) { /* it asks and takes no answers */
		port_close(&c->port);
		forget(c);
	}
}

/* Its question is answered, or never will be. */
static void
end(struct errand *e)
{
	struct client *c = &self_state.clients[e->client];

	if (c->used && c->generation == e->generation)
		c->n_asked--;
	self_state.n_remote_asked -= e->is_remote;
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
	return resolver_ask(self_state.resolver, ask->type, name, came, e);
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
		.late = { .due = give_up },
		.is_remote = c->is_remote };
	self_state.n_remote_asked += e->is_remote;
	r = c->n_asked++ < c->asks_max && self_state.n_remote_asked <= REMOTE_IN_FLIGHT
	    ? loop_at(&self_state.loop, &e->late, self_state.loop.now + SECONDS_MAX * 1000)
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
	forget(c);
}

static const struct port_events client_events = { asked, gone };

/* A place for one more; null: there is none for whom this door is. */
static struct client *
place(bool is_remote)
{
	struct client *c = self_state.clients;

	if (is_remote && self_state.n_remotes >= REMOTE_CLIENTS_MAX)
		return NULL;
	while (c < self_state.clients + CLIENTS_MAX && c->used)
		c++;
	return c < self_state.clients + CLIENTS_MAX ? c : NULL;
}

static enum result
let_in(struct loop *loop, struct channel c, bool is_remote, struct why *why)
{
	struct client *client = place(is_remote);
	enum result r;

	if (client == NULL)
		return why_set(why, EXHAUSTED, "more than %d clients", is_remote ? REMOTE_CLIENTS_MAX : CLIENTS_MAX);
	r = port_open(&client->port, loop, c, &client_events, is_remote ? REMOTE_ASKS_MAX : ANSWERS_WAITING, why);
	client->used = r == OK;
	client->n_asked = 0;
	client->is_remote = r == OK && is_remote;
	client->asks_max = is_remote ? REMOTE_ASKS_MAX : RS_IN_FLIGHT;
	self_state.n_remotes += client->is_remote;
	return r;
}

static void
at_the_door(struct loop *loop, struct source *s, uint32_t events)
{
	struct why why = WHY_NONE;
	struct channel c;
	enum result r = door_take(s->fd, &client_resolve_protocol, &c, &why);

	(void)events;
	if (r == OK && (r = let_in(loop, c, s->fd == RESOLVE_REMOTE_DOOR_FD, &why)) != OK)
		channel_close(&c);
	if (r != OK && r != AGAIN)
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
	r = loop_run(&self_state.loop, &why);
	return process_refuse(&self, r, &why);
}
