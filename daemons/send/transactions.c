/* Transactions: the recipients of a message that go to the same next hop, together.
 * Trusts nothing but its own lists.
 * Never has a recipient in two of them, never frees one whose recipients have not all come to their end. */
#include "send/hops.h"

#include <stdio.h>
#include <stdlib.h>

#define FILLING_MAX 256 /* of a message; then all go on their way as they are */

static void
release(struct transaction *t)
{
	struct next_hop *h = t->hop;
	struct flow *flow = flow_of(&h->flows, t->message);
	static const struct verdict no_memory = {
		.outcome = SD_TEMPORARY, .enhanced = { 4, 3, 0 }, .text = "no memory"
	};

	hop_is_due(h);
	if (flow != NULL)
		flow_append(&h->flows, flow, t);
	else
		transaction_settle(t, &no_memory, NULL);
}

void
transactions_release(struct message *m)
{
	struct transaction *t = m->filling;

	m->filling = NULL;
	m->n_filling = 0;
	while (t != NULL) {
		struct transaction *next = t->next;

		release(t);
		t = next;
	}
}

/* The message's transaction there, taken out of its list; null: none. */
static struct transaction *
take_filling(struct message *m, const struct next_hop *h)
{
	for (struct transaction **link = &m->filling; *link != NULL; link = &(*link)->next)
		if ((*link)->hop == h) {
			struct transaction *t = *link;

			*link = t->next;
			m->n_filling--;
			return t;
		}
	return NULL;
}

static struct transaction *
new_transaction(struct next_hop *h, struct message *m)
{
	struct transaction *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->message = m;
	t->hop = h;
	h->n_in_hand++;
	return t;
}

static void
append(struct transaction *t, struct task *task)
{
	task->next = NULL;
	if (t->last == NULL)
		t->first = task;
	else
		t->last->next = task;
	t->last = task;
	t->n++;
}

void
transaction_add(struct next_hop *h, struct task *task)
{
	struct message *m = task->message;
	struct transaction *t = take_filling(m, h);

	if (t == NULL && (t = new_transaction(h, m)) == NULL) {
		hop_is_due(h);
		task_defer(h->send, task, "no memory");
		return;
	}
	append(t, task);
	if (t->n == TRANSACTION_MAX || (m->store.flags & STORE_VERP) != 0) {
		release(t);
		return;
	}
	t->next = m->filling; /* in front: the next recipient's is looked for from here */
	m->filling = t;
	if (++m->n_filling == FILLING_MAX)
		transactions_release(m);
}

static void
settle_refused(struct send *s, struct task *task, const struct delivery_facts *facts)
{
	struct delivery_facts own = facts != NULL ? *facts : (struct delivery_facts){ .conn = NULL };

	own.from_peer = true;
	own.duplicate = false;
	own.not_before_s = 0;
	task_settle_remote(s, task, (enum sd_outcome)task->outcome, task->enhanced, bytes_of_string(task->text), &own);
}

void
transaction_settle(struct transaction *t, const struct verdict *v, const struct delivery_facts *facts)
{
	struct next_hop *h = t->hop;
	struct send *s = h->send;

	for (struct task *task = t->first, *next; task != NULL; task = next) {
		next = task->next;
		if (task->refused)
			settle_refused(s, task, facts);
		else
			task_settle_remote(s, task, v->outcome, v->enhanced, bytes_of_string(v->text), facts);
	}
	h->n_in_hand--;
	hop_is_due(h);
	free(t);
}

void
verdict_say(struct verdict *v, const char *text)
{
	(void)snprintf(v->text, sizeof v->text, "%s", text);
}

static void
forget_refusals(struct transaction *t)
{
	for (struct task *task = t->first; task != NULL; task = task->next) {
		free(task->text);
		task->text = NULL;
		task->refused = false;
	}
}

void
transaction_put_back(struct transaction *t, bool counted, const char *text)
{
	struct next_hop *h = t->hop;
	struct flow *flow = flow_of(&h->flows, t->message);
	struct verdict v = { .outcome = SD_TEMPORARY, .enhanced = { 4, 4, 2 } };

	forget_refusals(t);
	t->n_tries = (uint8_t)(t->n_tries + counted);
	hop_is_due(h);
	if (flow != NULL && t->n_tries < TRIES_MAX) {
		flow_put_back(&h->flows, flow, t);
		return;
	}
	verdict_say(&v, text);
	transaction_settle(t, &v, NULL);
}

/* The peer would take it in another transaction (RFC 5321 4.5.3.1.10). */
static bool
is_one_too_many(const struct task *task)
{
	return task->refused && task->outcome == SD_TEMPORARY && task->enhanced[1] == 5 && task->enhanced[2] == 3;
}

struct transaction *
transaction_split(struct transaction *t)
{
	struct transaction *rest;
	struct task *task = t->first, *next;
	uint32_t n = 0;

	for (const struct task *one = task; one != NULL; one = one->next)
		n += is_one_too_many(one);
	if (n == 0 || n == t->n || (rest = new_transaction(t->hop, t->message)) == NULL)
		return NULL;
	t->first = t->last = NULL;
	t->n = 0;
	for (; task != NULL; task = next) {
		next = task->next;
		append(is_one_too_many(task) ? rest : t, task);
	}
	return rest;
}
