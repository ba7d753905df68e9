/* Transactions as send gives them: a message, and the recipients that it has at this destination.
 * Trusts send for counts only within the protocol's bounds; an address for no octet that could end a line.
 * Never keeps one that is not whole in what it was announced to be. */
#include "remote/remote.h"

#include "mail/header_ascii.h"
#include "sys/fd.h"

#include <stdlib.h>
#include <string.h>

#define RECIPIENTS_OCTETS (2u << 20)

static bool
is_clean(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] == 0x7f)
			return false;
	return true;
}

enum result
transaction_begin(struct transaction *t, struct wire_message *m, struct why *why)
{
	struct bytes fields[3];

	memset(t, 0, offsetof(struct transaction, room));
	t->reset_due = t->mail_said = t->mail_due = t->data_said = false;
	t->n_said = t->n_heard = t->n_accepted = 0;
	t->ref = m->ref;
	t->fd = -1;
	memcpy(&t->message, m->body, sizeof t->message);
	t->message.id[ID_LEN] = '\0';
	memcpy(t->room, m->tail.at, m->tail.len);
	if (!wire_take_all(bytes_of(t->room, m->tail.len), fields, nitems(fields)) || !is_clean(fields[0]) ||
	    !is_clean(fields[1]) || t->message.n_recipients == 0 || t->message.n_recipients > RM_RECIPIENTS_MAX)
		return why_set(why, MALFORMED, "send gave a message that can't be");
	t->reverse = fields[0];
	t->envid = fields[1];
	t->trace = fields[2];
	t->recipients = buf_growing(RECIPIENTS_OCTETS);
	t->to = calloc(t->message.n_recipients, sizeof *t->to);
	if (t->to == NULL)
		return why_set(why, EXHAUSTED, "no memory for %u recipients", t->message.n_recipients);
	t->fd = m->fds[0];
	m->fds[0] = -1;
	return OK;
}

bool
transaction_is_whole(const struct transaction *t)
{
	return t->to != NULL && t->n_to == t->message.n_recipients;
}

/* the buffer may have moved: all views are made when all is there */
static enum result
make_views(struct transaction *t, struct why *why)
{
	struct bytes rest = buf_bytes(&t->recipients), notify;

	for (uint32_t i = 0; i < t->n_to; i++) {
		struct recipient *r = &t->to[i];

		if (!wire_take(&rest, &r->address) || !wire_take(&rest, &r->orcpt) || !wire_take(&rest, &notify) ||
		    notify.len != 1 || !is_clean(r->address) || !is_clean(r->orcpt))
			return why_set(why, MALFORMED, "send gave a recipient that can't be");
		r->notify = notify.at[0];
	}
	return rest.len == 0 ? OK : why_set(why, MALFORMED, "send gave more recipients than it said");
}

/* What said SMTPUTF8 when the message came need not need it: only addresses and header do (RFC 6531 3.3). */
static void
drop_needless_utf8(struct transaction *t)
{
	bool needed = !text_is_ascii(t->reverse) || !text_is_ascii(t->trace);

	if ((t->message.flags & RM_SMTPUTF8) == 0)
		return;
	for (uint32_t i = 0; i < t->n_to && !needed; i++)
		needed = !text_is_ascii(t->to[i].address) || !text_is_ascii(t->to[i].orcpt);
	if (!needed && header_is_ascii(t->fd, t->message.content_at, t->message.content_len))
		t->message.flags &= ~(uint32_t)RM_SMTPUTF8;
}

enum result
transaction_add(struct transaction *t, const struct wire_message *m, struct why *why)
{
	const struct rm_recipients *body = m->body;
	enum result r;

	if (t->to == NULL || m->ref != t->ref || body->n == 0 || body->n > t->message.n_recipients - t->n_to)
		return why_set(why, MALFORMED, "send gave recipients out of turn");
	buf_add(&t->recipients, m->tail);
	if (t->recipients.failed)
		return why_set(why, EXHAUSTED, "too much to say of the recipients");
	t->n_to += body->n;
	if (!transaction_is_whole(t))
		return OK;
	r = make_views(t, why);
	if (r == OK)
		drop_needless_utf8(t);
	return r;
}

void
transaction_free(struct transaction *t)
{
	for (uint32_t i = 0; t->to != NULL && i < t->n_to; i++)
		free(t->to[i].refused);
	free(t->to);
	t->to = NULL;
	buf_free(&t->recipients);
	fd_close(&t->fd);
}
