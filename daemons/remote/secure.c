/* Connections that go on in TLS, by way of send.
 * Trusts send to hand them to the engine, which checks what is demanded.
 * Never reads an octet of the connection itself, never says what is demanded. */
#include "remote/remote.h"

#include "sys/fd.h"

#include <stdio.h>
#include <string.h>

static void
copy_text(char *into, size_t size, struct bytes from)
{
	(void)snprintf(into, size, "%.*s", (int)from.len, (const char *)from.at);
}

static enum result
take_answer(struct wire_message *m, int *plain_fd, struct secure_found *f, enum rm_blame *blame, struct why *why)
{
	const struct rm_secured *secured = m->body;
	struct bytes fields[RM_SECURED_FIELDS];

	if (m->type == RM_NOT_SECURED) {
		const struct rm_not_secured *not_secured = m->body;

		*blame = not_secured->blame <= RM_BLAME_PEER ? (enum rm_blame)not_secured->blame : RM_BLAME_US;
		return why_set(why, REFUSED, "%.*s", (int)m->tail.len, (const char *)m->tail.at);
	}
	if (m->type != RM_SECURED || !wire_take_all(m->tail, fields, RM_SECURED_FIELDS))
		return why_set(why, MALFORMED, "send said what it was not asked");
	f->shown = secured->shown != 0;
	copy_text(f->protocol, sizeof f->protocol, fields[0]);
	copy_text(f->cipher, sizeof f->cipher, fields[1]);
	copy_text(f->how, sizeof f->how, fields[2]);
	copy_text(f->name, sizeof f->name, fields[3]);
	*plain_fd = m->fds[0];
	m->fds[0] = -1;
	return OK;
}

enum result
secure_begin(struct session *s, int net_fd, const struct secure_wish *w, int *plain_fd, struct secure_found *f,
    enum rm_blame *blame, struct why *why)
{
	struct rm_secure ask = { .dane = w->dane, .vouched = w->vouched, .nameless = w->nameless };
	uint8_t room[7168];
	struct buf tail = BUF_OVER(room);
	struct wire_message m;
	enum result r;

	memset(f, 0, sizeof *f);
	*plain_fd = -1;
	*blame = RM_BLAME_US; /* whatever stops us before send has answered */
	wire_put(&tail, w->host);
	wire_put(&tail, w->known_as);
	wire_put(&tail, w->dane ? w->tlsa : BYTES_NONE);
	if (tail.failed)
		return why_set(why, REFUSED, "too much to tell the TLS engine");
	if ((r = session_ask(s, RM_SECURE, &ask, buf_bytes(&tail), &net_fd, &m, why)) != OK)
		return r;
	r = take_answer(&m, plain_fd, f, blame, why);
	wire_close_fds(&m);
	return r;
}
