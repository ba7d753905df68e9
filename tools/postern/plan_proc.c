/* Reading of /proc, for the comparison of running processes with the plan.
 * Trusts the kernel.
 * Never opens anything outside /proc. */
#include "postern/plan_proc.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
subject_deviates(struct subject *s, const char *format, ...)
{
	va_list ap;

	if (s->n_deviations < DEVIATIONS_MAX) {
		va_start(ap, format);
		(void)vsnprintf(s->deviations[s->n_deviations], sizeof s->deviations[0], format, ap);
		va_end(ap);
	}
	s->n_deviations++;
}

bool
proc_read(int pid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, into, size - 1);
		(void)close(fd);
	}
	into[n > 0 ? n : 0] = '\0';
	return n > 0;
}

bool
proc_link(int pid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	n = readlink(path, into, size - 1);
	into[n > 0 ? n : 0] = '\0';
	return n > 0;
}

const char *
subject_field(const struct subject *s, const char *name, char *into, size_t size)
{
	char key[64];
	const char *at;
	size_t n;

	into[0] = '\0';
	(void)snprintf(key, sizeof key, "\n%s:", name);
	at = strstr(s->status, key);
	if (at == NULL)
		return into;
	at += strlen(key);
	at += strspn(at, " \t");
	n = strcspn(at, "\n");
	(void)snprintf(into, size, "%.*s", (int)n, at);
	return into;
}

int
proc_number(const char *name)
{
	uint64_t n;

	return bytes_to_number(bytes_of_string(name), INT32_MAX, &n) ? (int)n : -1;
}
