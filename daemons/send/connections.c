/* Connections to other hosts: each is a session of `remote`, which gets one transaction after the other while there are any.
 * Trusts remote to end when its channel is closed.
 * Never has more of them than the limits allow, neither in all nor of one next hop; never waits for one because of another. */
#include "send/hops.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_MS 5000                      /* a connection without work ends after that */
#define STALL_MS (12 * UINT64_C(3600000)) /* remote has its own limits; this is for one that is out of its mind */
#define BUSY 2                            /* transactions that a connection has before another one is opened */
#define BEHIND_OCTETS (256u << 10)        /* nothing is put in line behind a larger message, */
#define BEHIND_MS 1000                    /* nor behind one that takes longer */
#define TURN_MAX 200                      /* messages of a connection before it makes room for others that wait */
#define PACKETS 200                       /* for a session: more than RM_IN_FLIGHT transactions have */

static struct next_hop *waiting_first, *waiting_last;
static struct connection *idle_oldest, *idle_newest;
static uint32_t n_running, n_served_hops; /* hops: those that have a connection */
static uint64_t last_conn;

static void
set_idle(struct connection *c, bool idles)
{
	if (c->idles == idles)
		return;
	c->idles = idles;
	if (idles) {
		c->older = idle_newest;
		c->newer = NULL;
		*(idle_newest != NULL ? &idle_newest->newer : &idle_oldest) = c;
		idle_newest = c;
		return;
	}
	*(c->older != NULL ? &c->older->newer : &idle_oldest) = c->newer;
	*(c->newer != NULL ? &c->newer->older : &idle_newest) = c->older;
}

bool
connections_serve(const struct next_hop *h, const struct connection *but)
{
	for (const struct connection *c = h->connections; c != NULL; c = c->next)
		if (c != but && c->n_served > 0)
			return true;
	return false;
}

/* ---- its end ---- */

/* Out of the next hop's list, and freed; it has nothing, and the port is closed. */
static void
drop(struct connection *c)
{
	struct next_hop *h = c->to;
	struct connection **link = &h->connections;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	if (--h->n_connections == 0)
		n_served_hops--;
	n_running--;
	set_idle(c, false);
	loop_cancel(&h->send->loop, &c->timer);
	securing_leave(&c->credentials.securing);
	hop_is_due(h);
	free(c);
}

void
connection_finish(struct connection *c, const char *text)
{
	struct transaction *back[RM_IN_FLIGHT];
	unsigned n = 0;

	port_close(&c->port);
	for (struct transaction *t = c->first; t != NULL; t = t->next)
		back[n++] = t;
	while (n > 0) /* the first comes to the front last */
		transaction_put_back(back[--n], c->n_served == 0 && !c->closing, text);
	drop(c);
}

static void
log_ended(const struct connection *c, enum result r, const struct why *why)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "remote-ended");
	log_text(&l, "conn", c->conn.text);
	log_bytes(&l, "to", hop_name(c->to));
	log_number(&l, "unanswered", c->n_given);
	log_text(&l, "why", r == ABSENT ? "it ended early" : why->text);
	log_end(&l);
}

/* It may have been at this one, and is not to be at it at once again; the others it has not begun. */
static void
fail_first(struct connection *c, const char *text)
{
	struct transaction *t = c->first;
	struct delivery_facts facts = { .conn = c->conn.text, .host = hop_name(c->to), .duplicate = true };
	struct verdict v = { .outcome = SD_TEMPORARY, .enhanced = { 4, 3, 0 } };

	c->first = t->next;
	c->n_given--;
	verdict_say(&v, text);
	transaction_settle(t, &v, &facts);
	if (c->n_served == 0 && !connections_serve(c->to, c))
		hop_failed(c->to, &v);
}

void
connection_ended(struct port *p, enum result r, struct why *why)
{
	struct connection *c = container_of(p, struct connection, port);
	/* it came too late to be looked at: the session had said that it takes no more, or the peer closed and so did the
	 * session; but what ends a session twice is not given a third one */
	bool missed = c->first != NULL && r == ABSENT && (c->closing || (c->n_served > 0 && !c->first->was_missed));

	if (send_is_ending(c->to->send, &c->to->send->remote))
		return;
	if (missed)
		c->first->was_missed = !c->closing;
	else if (c->first != NULL || r != ABSENT)
		log_ended(c, r, why);
	if (c->first != NULL && !missed)
		fail_first(c, "the process that delivers ended early: its log line says why");
	connection_finish(c, "the process that delivers ended several times before this message had its turn");
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	struct connection *c = container_of(t, struct connection, timer);
	struct why why = WHY_NONE;

	(void)loop;
	if (c->n_given > 0)
		connection_ended(&c->port, why_set(&why, BROKEN, "no answer for hours"), &why);
	else
		connection_finish(c, "");
}

/* ---- others that wait ---- */

static void
wait_for_turn(struct next_hop *h)
{
	if (h->waits)
		return;
	h->waits = true;
	h->next_waiting = NULL;
	*(waiting_last != NULL ? &waiting_last->next_waiting : &waiting_first) = h;
	waiting_last = h;
}

/* Whether one more may be opened, in all; one with nothing to do makes room. */
static bool
has_room(const struct send *s)
{
	if (n_running < s->max_remote)
		return true;
	if (idle_oldest == NULL)
		return false;
	connection_finish(idle_oldest, "");
	return true;
}

bool
connections_take_turns(struct send *s)
{
	struct next_hop *h = waiting_first;

	if (h == NULL || (n_running >= s->max_remote && idle_oldest == NULL))
		return false;
	waiting_first = h->next_waiting;
	if (waiting_first == NULL)
		waiting_last = NULL;
	h->waits = false;
	hop_is_due(h);
	return true;
}

/* Others wait, and this connection has had its turn, or is one more than this next hop's share. */
static bool
makes_room(const struct connection *c)
{
	const struct next_hop *h = c->to;

	if (waiting_first == NULL || waiting_first == h)
		return false;
	return c->n_served >= TURN_MAX ||
	    (h->n_connections > 1 && h->n_connections * n_served_hops > h->send->max_remote);
}

void
connection_go_on(struct connection *c)
{
	struct loop *loop = &c->to->send->loop;

	c->since_ms = loop->now;
	c->closing |= makes_room(c);
	hop_is_due(c->to);
	if (c->n_given > 0)
		(void)loop_at(loop, &c->timer, loop->now + STALL_MS);
	else if (c->closing)
		connection_finish(c, "");
}

/* ---- its work ---- */

static const struct port_events remote_events = { connection_answered, connection_ended };

static enum result
introduce(struct connection *c, struct why *why)
{
	struct rm_peer peer = *hop_peer(c->to);

	memcpy(peer.conn, c->conn.text, sizeof peer.conn);
	return port_send(&c->port, RM_PEER, 0, &peer, hop_tail(c->to), NULL, why);
}

static enum result
begin(struct connection *c, struct why *why)
{
	struct send *s = c->to->send;
	struct rd_session session;
	int pair[2];
	enum result r = channel_pair(pair, why);

	if (r != OK)
		return r;
	memcpy(session.conn, c->conn.text, sizeof session.conn);
	r = port_open(&c->port, &s->loop, channel_of(pair[0], &send_remote_protocol, RM_SEND, false), &remote_events,
	    PACKETS, why);
	if (r == OK && (r = port_send(&s->remote, RD_SESSION, 0, &session, BYTES_NONE, &pair[1], why)) == OK)
		r = introduce(c, why);
	(void)close(pair[1]);
	if (r != OK)
		port_close(&c->port);
	return r;
}

static struct connection *
open_one(struct next_hop *h)
{
	struct connection *c = calloc(1, sizeof *c);
	struct why why = WHY_NONE;
	enum result r = why_set(&why, EXHAUSTED, "no memory for a connection");

	if (c != NULL) {
		c->to = h;
		c->timer.due = on_timer;
		c->credentials = (struct credentials)CREDENTIALS_NONE;
		c->conn = id_next(&last_conn, clock_wall_us());
		r = begin(c, &why);
	}
	if (r != OK) {
		log_why("remote-start", r, &why);
		free(c);
		return NULL;
	}
	c->next = h->connections;
	h->connections = c;
	if (h->n_connections++ == 0)
		n_served_hops++;
	n_running++;
	return c;
}

static bool
takes_another(const struct connection *c)
{
	if (c->closing || c->n_given == RM_IN_FLIGHT)
		return false;
	return c->n_given == 0 ||
	    (c->first->message->store.content_len <= BEHIND_OCTETS && c->to->send->loop.now - c->since_ms < BEHIND_MS);
}

static struct connection *
least_busy(const struct next_hop *h)
{
	struct connection *best = NULL;

	for (struct connection *c = h->connections; c != NULL; c = c->next)
		if (takes_another(c) && (best == NULL || c->n_given < best->n_given))
			best = c;
	return best;
}

static void
put_in_line(struct connection *c, struct transaction *t)
{
	struct loop *loop = &c->to->send->loop;

	t->next = NULL;
	if (c->first == NULL) {
		c->since_ms = loop->now;
		c->first = t;
	} else
		c->last->next = t;
	c->last = t;
	c->n_given++;
	set_idle(c, false);
	(void)loop_at(loop, &c->timer, loop->now + STALL_MS);
}

static void
give_next(struct connection *c)
{
	struct transaction *t = flows_next(&c->to->flows);
	static const struct verdict held = {
		.outcome = SD_TEMPORARY, .enhanced = { 4, 3, 0 }, .text = "held by the administrator"
	};
	struct why why = WHY_NONE;
	enum result r;

	if (t->message->held) {
		transaction_settle(t, &held, NULL);
		return;
	}
	t->ref = ++c->last_ref;
	r = connection_give(c, t, &why);
	if (r == OK) {
		put_in_line(c, t);
		return;
	}
	transaction_put_back(t, true, why.text);
	c->closing = true;
	if (r != ABSENT) /* else connection_ended() follows */
		connection_finish(c, why.text);
}

static void
rest(struct next_hop *h)
{
	struct loop *loop = &h->send->loop;

	for (struct connection *c = h->connections; c != NULL; c = c->next)
		if (c->n_given == 0 && !c->idles) {
			set_idle(c, true);
			(void)loop_at(loop, &c->timer, loop->now + IDLE_MS);
		}
}

/* One more connection, or the least busy one if there can't be another. */
static struct connection *
one_more(struct next_hop *h, struct connection *best)
{
	static const struct verdict none = {
		.outcome = SD_TEMPORARY, .enhanced = { 4, 3, 0 }, .text = "no process could be started to deliver it"
	};
	struct connection *c;

	if (h->n_connections >= h->limit)
		return best;
	if (!has_room(h->send)) {
		wait_for_turn(h);
		return best;
	}
	if ((c = open_one(h)) != NULL)
		return c;
	if (h->n_connections == 0)
		hop_failed(h, &none);
	return best;
}

void
connections_pump(struct next_hop *h)
{
	while (h->flows.n_waiting > 0) {
		struct connection *c = least_busy(h);

		if (c == NULL || c->n_given >= BUSY)
			c = one_more(h, c);
		if (c == NULL)
			break;
		give_next(c);
	}
	rest(h);
}
