/* The message on a program's descriptor 0.
 * Trusts queue for the file's framing.
 * Never gives a program the queue file itself, nor a descriptor that it could write. */
#include "pipe/pipe.h"

#include "mail/copy.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX (1u << 20) /* octets of a message that is kept in memory */

/* Nor by its name below /proc. */
static enum result
make_read_only(int *fd, uint64_t len, struct why *why)
{
	enum result r = OK;

	if (len <= MEMORY_MAX)
		r = fd_seal(*fd, why);
	else if (fchmod(*fd, 0400) != 0)
		r = why_errno(why, BROKEN, "making the message read-only");
	return r == OK ? fd_reopen_read_only(fd, why) : r;
}

static int
new_file(uint64_t len)
{
	if (len <= MEMORY_MAX)
		return memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

enum result
content_open(int queue_file, const struct pi_run *run, struct bytes trace, int *fd, struct why *why)
{
	struct copy_job job = { .from_fd = queue_file,
		.content_at = run->content_at,
		.content_len = run->content_len,
		.trace = trace,
		.form = COPY_PLAIN };
	enum result r;

	*fd = new_file(run->content_len);
	if (*fd < 0)
		return why_errno(why, EXHAUSTED, "making a file for the message");
	job.to_fd = *fd;
	if ((r = copy_message(&job, why)) == OK && (r = make_read_only(fd, run->content_len, why)) == OK &&
	    lseek(*fd, 0, SEEK_SET) != 0)
		r = why_errno(why, BROKEN, "going to the beginning of the message");
	if (r != OK)
		fd_close(fd);
	return r;
}
