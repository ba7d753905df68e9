/* What `send` asks, and what it is told.
 * Trusts send for which message and which line are meant.
 * Never runs more than PI_IN_FLIGHT programs, never answers before a program and its group are over. */
#include "pipe/pipe.h"

#include "sys/log.h"

#include <string.h>
#include <sys/wait.h>

static enum result
tell(struct job *j, enum pi_outcome outcome, uint32_t code, struct bytes text, struct why *why)
{
	struct pi_result body = { .outcome = (uint8_t)outcome, .code = code };
	uint32_t ref = (uint32_t)(j - j->pipe->jobs);

	return port_send(&j->pipe->send, PI_RESULT, ref, &body, bytes_first(text, PI_SAID_MAX), NULL, why);
}

static void
log_words(const struct job *j, struct bytes said)
{
	struct log_line l;

	if (said.len == 0)
		return;
	log_begin(&l, SEVERITY_INFO, "program-said");
	log_text(&l, "msg", j->id);
	log_bytes(&l, "words", said);
	log_end(&l);
}

void
job_conclude(struct job *j, int status)
{
	struct bytes said = bytes_of(j->said, j->said_len);
	struct why why = WHY_NONE;
	enum result r;

	while (said.len > 0 && said.at[said.len - 1] <= ' ')
		said.len--;
	log_words(j, said);
	if (j->late)
		r = tell(j, PI_LATE, 0, said, &why);
	else if (WIFEXITED(status))
		r = tell(j, PI_EXITED, (uint32_t)WEXITSTATUS(status), said, &why);
	else
		r = tell(j, PI_SIGNAL, (uint32_t)WTERMSIG(status), said, &why);
	if (r != OK)
		j->pipe->loop.stop = true; /* send is gone */
}

static enum result
on_run(struct port *port, struct wire_message *m, struct why *why)
{
	struct pipe *p = container_of(port, struct pipe, send);
	struct bytes fields[PI_RUN_FIELDS];
	struct why reason = WHY_NONE;
	struct job *j;
	enum result r;

	if (m->ref >= PI_IN_FLIGHT || p->jobs[m->ref].pid != 0 || !wire_take_all(m->tail, fields, PI_RUN_FIELDS))
		return why_set(why, MALFORMED, "a program that can't be meant");
	j = &p->jobs[m->ref];
	j->pipe = p;
	r = program_start(j, m->body, fields, m->fds[0], &reason);
	return r == OK
	    ? OK
	    : tell(j, PI_NOT_RUN, r == REFUSED && p->away.text[0] == '\0', bytes_of_string(reason.text), why);
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	struct pipe *p = container_of(port, struct pipe, send);

	if (r != ABSENT)
		log_why("send-is-gone", r, why);
	p->loop.stop = true;
}

static const struct port_events events = { on_run, ended };

static void
idle(struct loop *loop)
{
	(void)loop;
	log_flush();
}

enum result
pipe_run(struct pipe *p, int send_fd, struct why *why)
{
	enum result r;

	if ((r = loop_open(&p->loop, why)) != OK || (r = children_open(p, why)) != OK ||
	    (r = port_open(&p->send, &p->loop, channel_of(send_fd, &send_pipe_protocol, PI_PIPE, false), &events,
		 PI_IN_FLIGHT + 1, why)) != OK)
		return r;
	p->loop.idle = idle;
	log_gather();
	r = loop_run(&p->loop, why);
	children_end(p);
	log_flush();
	return r;
}
