/* Reading a queue file.
 * Trusts not one octet of it: a disk decays, a power cut tears, and a restore from backup may bring anything.
 * Never reads past what is there, never shows a message of which a length, count, status or sum is wrong. */
#include "store/store.h"

#include "base/le.h"
#include "store/check.h"
#include "store/crc.h"
#include "store/format.h"
#include "sys/fd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_READ 4096u /* nearly every envelope is shorter */

bool
store_status_is_valid(uint8_t status)
{
	return status == STORE_WAITING || status == STORE_DELIVERED || status == STORE_FAILED ||
	    status == STORE_REPORTED;
}

enum result
store_decode_size(struct bytes head, uint64_t file_len, size_t *before_content, struct why *why)
{
	uint32_t recipients, envelope, content_at;
	uint64_t content;

	if (head.len < STORE_HEAD_LEN ||
	    (memcmp(head.at, STORE_MAGIC, STORE_MAGIC_LEN) != 0 &&
		memcmp(head.at, STORE_MAGIC_OLD, STORE_MAGIC_LEN) != 0))
		return why_set(why, MALFORMED, "it does not begin like a queue file");
	recipients = le32_get(head.at + STORE_AT_RECIPIENTS);
	envelope = le32_get(head.at + STORE_AT_ENVELOPE);
	content_at = le32_get(head.at + STORE_AT_CONTENT_AT);
	content = le64_get(head.at + STORE_AT_CONTENT);
	if (recipients == 0 || recipients > STORE_RECIPIENTS_MAX || envelope > STORE_ENVELOPE_MAX)
		return why_set(why, MALFORMED, "%u recipients in %u octets of envelope", recipients, envelope);
	if (content_at != STORE_HEAD_LEN + recipients + envelope)
		return why_set(why, MALFORMED, "its content is not behind its envelope");
	if (content_at > file_len || content > file_len - content_at)
		return why_set(why, MALFORMED, "it is cut: %llu octets", (unsigned long long)file_len);
	*before_content = content_at;
	return OK;
}

static bool
take(struct bytes *rest, struct bytes *field)
{
	size_t len;

	if (rest->len < 2)
		return false;
	len = le16_get(rest->at);
	if (rest->len - 2 < len)
		return false;
	*field = bytes_of(rest->at + 2, len);
	*rest = bytes_skip(*rest, 2 + len);
	return true;
}

static bool
take_recipient(struct bytes *rest, struct store_recipient *r)
{
	struct bytes notify;

	if (!take(rest, &r->forward) || !take(rest, &r->orcpt) || !take(rest, &notify) || notify.len != 1)
		return false;
	r->notify = notify.at[0];
	return true;
}

static enum result
check_recipients(const struct store_message *m, struct why *why)
{
	struct bytes rest = m->recipients;
	struct store_recipient r;

	for (uint32_t i = 0; i < m->n_recipients; i++)
		if (!take_recipient(&rest, &r) || r.forward.len == 0 || !field_is_path(r.forward) ||
		    !field_is_path(r.orcpt) || !notify_is_valid(r.notify))
			return why_set(why, MALFORMED, "recipient %u of its envelope is none", i);
	if (rest.len != 0)
		return why_set(why, MALFORMED, "more in its envelope than its recipients");
	return OK;
}

static enum result
decode_envelope(struct bytes envelope, struct store_message *m, struct why *why)
{
	if (!take(&envelope, &m->reverse) || !field_is_path(m->reverse) || !take(&envelope, &m->envid) ||
	    !field_is_word(m->envid) || !take(&envelope, &m->service) || !field_is_word(m->service) ||
	    !take(&envelope, &m->conn) || !field_is_word(m->conn) || !take(&envelope, &m->trace) ||
	    !field_is_trace(m->trace))
		return why_set(why, MALFORMED, "a field of its envelope is unfit");
	m->recipients = envelope;
	return check_recipients(m, why);
}

/* What the CRC does not cover. */
static enum result
decode_mutable(const uint8_t *head, struct store_message *m, struct why *why)
{
	uint32_t mark = le32_get(head + STORE_AT_MARK);

	if (mark != STORE_NOT_HELD && mark != STORE_HELD)
		return why_set(why, MALFORMED, "its mark is none");
	for (size_t i = 0; i < m->statuses.len; i++)
		if (!store_status_is_valid(m->statuses.at[i]))
			return why_set(why, MALFORMED, "the status of recipient %zu is none", i);
	m->held = mark == STORE_HELD;
	m->attempts = le32_get(head + STORE_AT_ATTEMPTS);
	m->due_at = le64_get(head + STORE_AT_DUE);
	return OK;
}

static bool
decode_fixed(const uint8_t *head, struct store_message *m)
{
	m->flags = le32_get(head + STORE_AT_FLAGS);
	m->n_recipients = le32_get(head + STORE_AT_RECIPIENTS);
	m->uid = le32_get(head + STORE_AT_UID);
	m->received_us = le64_get(head + STORE_AT_RECEIVED);
	m->content_at = le32_get(head + STORE_AT_CONTENT_AT);
	m->content_len = le64_get(head + STORE_AT_CONTENT);
	m->has_sum = memcmp(head, STORE_MAGIC, STORE_MAGIC_LEN) == 0;
	m->sum = le32_get(head + STORE_AT_SUM);
	return (m->flags & ~(uint32_t)STORE_FLAGS_ALL) == 0 &&
	    id_from_bytes(bytes_of(head + STORE_AT_ID, ID_LEN), &m->id) && head[STORE_AT_ID_END] == 0 &&
	    (m->has_sum || m->sum == 0);
}

enum result
store_decode(struct bytes octets, uint64_t file_len, struct store_message *m, struct why *why)
{
	struct bytes envelope;
	size_t before;
	enum result r;
	uint32_t crc;

	*m = (struct store_message){ 0 };
	if ((r = store_decode_size(octets, file_len, &before, why)) != OK)
		return r;
	if (octets.len < before)
		return why_set(why, MALFORMED, "it is cut inside its envelope");
	if (!decode_fixed(octets.at, m))
		return why_set(why, MALFORMED, "its head has flags or an id that are none");
	envelope = bytes_skip(bytes_first(octets, before), STORE_HEAD_LEN + (size_t)m->n_recipients);
	crc = crc32_add(0, bytes_of(octets.at + STORE_AT_FLAGS, STORE_AT_MARK - STORE_AT_FLAGS));
	if (crc32_add(crc, envelope) != le32_get(octets.at + STORE_AT_CRC))
		return why_set(why, MALFORMED, "the sum of its head and envelope is wrong");
	m->statuses = bytes_of(octets.at + STORE_HEAD_LEN, m->n_recipients);
	if ((r = decode_mutable(octets.at, m, why)) != OK)
		return r;
	return decode_envelope(envelope, m, why);
}

/* Reads until `need` octets are there, of which `have` already are. */
static enum result
read_rest(int fd, uint8_t **memory, size_t have, size_t need, struct why *why)
{
	uint8_t *more = realloc(*memory, need);
	enum result r;
	size_t n;

	if (more == NULL)
		return why_set(why, EXHAUSTED, "no memory for an envelope of %zu octets", need);
	*memory = more;
	if ((r = fd_pread_all(fd, more + have, need - have, (off_t)have, &n)) != OK)
		return why_errno(why, r, "reading");
	return n == need - have ? OK : why_set(why, MALFORMED, "it became shorter while it was read");
}

static enum result
read_into(int fd, uint64_t file_len, struct store_message *m, uint8_t **memory, struct why *why)
{
	size_t have, before;
	enum result r;

	if ((r = fd_pread_all(fd, *memory, FIRST_READ, 0, &have)) != OK)
		return why_errno(why, r, "reading");
	if ((r = store_decode_size(bytes_of(*memory, have), file_len, &before, why)) != OK)
		return r;
	if (before > have && (r = read_rest(fd, memory, have, before, why)) != OK)
		return r;
	return store_decode(bytes_of(*memory, before), file_len, m, why);
}

enum result
store_read(int fd, struct store_message *m, struct why *why)
{
	uint8_t *memory;
	struct stat st;
	enum result r;

	*m = (struct store_message){ 0 };
	if (fstat(fd, &st) != 0)
		return why_errno(why, BROKEN, "looking at a queue file");
	if (!S_ISREG(st.st_mode))
		return why_set(why, MALFORMED, "it is no plain file");
	memory = malloc(FIRST_READ);
	if (memory == NULL)
		return why_set(why, EXHAUSTED, "no memory for an envelope");
	r = read_into(fd, (uint64_t)st.st_size, m, &memory, why);
	if (r != OK) {
		free(memory);
		*m = (struct store_message){ 0 };
		return r;
	}
	m->memory = memory;
	return OK;
}

void
store_message_free(struct store_message *m)
{
	free(m->memory);
	*m = (struct store_message){ 0 };
}

struct store_walk
store_walk_of(const struct store_message *m)
{
	return (struct store_walk){ m->recipients, m->statuses.at, 0, m->n_recipients };
}

bool
store_walk_next(struct store_walk *w, struct store_recipient *r, uint32_t *i, enum store_status *status)
{
	if (w->i >= w->n || !take_recipient(&w->rest, r))
		return false;
	*i = w->i;
	*status = (enum store_status)w->status[w->i++];
	return true;
}
