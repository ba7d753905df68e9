/* Fuzz target: the decoder of every edge of the plan, from both sides, and the fields of tails. What is taken and what is
 * refused is compared with the list in the edge's header, read a second time here.
 * The first octets choose edge, sender, number of descriptors and form: a packet as it is, or one made to fit a row of the
 * list, but for what the next octets say. */
#include "base/le.h"
#include "wire/door.h"

#define EDGE(from, from_slot, to, to_slot, protocol) extern const struct wire_protocol protocol##_protocol;
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) \
	extern const struct wire_protocol protocol##_protocol;
#define MADE(maker, first, second, protocol) extern const struct wire_protocol protocol##_protocol;
#include "graph.def"
#undef EDGE
#undef DOORWAY
#undef MADE

#include <stdlib.h>
#include <string.h>

#define CHOICES 8
#define FORM_MADE 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_protocol *const edges[] = {
	&door_protocol,
#define EDGE(from, from_slot, to, to_slot, protocol) &protocol##_protocol,
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) &protocol##_protocol,
#define MADE(maker, first, second, protocol) &protocol##_protocol,
#include "graph.def"
};

static void
must(bool what)
{
	if (!what)
		abort();
}

static bool
should_be_taken(const struct wire_protocol *p, enum wire_side sender, struct bytes packet, unsigned n_fds)
{
	struct wire_head head;

	if (packet.len < sizeof head)
		return false;
	memcpy(&head, packet.at, sizeof head);
	return packet.len <= WIRE_MAX && head.len + sizeof head == packet.len && head.type < p->n_rows &&
	    p->rows[head.type].sender == sender && p->rows[head.type].n_fds == n_fds &&
	    head.len >= p->rows[head.type].body_len &&
	    head.len <= p->rows[head.type].body_len + p->rows[head.type].tail_max;
}

static void
look_at_message(const struct wire_row *row, const struct wire_message *m, struct bytes packet)
{
	const uint8_t *end = packet.at + packet.len;

	must(m->body == packet.at + sizeof(struct wire_head));
	must(m->tail.len <= row->tail_max && m->tail.at == (const uint8_t *)m->body + row->body_len);
	must(m->tail.at + m->tail.len == end);
}

/* Fields follow one another without a gap, and what is left is no whole field. */
static void
look_at_fields(struct bytes tail)
{
	struct bytes rest = tail, field, all[8];
	const uint8_t *at = tail.at, *end = tail.at + tail.len;
	size_t n = 0;

	while (wire_take(&rest, &field)) {
		must(field.at == at + 2 && field.len == le16_get(at) && field.len <= (size_t)(end - field.at));
		at = field.at + field.len;
		must(rest.at == at && rest.len == (size_t)(end - at));
		n++;
	}
	must(rest.len < 2 || le16_get(rest.at) > rest.len - 2);
	for (size_t k = 0; k <= nitems(all); k++)
		must(wire_take_all(tail, all, k) == (k == n && rest.len == 0));
}

static void
decode(const struct wire_protocol *p, enum wire_side sender, struct bytes packet, unsigned n_fds)
{
	struct wire_message m = { 0 };
	struct why why = WHY_NONE;
	enum result r = wire_decode(p, sender, packet, n_fds, &m, &why);

	must((r == OK) == should_be_taken(p, sender, packet, n_fds));
	if (r == OK) {
		look_at_message(&p->rows[m.type], &m, packet);
		look_at_fields(m.tail);
	} else
		must(r == MALFORMED && why.text[0] != '\0');
}

/* A block of its own, so that reading past the end is seen. */
static uint8_t *
block(size_t size)
{
	uint8_t *b = calloc(1, size > 0 ? size : 1);

	must(b != NULL);
	return b;
}

static void
decode_made(const struct wire_protocol *p, const uint8_t choices[CHOICES], struct bytes text)
{
	const struct wire_row *row = &p->rows[choices[4] % p->n_rows];
	size_t tail = choices[5] & 1 ? row->tail_max + (choices[5] >> 1) % 8u - 4u : le16_get(choices + 6) % 1024u;
	size_t len = row->body_len + (tail > WIRE_MAX ? 0 : tail) - (choices[5] == 0xff && row->body_len > 0 ? 1 : 0);
	struct wire_head head = { .type = choices[4] % p->n_rows, .len = (uint16_t)len, .ref = 7 };
	uint8_t *packet = block(sizeof head + len);

	memcpy(packet, &head, sizeof head);
	if (len > row->body_len) {
		text = bytes_first(text, len - row->body_len);
		memcpy(packet + sizeof head + row->body_len, text.at, text.len);
	}
	decode(p, (enum wire_side)row->sender, bytes_of(packet, sizeof head + len), row->n_fds);
	free(packet);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_protocol *p;
	uint8_t *packet;

	if (size < CHOICES)
		return 0;
	p = edges[data[0] % nitems(edges)];
	if (data[1] & FORM_MADE) {
		decode_made(p, data, bytes_of(data + CHOICES, size - CHOICES));
		return 0;
	}
	packet = block(size - CHOICES);
	memcpy(packet, data + CHOICES, size - CHOICES);
	decode(p, data[2] % 2 == 0 ? WIRE_FIRST : WIRE_SECOND, bytes_of(packet, size - CHOICES),
	    data[3] % (WIRE_FDS_MAX + 1));
	free(packet);
	return 0;
}
