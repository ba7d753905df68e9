/* Making a queue file's head, statuses and envelope in memory.
 * Trusts its caller for the id; checks every field, since most of them come from a front end.
 * Never writes to a file, never grows past the limits of store.h. */
#include "store/store.h"

#include "base/le.h"
#include "store/check.h"
#include "store/crc.h"
#include "store/format.h"

#include <string.h>

#define DRAFT_MAX (STORE_HEAD_LEN + STORE_RECIPIENTS_MAX + STORE_ENVELOPE_MAX)
#define ENVELOPE_AT(d) ((size_t)STORE_HEAD_LEN + (d)->n_recipients)

static void
put_len(struct buf *b, size_t len)
{
	uint8_t octets[2];

	le16_put(octets, (uint16_t)len);
	buf_add(b, bytes_of(octets, sizeof octets));
}

static void
put_field(struct buf *b, struct bytes field)
{
	put_len(b, field.len);
	buf_add(b, field);
}

static void
put_trace(struct buf *b, const struct store_facts *f)
{
	if (f->trace.len == 0) { /* nothing to put it into */
		put_len(b, 0);
		return;
	}
	put_len(b, f->trace.len + ID_LEN);
	buf_add(b, bytes_first(f->trace, f->id_at));
	buf_add(b, bytes_of(f->id.text, ID_LEN));
	buf_add(b, bytes_skip(f->trace, f->id_at));
}

/* What does not depend on recipients or content; those places are zero until store_draft_finish. */
static void
put_head(uint8_t *head, const struct store_facts *f)
{
	memset(head, 0, STORE_HEAD_LEN);
	memcpy(head, STORE_MAGIC, STORE_MAGIC_LEN);
	le32_put(head + STORE_AT_FLAGS, f->flags);
	le32_put(head + STORE_AT_RECIPIENTS, f->n_recipients);
	le32_put(head + STORE_AT_UID, f->uid);
	le64_put(head + STORE_AT_RECEIVED, f->received_us);
	memcpy(head + STORE_AT_ID, f->id.text, ID_LEN);
	le32_put(head + STORE_AT_MARK, STORE_NOT_HELD);
}

static enum result
check_facts(const struct store_facts *f, struct why *why)
{
	if (f->n_recipients == 0 || f->n_recipients > STORE_RECIPIENTS_MAX)
		return why_set(why, MALFORMED, "an envelope for %u recipients", f->n_recipients);
	if (f->flags & ~(uint32_t)STORE_FLAGS_ALL)
		return why_set(why, MALFORMED, "unknown flags in an envelope");
	if (!field_is_path(f->reverse) || !field_is_word(f->envid) || !field_is_word(f->service) ||
	    !field_is_word(f->conn))
		return why_set(why, MALFORMED, "a field of the envelope is too long or has control octets");
	if (!field_is_trace(f->trace) || f->trace.len > STORE_TRACE_MAX - ID_LEN)
		return why_set(why, MALFORMED, "the trace text is too long or not made of lines");
	if (f->trace.len > 0 && (f->id_at >= f->trace.len || (f->id_at > 0 && f->trace.at[f->id_at - 1] == '\r')))
		return why_set(why, MALFORMED, "the id has no place inside a line of the trace text");
	return OK;
}

enum result
store_draft_begin(struct store_draft *d, const struct store_facts *facts, struct why *why)
{
	enum result r = check_facts(facts, why);
	uint8_t *start;

	*d = STORE_DRAFT_NONE;
	if (r != OK)
		return r;
	d->octets = buf_growing(DRAFT_MAX);
	d->n_recipients = facts->n_recipients;
	start = buf_room(&d->octets, ENVELOPE_AT(d));
	if (start == NULL)
		return why_set(why, EXHAUSTED, "no memory for an envelope");
	put_head(start, facts);
	memset(start + STORE_HEAD_LEN, STORE_WAITING, d->n_recipients);
	d->octets.len = ENVELOPE_AT(d);
	put_field(&d->octets, facts->reverse);
	put_field(&d->octets, facts->envid);
	put_field(&d->octets, facts->service);
	put_field(&d->octets, facts->conn);
	put_trace(&d->octets, facts);
	if ((r = buf_result(&d->octets)) != OK)
		return why_set(why, r, "no memory for an envelope");
	return OK;
}

enum result
store_draft_add(struct store_draft *d, const struct store_recipient *r, struct why *why)
{
	if (d->n_here >= d->n_recipients)
		return why_set(why, MALFORMED, "more recipients than the %u that were announced", d->n_recipients);
	if (r->forward.len == 0 || !field_is_path(r->forward) || !field_is_path(r->orcpt) ||
	    !notify_is_valid(r->notify))
		return why_set(why, MALFORMED, "a recipient that is empty, too long or has control octets");
	put_field(&d->octets, r->forward);
	put_field(&d->octets, r->orcpt);
	put_field(&d->octets, bytes_of(&r->notify, 1));
	if (d->octets.len - ENVELOPE_AT(d) > STORE_ENVELOPE_MAX)
		d->octets.failed = true;
	if (buf_result(&d->octets) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large");
	d->n_here++;
	return OK;
}

bool
store_draft_is_complete(const struct store_draft *d)
{
	return !d->octets.failed && d->n_here == d->n_recipients;
}

uint64_t
store_draft_content_at(const struct store_draft *d)
{
	return d->octets.len;
}

struct bytes
store_draft_finish(struct store_draft *d, uint64_t content_len, uint32_t sum)
{
	struct bytes all = buf_bytes(&d->octets), envelope = bytes_skip(all, ENVELOPE_AT(d));
	uint8_t *head = d->octets.at;
	uint32_t crc;

	le64_put(head + STORE_AT_CONTENT, content_len);
	le32_put(head + STORE_AT_CONTENT_AT, (uint32_t)all.len);
	le32_put(head + STORE_AT_ENVELOPE, (uint32_t)envelope.len);
	le32_put(head + STORE_AT_SUM, sum);
	crc = crc32_add(0, bytes_of(head + STORE_AT_FLAGS, STORE_AT_MARK - STORE_AT_FLAGS));
	le32_put(head + STORE_AT_CRC, crc32_add(crc, envelope));
	return all;
}

void
store_draft_free(struct store_draft *d)
{
	buf_free(&d->octets);
	*d = STORE_DRAFT_NONE;
}
