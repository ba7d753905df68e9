/* Changing a queue file in place, and its notes.
 * Trusts its caller to have decoded the file and to hold it alone; not the notes that lie in it.
 * Never writes into head, envelope or content but at the mutable places of format.h. */
#include "store/store.h"

#include "base/le.h"
#include "store/crc.h"
#include "store/format.h"
#include "sys/fd.h"

#include <string.h>
#include <unistd.h>

enum result
store_put_status(int fd, uint32_t recipient, enum store_status status)
{
	uint8_t octet = (uint8_t)status;

	return fd_pwrite_all(fd, bytes_of(&octet, 1), (off_t)STORE_HEAD_LEN + recipient);
}

enum result
store_put_later(int fd, uint32_t attempts, uint64_t due_at)
{
	uint8_t octets[STORE_HEAD_LEN - STORE_AT_ATTEMPTS];

	le32_put(octets, attempts);
	le64_put(octets + (STORE_AT_DUE - STORE_AT_ATTEMPTS), due_at);
	return fd_pwrite_all(fd, bytes_of(octets, sizeof octets), STORE_AT_ATTEMPTS);
}

enum result
store_put_mark(int fd, bool held)
{
	uint8_t octets[4];

	le32_put(octets, held ? STORE_HELD : STORE_NOT_HELD);
	return fd_pwrite_all(fd, bytes_of(octets, sizeof octets), STORE_AT_MARK);
}

#define NOTE_AT_RECIPIENT 4u
#define NOTE_AT_LEN 8u

void
store_notes_begin(struct store_notes *n, int fd, const struct store_message *m)
{
	n->fd = fd;
	n->at = m->content_at + m->content_len;
	n->recipient = 0;
	n->text = BYTES_NONE;
}

enum result
store_notes_next(struct store_notes *n, struct why *why)
{
	size_t have, len;
	enum result r;

	if ((r = fd_pread_all(n->fd, n->octets, STORE_NOTE_HEAD + STORE_NOTE_MAX, (off_t)n->at, &have)) != OK)
		return why_errno(why, r, "reading a note");
	if (have < STORE_NOTE_HEAD)
		return ABSENT;
	len = le16_get(n->octets + NOTE_AT_LEN);
	if (len > STORE_NOTE_MAX || len > have - STORE_NOTE_HEAD)
		return ABSENT;
	if (crc32_add(0, bytes_of(n->octets + NOTE_AT_RECIPIENT, STORE_NOTE_HEAD - NOTE_AT_RECIPIENT + len)) !=
	    le32_get(n->octets))
		return ABSENT;
	n->recipient = le32_get(n->octets + NOTE_AT_RECIPIENT);
	n->text = bytes_of(n->octets + STORE_NOTE_HEAD, len);
	n->at += STORE_NOTE_HEAD + len;
	return OK;
}

enum result
store_put_note(int fd, uint64_t *end, uint32_t recipient, struct bytes text)
{
	uint8_t octets[STORE_NOTE_HEAD + STORE_NOTE_MAX];
	struct bytes cut = bytes_first(text, STORE_NOTE_MAX);
	enum result r;

	le32_put(octets + NOTE_AT_RECIPIENT, recipient);
	le16_put(octets + NOTE_AT_LEN, (uint16_t)cut.len);
	for (size_t i = 0; i < cut.len; i++)
		octets[STORE_NOTE_HEAD + i] = cut.at[i] < ' ' || cut.at[i] == 0x7f ? ' ' : cut.at[i];
	le32_put(
	    octets, crc32_add(0, bytes_of(octets + NOTE_AT_RECIPIENT, STORE_NOTE_HEAD - NOTE_AT_RECIPIENT + cut.len)));
	r = fd_pwrite_all(fd, bytes_of(octets, STORE_NOTE_HEAD + cut.len), (off_t)*end);
	if (r == OK)
		*end += STORE_NOTE_HEAD + cut.len;
	else if (ftruncate(fd, (off_t)*end) != 0)
		return r; /* the failure that counts is the first one */
	return r;
}
