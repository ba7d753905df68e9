/* Envelopes.
 * Trusts that lengths were checked when the request came in.
 * Never grows past its bound, keeps no octet of a past transaction within reach of the next. */
#include "policy/envelope.h"

#define KEPT 4096 /* octets of memory that a session may keep between messages */

static struct bytes
keep(struct buf *room, struct bytes what)
{
	struct bytes kept = { room->at + room->len, what.len };

	buf_add(room, what);
	return kept;
}

void
envelope_begin(
    struct envelope *e, const struct sp_mail *mail, struct bytes helo, struct bytes reverse, struct bytes envid)
{
	struct buf room = BUF_OVER(e->room);

	e->helo_kind = mail->helo;
	e->smtputf8 = mail->smtputf8 != 0;
	e->body_8bit = mail->body == SP_BODY_8BITMIME;
	e->verp = mail->verp != 0;
	e->ret = mail->ret;
	e->octets = mail->octets;
	e->helo = keep(&room, helo);
	e->reverse = keep(&room, reverse);
	e->envid = keep(&room, envid);
	e->n_recipients = 0;
	if (e->recipients.max == 0)
		e->recipients = buf_growing(ENVELOPE_RECIPIENTS_MAX);
	buf_clear(&e->recipients);
}

enum result
envelope_add(struct envelope *e, struct bytes address, struct bytes orcpt, uint8_t notify)
{
	size_t before = e->recipients.len;

	wire_put(&e->recipients, address);
	wire_put(&e->recipients, orcpt);
	wire_put(&e->recipients, bytes_of(&notify, 1));
	if (e->recipients.failed) {
		e->recipients.len = before;
		e->recipients.failed = false;
		return EXHAUSTED;
	}
	e->n_recipients++;
	return OK;
}

struct bytes
envelope_only_recipient(const struct envelope *e)
{
	struct bytes at = buf_bytes(&e->recipients), address;

	return e->n_recipients == 1 && wire_take(&at, &address) ? address : BYTES_NONE;
}

void
envelope_end(struct envelope *e)
{
	buf_clear(&e->recipients);
	e->n_recipients = 0;
	if (e->recipients.size > KEPT) {
		buf_free(&e->recipients);
		e->recipients = buf_growing(ENVELOPE_RECIPIENTS_MAX);
	}
}
