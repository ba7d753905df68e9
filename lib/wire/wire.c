/* Checks of messages between processes.
 * Trusts the protocol tables; nothing that came over a channel, above all no length.
 * Never follows a pointer, size or count that the sender chose without having checked it here. */
#include "wire/wire.h"

#include <string.h>
#include <unistd.h>

enum result
wire_decode(const struct wire_protocol *p, enum wire_side sender, struct bytes packet, unsigned n_fds,
    struct wire_message *m, struct why *why)
{
	const struct wire_row *row;
	struct wire_head head;

	if (packet.len < sizeof head || packet.len > WIRE_MAX)
		return why_set(
		    why, MALFORMED, "%s: a packet of %zu octets from %s", p->name, packet.len, p->sides[sender]);
	memcpy(&head, packet.at, sizeof head);
	if (head.type >= p->n_rows || p->rows[head.type].sender != sender)
		return why_set(
		    why, MALFORMED, "%s: type %u is not for %s to send", p->name, head.type, p->sides[sender]);
	row = &p->rows[head.type];
	if (head.len != packet.len - sizeof head || head.len < row->body_len ||
	    head.len - row->body_len > row->tail_max)
		return why_set(
		    why, MALFORMED, "%s: %s of %zu octets from %s", p->name, row->name, packet.len, p->sides[sender]);
	if (n_fds != row->n_fds)
		return why_set(
		    why, MALFORMED, "%s: %s with %u descriptors from %s", p->name, row->name, n_fds, p->sides[sender]);
	m->type = head.type;
	m->ref = head.ref;
	m->body = packet.at + sizeof head;
	m->tail = bytes_skip(packet, sizeof head + row->body_len);
	return OK;
}

void
wire_close_fds(struct wire_message *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			(void)close(m->fds[i]);
	m->n_fds = 0;
}

void
wire_put(struct buf *tail, struct bytes field)
{
	uint8_t len[2] = { (uint8_t)field.len, (uint8_t)(field.len >> 8) };

	if (field.len > UINT16_MAX) {
		tail->failed = true;
		return;
	}
	buf_add(tail, bytes_of(len, sizeof len));
	buf_add(tail, field);
}

void
wire_put_string(struct buf *tail, const char *field)
{
	wire_put(tail, bytes_of_string(field));
}

bool
wire_take(struct bytes *tail, struct bytes *field)
{
	size_t len;

	if (tail->len < 2)
		return false;
	len = (size_t)tail->at[0] | (size_t)tail->at[1] << 8;
	if (tail->len - 2 < len)
		return false;
	*field = bytes_first(bytes_skip(*tail, 2), len);
	*tail = bytes_skip(*tail, 2 + len);
	return true;
}

bool
wire_take_all(struct bytes tail, struct bytes fields[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!wire_take(&tail, &fields[i]))
			return false;
	return tail.len == 0;
}
