/* The neighbours of `send`: what they say goes to the parts, what the parts have to tell goes to them.
 * Trusts queue for ids and descriptors, lspawn and local for nothing but what they were asked.
 * Never goes on without a neighbour: warden starts all of them anew, and the disk knows what waits. */
#include "send/send.h"

#include "send/credentials.h"
#include "sys/log.h"
#include "wire/send_remote_door.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile sig_atomic_t alarmed;

static void
on_alarm(int signal)
{
	(void)signal;
	alarmed = 1;
}

static void
retry_all(struct send *s)
{
	hops_retry();
	waiting_ask_all(s);
}

static void
idle(struct loop *loop)
{
	struct send *s = container_of(loop, struct send, loop);

	messages_go_on(s);
	forwards_go_on(s);
	hops_go_on(s);
	if (alarmed) {
		alarmed = 0;
		log_simple(SEVERITY_INFO, "retry-all", "by", "signal");
		retry_all(s);
	}
	log_flush();
}

/* ---- to queue ---- */

void
tell_queue(struct send *s, uint16_t type, const struct id *id, void *body, struct bytes tail)
{
	struct why why = WHY_NONE;
	enum result r;

	if (id != NULL) /* every body but that of QS_CREDIT begins with one */
		memcpy(body, id->text, sizeof id->text);
	r = port_send(&s->queue, type, 0, body, tail, NULL, &why);
	if (r == OK || r == ABSENT) /* ABSENT: its end is noticed where it ends */
		return;
	log_why("queue", r, &why);
	s->end = r;
	s->loop.stop = true;
}

void
send_fetch(struct send *s, const struct id *id, uint64_t ref)
{
	struct qs_name name = { .spare = 0 };
	struct why why = WHY_NONE;
	enum result r;

	memcpy(name.id, id->text, sizeof name.id);
	r = port_send(&s->queue, QS_FETCH, ref, &name, BYTES_NONE, NULL, &why);
	if (r == OK)
		s->n_fetching++;
	else if (r != ABSENT) {
		log_why("queue", r, &why);
		s->end = r;
		s->loop.stop = true;
	}
}

void
send_credit(struct send *s)
{
	uint32_t used = s->n_in_hand + s->n_fetching + s->credit_given;
	struct qs_credit credit = { used < s->in_hand_max ? s->in_hand_max - used : 0 };

	if (credit.n < s->in_hand_max / 8 || s->weight > WEIGHT_MAX)
		return;
	s->credit_given += credit.n;
	tell_queue(s, QS_CREDIT, NULL, &credit, BYTES_NONE);
}

/* ---- from our neighbours ---- */

static enum result
take_id(const char text[ID_LEN + 1], struct id *id, struct why *why)
{
	if (!id_from_bytes(bytes_of(text, ID_LEN), id))
		return why_set(why, MALFORMED, "queue named a message that can't be");
	return OK;
}

/* an answer to QS_FETCH, or a message that used a credit */
static void
count_answer(struct send *s, uint64_t ref)
{
	if (ref == ASK_NOT && s->credit_given > 0)
		s->credit_given--;
	else if (ref != ASK_NOT && s->n_fetching > 0)
		s->n_fetching--;
}

static void
on_retry(struct send *s, const struct id *id)
{
	if (id == NULL)
		retry_all(s);
	else if (message_find(s, id) == NULL)
		waiting_ask(s, id, ASK_NOW);
}

static enum result
from_queue(struct port *p, struct wire_message *m, struct why *why)
{
	struct send *s = container_of(p, struct send, queue);
	const struct qs_name *name = m->body; /* every body here begins with an id */
	struct id id = { "" };
	bool all = m->type == QS_RETRY && name->id[0] == '\0';
	int fd;

	if (!all && take_id(name->id, &id, why) != OK)
		return MALFORMED;
	switch (m->type) {
	case QS_MESSAGE:
		fd = m->fds[0];
		m->fds[0] = -1;
		count_answer(s, m->ref);
		message_take(s, &id, fd, m->ref);
		break;
	case QS_GONE:
		count_answer(s, m->ref);
		break;
	case QS_FORGET:
		message_forget(s, &id);
		return OK;
	case QS_RETRY:
		on_retry(s, all ? NULL : &id);
		return OK;
	case QS_BOUNCE:
		message_return(s, &id);
		return OK;
	default:
		return why_set(why, MALFORMED, "queue said what it does not say");
	}
	if (hops_asked(m->ref))
		hops_answered(m->ref);
	else if (m->ref >= ASK_LINES)
		lines_answered(m->ref);
	send_credit(s);
	waiting_go_on(s);
	return OK;
}

static void
log_report_failed(const struct message *m, uint32_t result, struct bytes text)
{
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "bounce-put-off");
	log_text(&l, "msg", m->id.text);
	log_text(&l, "result", result_meaning((enum result)result)->name);
	log_bytes(&l, "why", text);
	log_end(&l);
}

static enum result
from_intake(struct port *p, struct wire_message *m, struct why *why)
{
	struct send *s = container_of(p, struct send, bounces);
	struct message *about;
	const struct pq_failed *failed = m->body;
	int fd;

	if (forwards_answered(s, m))
		return OK;
	if ((about = message_of_report(s, m->ref)) == NULL)
		return OK; /* we gave it up */
	switch (m->type) {
	case PQ_WRITER:
		fd = m->fds[0];
		m->fds[0] = -1;
		bounce_writer(s, about, fd);
		break;
	case PQ_COMMITTED:
		bounce_ended(s, about, OK);
		break;
	case PQ_FAILED:
		log_report_failed(about, failed->result, m->tail);
		bounce_ended(s, about, EXHAUSTED);
		break;
	default:
		return why_set(why, MALFORMED, "queue said what it does not say");
	}
	return OK;
}

static enum result
from_lspawn(struct port *p, struct wire_message *m, struct why *why)
{
	(void)why;
	lines_refused(container_of(p, struct send, lspawn), m->ref, m->tail);
	return OK;
}

static enum result
from_pspawn(struct port *p, struct wire_message *m, struct why *why)
{
	(void)why;
	lines_refused(container_of(p, struct send, pspawn), m->ref, m->tail);
	return OK;
}

static enum result
from_remote(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	return why_set(why, MALFORMED, "remote said what it does not say");
}

/* without a neighbour there is nothing to do: warden starts all of us anew */
static void
neighbour_ended(struct send *s, enum result r, struct why *why)
{
	log_why("neighbour", r, why);
	s->end = r;
	s->loop.stop = true;
}

bool
send_is_ending(struct send *s, const struct port *spawner)
{
	struct why why = WHY_NONE;

	if (!s->loop.stop && port_peer_is_gone(spawner))
		neighbour_ended(s,
		    why_set(&why, ABSENT, "%s is gone",
			spawner == &s->lspawn       ? "lspawn"
			    : spawner == &s->pspawn ? "pspawn"
						    : "remote"),
		    &why);
	return s->loop.stop;
}

static void
queue_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_ended(container_of(p, struct send, queue), r, why);
}

static void
bounces_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_ended(container_of(p, struct send, bounces), r, why);
}

static void
lspawn_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_ended(container_of(p, struct send, lspawn), r, why);
}

static void
pspawn_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_ended(container_of(p, struct send, pspawn), r, why);
}

static void
remote_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_ended(container_of(p, struct send, remote), r, why);
}

static const struct port_events queue_events = { from_queue, queue_ended };
static const struct port_events bounces_events = { from_intake, bounces_ended };
static const struct port_events lspawn_events = { from_lspawn, lspawn_ended };
static const struct port_events pspawn_events = { from_pspawn, pspawn_ended };
static const struct port_events remote_events = { from_remote, remote_ended };

/* Two descriptors of five: for each two messages there may be a local delivery, half a connection with three in its
 * handshake, and half of what waits for the engine. */
uint32_t
send_in_hand_max(void)
{
	struct rlimit files;
	rlim_t n = IN_HAND_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < 5 * IN_HAND_MAX / 2 + OTHER_FDS)
		n = files.rlim_max > 2 * OTHER_FDS ? (files.rlim_max - OTHER_FDS) / 5 * 2 : OTHER_FDS / 2;
	return (uint32_t)n;
}

static void
take_settings(struct send *s)
{
	const struct control *c = s->control;

	s->lifetime_s = control_number(c, ITEM_QUEUELIFETIME);
	s->dotqmail = control_number(c, ITEM_DOTQMAIL) != 0;
	s->program_limit_s = (uint32_t)control_number(c, ITEM_PROGRAMTIMEOUT);
	s->make_maildirs = control_number(c, ITEM_MAKEMAILDIR) != 0;
	s->bounce_max = control_number(c, ITEM_BOUNCEMAXBYTES);
	s->max_lines = (uint32_t)control_number(c, ITEM_CONCURRENCYLOCAL);
	if (s->max_lines > LOCALS_MAX)
		s->max_lines = LOCALS_MAX;
	if (s->max_lines > s->in_hand_max / 2)
		s->max_lines = s->in_hand_max / 2;
	if (s->slow_ms == 0)
		s->slow_ms = SLOW_MS;
	s->max_remote = (uint32_t)control_number(c, ITEM_CONCURRENCYREMOTE);
	if (s->max_remote > s->in_hand_max / REMOTE_SHARE)
		s->max_remote = s->in_hand_max / REMOTE_SHARE;
	s->max_connections = (uint32_t)control_number(c, ITEM_CONCURRENCYDESTINATION);
	s->me = control_text(c, ITEM_ME);
	s->bounce_from = control_text(c, ITEM_BOUNCEFROM);
	s->bounce_host = control_text(c, ITEM_BOUNCEHOST);
	s->double_to = control_text(c, ITEM_DOUBLEBOUNCETO);
	s->double_host = control_text(c, ITEM_DOUBLEBOUNCEHOST);
}

static enum result
open_all(struct send *s, struct why *why)
{
	static sigset_t waiting_mask;
	struct sigaction sa = { .sa_handler = on_alarm };
	struct channel queue = channel_of(SEND_QUEUE_FD, &queue_send_protocol, QS_SEND, false);
	struct channel bounces = channel_of(SEND_BOUNCES_FD, &policy_queue_protocol, PQ_CLIENT, false);
	struct channel lspawn = channel_of(SEND_LSPAWN_FD, &send_lspawn_protocol, SL_SEND, false);
	struct channel pspawn = channel_of(SEND_PSPAWN_FD, &send_lspawn_protocol, SL_SEND, false);
	struct channel remote = channel_of(SEND_REMOTE_FD, &send_remote_door_protocol, RD_SEND, false);
	sigset_t alarm_only;
	enum result r;

	(void)sigemptyset(&sa.sa_mask);
	(void)sigemptyset(&alarm_only);
	(void)sigaddset(&alarm_only, SIGALRM);
	if (sigaction(SIGALRM, &sa, NULL) != 0 || sigprocmask(SIG_BLOCK, &alarm_only, &waiting_mask) != 0)
		return why_errno(why, BROKEN, "catching SIGALRM");
	if ((r = loop_open(&s->loop, why)) != OK ||
	    (r = port_open(&s->queue, &s->loop, queue, &queue_events, NEIGHBOUR_LINE, why)) != OK ||
	    (r = port_open(&s->bounces, &s->loop, bounces, &bounces_events, NEIGHBOUR_LINE, why)) != OK ||
	    (r = port_open(&s->lspawn, &s->loop, lspawn, &lspawn_events, LOCALS_MAX, why)) != OK ||
	    (r = port_open(&s->pspawn, &s->loop, pspawn, &pspawn_events, LOCALS_MAX, why)) != OK ||
	    (r = port_open(&s->remote, &s->loop, remote, &remote_events, s->max_remote, why)) != OK ||
	    (r = users_follow_in(&s->users, &s->loop, why)) != OK ||
	    (r = credentials_open(&s->loop, SEND_KEYLOAD_FD, why)) != OK ||
	    (r = securing_open(&s->loop, SEND_TLS_FD, why)) != OK)
		return r;
	s->loop.idle = idle;
	s->loop.waiting_mask = &waiting_mask;
	waiting_open(s);
	send_credit(s);
	return OK;
}

enum result
send_run(struct send *s, const struct control *control, struct why *why)
{
	enum result r;

	s->control = control;
	take_settings(s);
	if ((r = open_all(s, why)) != OK)
		return r;
	log_gather();
	r = loop_run(&s->loop, why);
	log_flush();
	return r;
}
