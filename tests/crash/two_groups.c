/* Flushes two groups of files on a device that fails during the first one, as tests/crash/run tells it.
 *
 *	two_groups DIRECTORY
 *
 * Writes a long file, then a short one whose group it flushes, then waits for a line on standard input and flushes the long
 * file in a group of its own. Prints the result of the short file's flush and of the long file's, by the pool of threads and
 * by flush_now, in one line each. It opens a fresh description for the second flush's group, as `local` does. */
#include "sys/flush.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONG_OCTETS (4u << 20)

static struct flush_job jobs[6];

static int
make(const char *name, size_t octets)
{
	static uint8_t text[4096];
	int fd = openat(AT_FDCWD, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	memset(text, 'x', sizeof text);
	for (size_t at = 0; at < octets; at += sizeof text)
		if (write(fd, text, sizeof text) != (ssize_t)sizeof text)
			return -1;
	return fd;
}

static void
flush_group(struct flush *f, struct flush_job *first, struct flush_job *second)
{
	struct pollfd p = { .fd = flush_fd(f), .events = POLLIN };
	unsigned n = 0;

	first->next = second;
	f->single_until_ms = 0; /* as when 30 seconds have passed */
	flush_submit(f, first);
	while (n < 2 && poll(&p, 1, 60000) == 1)
		for (struct flush_job *j = flush_collect(f); j != NULL; j = j->next)
			n++;
}

int
main(int argc, char *argv[])
{
	struct why why = WHY_NONE;
	struct flush f;
	char line[8];

	if (argc != 2 || chdir(argv[1]) != 0 || flush_open(&f, 1, open(".", O_RDONLY | O_CLOEXEC), &why) != OK)
		return 111;
	jobs[0].fd = make("long", LONG_OCTETS);
	jobs[1].fd = make("long too", LONG_OCTETS);
	for (unsigned i = 2; i < 4; i++)
		jobs[i].fd = make(i == 2 ? "short" : "short too", 4096);
	for (unsigned i = 0; i < 4; i++)
		jobs[i].dir_fd = -1;
	(void)puts("written");
	(void)fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		return 111;
	flush_group(&f, &jobs[2], &jobs[3]); /* the device fails */
	(void)printf("%d %d\n", jobs[2].r, jobs[3].r);
	(void)fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		return 111;
	jobs[4] = (struct flush_job){ .fd = make("later", 4096), .dir_fd = -1 };
	jobs[5] = (struct flush_job){ .fd = make("later too", 4096), .dir_fd = -1, .next = &jobs[1] };
	flush_group(&f, &jobs[0], &jobs[4]); /* it works again */
	jobs[1].next = NULL;
	flush_now(&jobs[5], true);
	(void)printf("%d %d %d %d\n", jobs[0].r, jobs[4].r, jobs[1].r, jobs[5].r);
	(void)fflush(stdout);
	flush_close(&f);
	return 0;
}
