/* Fuzz target: SPF records. The input is the record of every name that is asked for, and what its macros expand to.
 * A finding is a crash, a check that never ends, or one that asks for more names than it may. */
#include "net/spf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct asked {
	struct bytes record;
	unsigned n;
	uint8_t rooms[3][4200]; /* by type: an answer stays valid until the end */
};

static enum result
look_up(void *ctx, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	struct asked *k = ctx;
	struct buf out = BUF_OVER(k->rooms[type == RS_TXT ? 0 : type == RS_MX ? 1 : 2]);

	if (++k->n > 2 * 12 * 12 || name.len == 0 || name.len > SPF_NAME_MAX)
		abort();
	a->outcome = k->n % 5 == 4 ? RS_NO_NAME : RS_FOUND;
	if (type == RS_TXT)
		wire_put(&out, k->record);
	else
		for (unsigned i = 0; i < 12; i++)
			wire_put(&out, type == RS_MX ? BYTES("\0\1mx.example.org") : BYTES("\300\0\2\7"));
	a->records = a->outcome == RS_FOUND ? buf_bytes(&out) : BYTES_NONE;
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t peer[16] = { 192, 0, 2, 5 };
	struct asked k = { .record = bytes_of(data, size > 4000 ? 4000 : size) };
	struct spf_query q = { .address = peer,
		.address_len = size % 2 == 0 ? 4 : 16,
		.local = bytes_first(bytes_of(data, size), 300),
		.domain = BYTES("a.example.org"),
		.helo = BYTES("h.example.org"),
		.receiver = BYTES("mx.example.org") };
	uint8_t room[300];
	struct buf text = BUF_OVER(room);
	enum spf_result found;

	if (spf_check(&q, look_up, &k, bytes_of(data, size), &found) != OK || found > SPF_PERMERROR)
		abort();
	(void)spf_expand(&q, q.domain, k.record, true, &text);
	return 0;
}
