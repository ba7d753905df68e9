/* Fuzz target: content, decoded in pieces and at once.
 * The first octet chooses DATA or BDAT and whether a bare LF is excused, the second where it is cut.
 * A finding is a crash, a cut that changes anything, more output than was promised, or content that is not all CRLF lines. */
#include "net/smtp_data.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	uint8_t *content; /* SMTP_DATA_ROOM and 2 */
	size_t n, used;
	struct smtp_data d;
	struct smtp_hops hops;
};

static void
decode(struct bytes in, uint8_t how, size_t step, struct outcome *o)
{
	uint8_t *room = malloc(SMTP_DATA_ROOM(step));
	size_t n;

	*o = (struct outcome){ .content = malloc(SMTP_DATA_ROOM(in.len) + 2) };
	smtp_data_begin(&o->d, (how & 1) != 0, (how & 2) != 0, (how & 6) == 6);
	while (o->used < in.len && o->d.state != SMTP_DATA_END) {
		o->used += smtp_data_push(&o->d, bytes_first(bytes_skip(in, o->used), step), room, &n);
		if (o->n + n > SMTP_DATA_ROOM(in.len))
			abort();
		memcpy(o->content + o->n, room, n);
		smtp_hops_push(&o->hops, bytes_of(room, n));
		o->n += n;
	}
	if ((how & 1) != 0)
		o->n += smtp_data_finish(&o->d, o->content + o->n);
	free(room);
}

static void
look_at(const struct outcome *o)
{
	const uint8_t *c = o->content;

	if (o->d.state != SMTP_DATA_END || o->d.fault != SMTP_DATA_FINE)
		return;
	for (size_t i = 0; i < o->n; i++)
		if (c[i] == '\0' || (c[i] == '\r' && (i + 1 == o->n || c[i + 1] != '\n')) ||
		    (c[i] == '\n' && (i == 0 || c[i - 1] != '\r')))
			abort();
	if (o->n > 0 && c[o->n - 1] != '\n')
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;
	struct bytes in;

	if (size < 3)
		return 0;
	in = bytes_of(data + 2, size - 2);
	decode(in, data[0], in.len, &whole);
	decode(in, data[0], 1 + data[1] % 16, &cut);
	look_at(&whole);
	if (whole.used != cut.used || whole.d.state != cut.d.state || whole.d.fault != cut.d.fault)
		abort();
	if (whole.d.fault == SMTP_DATA_FINE &&
	    (whole.n != cut.n || whole.hops.received != cut.hops.received ||
		whole.hops.delivered_to != cut.hops.delivered_to ||
		(whole.n > 0 && memcmp(whole.content, cut.content, whole.n) != 0)))
		abort();
	free(whole.content);
	free(cut.content);
	return 0;
}
