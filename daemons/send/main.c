/* send: schedules deliveries, records results, writes reports.
 * Trusts its control snapshot and queue; lspawn and local only for the deliveries that it gave them.
 * Never opens a file or a connection; what it knows of a waiting message is on disk too, so it may end at any time. */
#include "send/send.h"

#include "sys/log.h"
#include "sys/process.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NEIGHBOUR_LINE 20000 /* results that may wait for a busy queue */

static struct send send_state;
static volatile sig_atomic_t alarmed;

static void
on_alarm(int signal)
{
	(void)signal;
	alarmed = 1;
}

static void
idle(struct loop *loop)
{
	(void)loop;
	if (!alarmed)
		return;
	alarmed = 0;
	log_simple(SEVERITY_INFO, "retry-all", "by", "signal");
	waiting_retry(&send_state, NULL);
}

static enum result
take_id(const char text[ID_LEN + 1], struct id *id, struct why *why)
{
	if (!id_from_bytes(bytes_of(text, ID_LEN), id))
		return why_set(why, MALFORMED, "queue named a message that can't be");
	return OK;
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
		if (m->ref == 0 && s->credit_given > 0) /* not fetched: it used a credit */
			s->credit_given--;
		message_take(s, &id, fd, m->ref != 0);
		send_credit(s);
		break;
	case QS_GONE:
		break;
	case QS_FORGET:
		message_forget(s, &id);
		break;
	case QS_RETRY:
		waiting_retry(s, all ? NULL : &id);
		break;
	case QS_BOUNCE:
		message_return(s, &id);
		break;
	default:
		return why_set(why, MALFORMED, "queue said what it does not say");
	}
	return OK;
}

static enum result
from_intake(struct port *p, struct wire_message *m, struct why *why)
{
	struct send *s = container_of(p, struct send, bounces);
	struct message *about = message_of_report(s, m->ref);
	const struct pq_failed *failed = m->body;
	int fd;

	(void)why;
	if (about == NULL)
		return OK; /* its message was dropped meanwhile */
	switch (m->type) {
	case PQ_WRITER:
		fd = m->fds[0];
		m->fds[0] = -1;
		bounce_writer(s, about, fd);
		break;
	case PQ_COMMITTED:
		message_reported(s, about, OK);
		break;
	case PQ_FAILED:
		log_simple(SEVERITY_ERROR, "bounce", "why",
		    failed->result == (uint32_t)EXHAUSTED ? "no room in the queue" : "queue failed");
		message_reported(s, about, EXHAUSTED);
		break;
	default:
		break;
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

/* without a neighbour there is nothing to do: warden starts all of us anew */
static void
neighbour_ended(struct send *s, enum result r, struct why *why)
{
	log_why("neighbour", r, why);
	s->end = r;
	s->loop.stop = true;
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

static const struct port_events queue_events = { from_queue, queue_ended };
static const struct port_events bounces_events = { from_intake, bounces_ended };
static const struct port_events lspawn_events = { from_lspawn, lspawn_ended };

static void
take_settings(struct send *s)
{
	const struct control *c = s->control;

	s->lifetime_s = control_number(c, ITEM_QUEUELIFETIME);
	s->bounce_max = control_number(c, ITEM_BOUNCEMAXBYTES);
	s->max_lines = (uint32_t)control_number(c, ITEM_CONCURRENCYLOCAL);
	if (s->max_lines > LOCALS_MAX)
		s->max_lines = LOCALS_MAX;
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
	    (r = port_open(&s->lspawn, &s->loop, lspawn, &lspawn_events, LOCALS_MAX, why)) != OK)
		return r;
	s->loop.idle = idle;
	s->loop.waiting_mask = &waiting_mask;
	waiting_open(s);
	send_credit(s);
	return OK;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &send_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "send", &why)) != OK)
		return process_refuse(&self, r, &why);
	send_state.control = &control;
	take_settings(&send_state);
	if ((r = open_all(&send_state, &why)) != OK || (r = loop_run(&send_state.loop, &why)) != OK)
		return process_refuse(&self, r, &why);
	return result_meaning(send_state.end)->exit_status;
}
