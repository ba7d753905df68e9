/* Fuzz target: envelopes from a client, made into queue files. What is accepted must be readable again, with the same
 * fields: a message that queue takes and can't read would be lost.
 * Input: number of recipients, place of the id, flags, notify; then fields as in PQ_OPEN. */
#include "base/le.h"
#include "store/store.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

static bool
take_facts(struct bytes *tail, struct store_facts *f)
{
	return wire_take(tail, &f->reverse) && wire_take(tail, &f->envid) && wire_take(tail, &f->trace) &&
	    wire_take(tail, &f->service) && wire_take(tail, &f->conn);
}

static void
add_all(struct store_draft *d, struct bytes tail, uint8_t notify)
{
	struct why why = WHY_NONE;
	struct store_recipient r = { .notify = notify };

	while (wire_take(&tail, &r.forward) && wire_take(&tail, &r.orcpt))
		if (store_draft_add(d, &r, &why) != OK)
			break;
}

static void
must_be_readable(struct store_draft *d, const struct store_facts *f)
{
	struct bytes whole = store_draft_finish(d, 0, 0);
	struct store_message m;
	struct why why = WHY_NONE;
	struct store_recipient r;
	enum store_status status;
	struct store_walk w;
	uint32_t i, n = 0;

	MUST(store_decode(whole, whole.len, &m, &why) == OK);
	MUST(
	    bytes_equal(m.reverse, f->reverse) && bytes_equal(m.envid, f->envid) && bytes_equal(m.service, f->service));
	MUST(m.trace.len == (f->trace.len > 0 ? f->trace.len + ID_LEN : 0) && m.n_recipients == f->n_recipients &&
	    m.flags == f->flags);
	w = store_walk_of(&m);
	while (store_walk_next(&w, &r, &i, &status)) {
		MUST(status == STORE_WAITING && i == n);
		n++;
	}
	MUST(n == f->n_recipients);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_facts f = { .id = id_of_number(12345), .uid = UINT32_MAX };
	struct why why = WHY_NONE;
	struct store_draft d;
	struct bytes tail;
	uint8_t *copy;

	if (size < 6)
		return 0;
	copy = malloc(size); /* its own block, so that reading past the end is seen */
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	f.n_recipients = le16_get(copy);
	f.id_at = le16_get(copy + 2);
	f.flags = copy[4];
	tail = bytes_of(copy + 6, size - 6);
	if (take_facts(&tail, &f)) {
		if (store_draft_begin(&d, &f, &why) == OK) {
			add_all(&d, tail, copy[5]);
			if (store_draft_is_complete(&d))
				must_be_readable(&d, &f);
		}
		store_draft_free(&d);
	}
	free(copy);
	return 0;
}
