/* Fuzz target: the queue file reader, its walk over recipients and its notes.
 * The sum is made right first (else nothing gets past it), unless the first octet says not to.
 * A finding is a crash, or a message shown whose views leave the file. */
#include "base/le.h"
#include "store/crc.h"
#include "store/format.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_sum_right(uint8_t *file, size_t len)
{
	size_t before, statuses;
	struct why why = WHY_NONE;
	uint32_t crc;

	if (store_decode_size(bytes_of(file, len), len, &before, &why) != OK)
		return;
	statuses = le32_get(file + STORE_AT_RECIPIENTS);
	crc = crc32_add(0, bytes_of(file + STORE_AT_FLAGS, STORE_AT_MARK - STORE_AT_FLAGS));
	crc = crc32_add(crc, bytes_of(file + STORE_HEAD_LEN + statuses, before - STORE_HEAD_LEN - statuses));
	le32_put(file + STORE_AT_CRC, crc);
}

static void
must_be_inside(struct bytes view, struct bytes whole)
{
	if (view.len > 0 && (view.at < whole.at || view.at + view.len > whole.at + whole.len))
		abort();
}

static void
read_notes(struct bytes file, const struct store_message *m)
{
	struct store_notes n;
	struct why why = WHY_NONE;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, file.at, file.len) != (ssize_t)file.len)
		abort();
	store_notes_begin(&n, fd, m);
	while (store_notes_next(&n, &why) == OK)
		if (n.at > file.len || n.text.len > STORE_NOTE_MAX)
			abort();
	(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_message m;
	struct why why = WHY_NONE;
	struct store_recipient r;
	enum store_status status;
	struct store_walk w;
	uint32_t i, n = 0;
	uint8_t *file;

	if (size < 1)
		return 0;
	file = malloc(size); /* its own block, so that reading past the end is seen */
	if (file == NULL)
		return 0;
	memcpy(file, data + 1, size - 1);
	if (data[0] != 0)
		make_sum_right(file, size - 1);
	if (store_decode(bytes_of(file, size - 1), size - 1, &m, &why) == OK) {
		must_be_inside(m.reverse, bytes_of(file, size - 1));
		must_be_inside(m.trace, bytes_of(file, size - 1));
		w = store_walk_of(&m);
		while (store_walk_next(&w, &r, &i, &status)) {
			must_be_inside(r.forward, bytes_of(file, size - 1));
			must_be_inside(r.orcpt, bytes_of(file, size - 1));
			n++;
		}
		if (n != m.n_recipients || m.content_at + m.content_len > size - 1)
			abort();
		read_notes(bytes_of(file, size - 1), &m);
	}
	free(file);
	return 0;
}
