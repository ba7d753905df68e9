/* The breach drill: one attempt of a process that is told that it is taken over.
 * Trusts the test that started it to aim the attempts at things of its own.
 * Never part of a build that was not configured for it. */
#ifdef POSTERN_DRILL
#include "sys/drill.h"

#include "base/bytes.h"
#include "sys/drill_rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct process *drill_self;

const char *
drill_aim(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? "" : value;
}

int
drill_aim_number(const char *name)
{
	uint64_t n;

	return bytes_to_number(bytes_of_string(drill_aim(name)), INT32_MAX, &n) ? (int)n : -1;
}

static const struct drill_row *
row(int number)
{
	const struct drill_row *lists[] = { drill_on_files, drill_on_rights, drill_on_content };

	for (size_t i = 0; i < nitems(lists); i++)
		for (const struct drill_row *r = lists[i]; r->name != NULL; r++)
			if (--number == 0)
				return r;
	return NULL;
}

__attribute__((format(printf, 1, 2))) static void
say(const char *format, ...)
{
	char line[128];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	(void)!write(2, line, (size_t)n);
}

__attribute__((noreturn)) void
drill_attempt(const struct process *self)
{
	const struct drill_row *r = row(self->attempt);
	long got;

	drill_self = self;
	if (r == NULL) {
		say("drill end\n");
		_exit(0);
	}
	say("drill attempt=%s\n", r->name);
	errno = 0;
	got = r->make != NULL ? r->make() : syscall(r->call, -1, 0, 0, 0, 0, 0);
	say("drill outcome=%s error=%d\n", got >= 0 ? "done" : "refused", got >= 0 ? 0 : errno);
	_exit(0);
}
#endif
