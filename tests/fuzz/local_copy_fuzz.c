/* Fuzz target: a message on its way from the queue into a Maildir.
 * A finding is a crash, or an octet that changed other than the CR of a CRLF.
 * Input: the content. */
#include "mail/copy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM (1 << 20)
#define FIELDS "Return-Path: <s@x.test>\nDelivered-To: me@x.test\n"

static size_t
without_cr(struct bytes in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++)
		if (in.at[i] != '\r' || i + 1 == in.len || in.at[i + 1] != '\n')
			out[n++] = in.at[i];
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t expected[ROOM], got[ROOM];
	static int from = -1, to = -1;
	struct copy_job job = {
		.content_len = size, .reverse_path = BYTES("s@x.test"), .recipient = BYTES("me@x.test")
	};
	size_t n = sizeof FIELDS - 1;

	if (size > ROOM / 2)
		return 0;
	if (from < 0 && ((from = memfd_create("from", 0)) < 0 || (to = memfd_create("to", 0)) < 0))
		abort();
	if (pwrite(from, data, size, 0) != (ssize_t)size || ftruncate(to, 0) != 0 || lseek(to, 0, SEEK_SET) != 0)
		abort();
	job.from_fd = from;
	job.to_fd = to;
	if (copy_message(&job, NULL) != OK)
		return 0;
	memcpy(expected, FIELDS, n);
	n += without_cr(bytes_of(data, size), expected + n);
	if (pread(to, got, sizeof got, 0) != (ssize_t)n || memcmp(expected, got, n) != 0)
		abort();
	return 0;
}
