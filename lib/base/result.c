/* Results and their meaning outside.
 * Trusts its caller's format strings; texts from elsewhere are arguments, never formats.
 * Never allocates, never writes past WHY_MAX. */
#include "base/result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct result_meaning meanings[] = {
	[OK] = { "ok", 0, SEVERITY_INFO },
	[AGAIN] = { "again", 111, SEVERITY_WARNING },
	[ABSENT] = { "absent", 100, SEVERITY_WARNING },
	[REFUSED] = { "refused", 100, SEVERITY_WARNING },
	[MALFORMED] = { "malformed", 100, SEVERITY_WARNING },
	[EXHAUSTED] = { "exhausted", 111, SEVERITY_ERROR },
	[BROKEN] = { "broken", 111, SEVERITY_ERROR },
};

const struct result_meaning *
result_meaning(enum result r)
{
	size_t i = (size_t)r;

	return &meanings[i < sizeof meanings / sizeof meanings[0] ? i : (size_t)BROKEN];
}

enum result
why_set(struct why *why, enum result r, const char *format, ...)
{
	va_list ap;

	if (why != NULL && why->text[0] == '\0') {
		va_start(ap, format);
		(void)vsnprintf(why->text, sizeof why->text, format, ap);
		va_end(ap);
	}
	return r;
}

enum result
why_errno(struct why *why, enum result r, const char *format, ...)
{
	int error = errno;
	va_list ap;
	size_t n;

	if (why != NULL && why->text[0] == '\0') {
		va_start(ap, format);
		(void)vsnprintf(why->text, sizeof why->text, format, ap);
		va_end(ap);
		n = strlen(why->text);
		(void)snprintf(why->text + n, sizeof why->text - n, ": %s", strerrordesc_np(error));
	}
	errno = error;
	return r;
}

enum result
result_of_errno(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EFBIG:
	case ENOBUFS:
		return EXHAUSTED;
	case EAGAIN:
	case EINTR:
		return AGAIN;
	case ENOENT:
		return ABSENT;
	case EACCES:
	case EPERM:
	case EROFS:
		return REFUSED;
	default:
		return BROKEN;
	}
}
