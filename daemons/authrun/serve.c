/* The lines of `authrun`: from auth and from policy, and the line of those that wait for a program.
 * Trusts neither for a program: auth's is the one of its item, policy's a number of its own configuration.
 * Never has more at work than its bounds, never keeps a password behind its answer. */
#include "authrun/authrun.h"
#include "authrun/privileges.h"

#include "base/secret.h"
#include "control/recipients.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "wire/listen_policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINE_WAITING 4096

/* ---- answers ---- */

static void
answer_auth(struct authrun *a, uint64_t ref, enum ar_outcome outcome, struct bytes who, const char *why)
{
	struct ar_verdict verdict = { .outcome = (uint8_t)outcome };
	uint8_t room[AR_NAME_MAX + AR_REASON_MAX + 8];
	struct buf tail = BUF_OVER(room);
	struct why trouble = WHY_NONE;

	if (who.len > AR_NAME_MAX) {
		verdict.outcome = AR_TROUBLE;
		who = BYTES_NONE;
		why = "the name that it was given is too long";
	}
	wire_put(&tail, who);
	wire_put(&tail, bytes_first(bytes_of_string(why), AR_REASON_MAX));
	if (port_send(&a->auth, AR_VERDICT, ref, &verdict, buf_bytes(&tail), NULL, &trouble) != OK)
		a->loop.stop = true;
}

static void
answer_policy(struct authrun *a, uint64_t ref, enum ar_outcome outcome)
{
	static const uint8_t outcomes[] = { [AR_GOOD] = PR_TAKEN, [AR_BAD] = PR_NOT_TAKEN, [AR_TROUBLE] = PR_TROUBLE };
	struct pr_answer answer = { .outcome = outcomes[outcome] };
	struct why trouble = WHY_NONE;

	if (port_send(&a->policy, PR_ANSWER, ref, &answer, BYTES_NONE, NULL, &trouble) != OK)
		a->loop.stop = true;
}

void
errand_conclude(struct errand *e, enum ar_outcome outcome, struct bytes who, const char *why)
{
	struct authrun *a = e->a;

	if (e->whose == FOR_AUTH)
		answer_auth(a, e->ref, outcome, who, why);
	else
		answer_policy(a, e->ref, outcome);
	loop_cancel(&a->loop, &e->limit);
	secret_wipe(e, sizeof *e);
	free(e);
	a->n_errands--;
}

/* ---- the line ---- */

static struct errand *
take_first(struct authrun *a)
{
	struct errand *e = a->first;

	a->first = e->next;
	if (a->first == NULL)
		a->last = &a->first;
	loop_cancel(&a->loop, &e->limit);
	return e;
}

static void
begin_next(struct authrun *a)
{
	while (a->first != NULL && a->n_running < a->max_running && !a->loop.stop) {
		struct errand *e = take_first(a);

		if (!program_start(e)) {
			log_simple(SEVERITY_ERROR, "program-failed", "why", "it can't be started");
			errand_conclude(e, AR_TROUBLE, BYTES_NONE, "the program can't be started");
		}
	}
}

static void
waited_too_long(struct loop *loop, struct timer *t)
{
	struct errand *late = container_of(t, struct errand, limit), **at = &authrun_of_loop(loop)->first;
	struct authrun *a = authrun_of_loop(loop);

	while (*at != NULL && *at != late)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = late->next;
	if (*at == NULL)
		a->last = at;
	errand_conclude(late, AR_TROUBLE, BYTES_NONE, "too many programs run already");
}

static void
line_up(struct errand *e)
{
	struct authrun *a = e->a;

	e->limit.due = waited_too_long;
	if (loop_at(&a->loop, &e->limit, clock_ms() + WAIT_MS) != OK) {
		errand_conclude(e, AR_TROUBLE, BYTES_NONE, "no memory");
		return;
	}
	e->next = NULL;
	*a->last = e;
	a->last = &e->next;
}

static struct errand *
errand_new(struct authrun *a, enum errand_for whose, uint64_t ref)
{
	size_t most = whose == FOR_AUTH ? ERRANDS_MAX : ERRANDS_MAX / 2; /* strangers ask about recipients */
	struct errand *e = a->n_errands < most ? calloc(1, sizeof *e) : NULL;

	if (e == NULL)
		return NULL;
	a->n_errands++;
	e->a = a;
	e->whose = whose;
	e->ref = ref;
	e->words.fd = -1;
	return e;
}

/* ---- auth ---- */

enum { NAME, SECRET, TIMESTAMP, N_FIELDS };

static bool
is_sound(const struct ar_check *check, const struct bytes fields[N_FIELDS])
{
	static const size_t most[N_FIELDS] = { AR_NAME_MAX, AR_SECRET_MAX, AR_TIMESTAMP_MAX };

	for (size_t i = 0; i < N_FIELDS; i++)
		if (fields[i].len > most[i] || bytes_find(fields[i], '\0') < fields[i].len)
			return false;
	return fields[NAME].len > 0 && check->conn[ID_LEN] == '\0' &&
	    (check->family == LP_IPV4 || check->family == LP_IPV6 || check->family == LP_UNIX);
}

/* name\0password\0timestamp\0, as checkpassword has it; false: longer than it may be */
static bool
put_checkpassword(struct errand *e, const struct bytes fields[N_FIELDS])
{
	struct buf input = buf_over(e->input, PROGRAM_INPUT_MAX);

	for (size_t i = 0; i < N_FIELDS; i++) {
		buf_add(&input, fields[i]);
		buf_add_octet(&input, '\0');
	}
	e->input_len = input.len;
	return !input.failed;
}

/* RFC 4616 */
static void
put_plain(struct errand *e, const struct bytes fields[N_FIELDS])
{
	struct buf input = BUF_OVER(e->input);

	buf_add_octet(&input, '\0');
	buf_add(&input, fields[NAME]);
	buf_add_octet(&input, '\0');
	buf_add(&input, fields[SECRET]);
	e->input_len = input.len;
}

static void
check(struct errand *e, const struct ar_check *asked, const struct bytes fields[N_FIELDS])
{
	struct authrun *a = e->a;

	if (a->dovecot.path.len > 0 && asked->is_digest)
		errand_conclude(e, AR_BAD, BYTES_NONE, "Dovecot is asked about passwords alone");
	else if (a->dovecot.path.len > 0) {
		put_plain(e, fields);
		dovecot_ask(e);
	} else if (!put_checkpassword(e, fields))
		errand_conclude(e, AR_BAD, BYTES_NONE, "longer than a program may be told");
	else {
		e->program = a->checkpassword;
		line_up(e);
	}
}

static enum result
from_auth(struct port *port, struct wire_message *m, struct why *why)
{
	struct authrun *a = authrun_of_loop(port->loop);
	const struct ar_check *asked = m->body;
	struct bytes fields[N_FIELDS];
	struct errand *e;

	if (m->type != AR_CHECK || !wire_take_all(m->tail, fields, N_FIELDS) || !is_sound(asked, fields) ||
	    (a->dovecot.path.len == 0 && a->checkpassword.len == 0))
		return why_set(why, MALFORMED, "AR_CHECK with fields that can't be");
	e = errand_new(a, FOR_AUTH, m->ref);
	if (e == NULL) {
		answer_auth(a, m->ref, AR_TROUBLE, BYTES_NONE, "too many are asked about");
		return OK;
	}
	e->family = asked->family;
	e->secure = asked->secure != 0;
	memcpy(e->conn, asked->conn, sizeof e->conn);
	memcpy(e->remote, asked->remote, sizeof e->remote);
	check(e, asked, fields);
	return OK;
}

/* ---- policy ---- */

static enum result
from_policy(struct port *port, struct wire_message *m, struct why *why)
{
	struct authrun *a = authrun_of_loop(port->loop);
	const struct pr_ask *ask = m->body;
	struct bytes program, address = m->tail;
	struct errand *e;

	if (m->type != PR_ASK || address.len == 0 || bytes_find(address, '\0') < address.len)
		return why_set(why, MALFORMED, "PR_ASK about what is no address");
	program = recipients_program(a->control, ask->program);
	if (program.len == 0)
		return why_set(why, MALFORMED, "PR_ASK for a program that is not in recipients");
	if (address.len > PROGRAM_INPUT_MAX - 3) {
		answer_policy(a, m->ref, AR_BAD);
		return OK;
	}
	e = errand_new(a, FOR_POLICY, m->ref);
	if (e == NULL) {
		answer_policy(a, m->ref, AR_TROUBLE);
		return OK;
	}
	e->program = program;
	e->address_len = (uint16_t)address.len;
	memcpy(e->address, address.at, address.len);
	memcpy(e->input, address.at, address.len); /* and three zero octets */
	e->input_len = address.len + 3;
	line_up(e);
	return OK;
}

static void
line_ended(struct port *port, enum result r, struct why *why)
{
	struct authrun *a = authrun_of_loop(port->loop);

	if (r != ABSENT)
		log_why("line-ended", r, why);
	a->end = r == ABSENT ? OK : r;
	a->loop.stop = true;
}

/* ---- the loop ---- */

static void
between_turns(struct loop *loop)
{
	begin_next(authrun_of_loop(loop));
	log_flush();
}

static bool
is_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static enum result
open_lines(struct authrun *a, struct why *why)
{
	static const struct port_events auth_events = { from_auth, line_ended };
	static const struct port_events policy_events = { from_policy, line_ended };
	struct channel auth = channel_of(AUTHRUN_AUTH_FD, &auth_authrun_protocol, AR_AUTHRUN, false);
	struct channel policy = channel_of(AUTHRUN_POLICY_FD, &policy_authrun_protocol, PR_AUTHRUN, false);
	enum result r = port_open(&a->policy, &a->loop, policy, &policy_events, LINE_WAITING, why);

	a->auth.channel.fd = -1;
	if (r == OK && is_channel(AUTHRUN_AUTH_FD)) {
		r = port_open(&a->auth, &a->loop, auth, &auth_events, LINE_WAITING, why);
		a->auth.secret = true;
	}
	return r;
}

enum result
authrun_run(struct authrun *a, const struct control *control, const char *service, struct why *why)
{
	enum result r;

	a->control = control;
	a->service = service;
	a->checkpassword = control_text(control, ITEM_CHECKPASSWORD);
	a->limit_ms = 1000 * control_number(control, ITEM_PROGRAMSECONDS);
	a->max_running = (unsigned)control_number(control, ITEM_CONCURRENCYPROGRAMS);
	a->last = &a->first;
	a->end = OK;
	dovecot_open(a);
	if ((r = loop_open(&a->loop, why)) != OK || (r = children_open(a, why)) != OK || (r = open_lines(a, why)) != OK)
		return r;
	a->loop.idle = between_turns;
	log_gather();
	r = loop_run(&a->loop, why);
	log_flush();
	dovecot_close(a);
	children_end(a);
	return r == OK ? a->end : r;
}
