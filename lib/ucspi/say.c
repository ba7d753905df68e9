/* Lines for people and log programs.
 * Trusts nothing that it prints: a line is one line, whatever a name contains.
 * Never fails; in a server it never waits: a log that is full loses lines, and the next line says how many. */
#include "ucspi/say.h"

#include "sys/log_out.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE 1024
#define TEXT_MAX 100

static const char *name = "ucspi";
static enum say_level level = SAY_ERRORS;

void
say_open(const char *command, enum say_level l)
{
	int null = l == SAY_NOTHING ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	name = command;
	level = l;
	if (null >= 0) {
		(void)dup2(null, 2);
		(void)close(null);
	}
}

bool
say_is(enum say_level l)
{
	return level >= l;
}

static bool
put(uint8_t room[LINE], struct buf *line)
{
	for (size_t i = 0; i < line->len; i++)
		if (room[i] < 0x20 || room[i] == 0x7f)
			room[i] = '?';
	if (line->len == LINE)
		line->len--;
	room[line->len] = '\n';
	return log_out_write(bytes_of(room, line->len + 1));
}

static bool
tell_of_dropped(unsigned n)
{
	uint8_t room[LINE];
	struct buf line = BUF_OVER(room);

	buf_format(&line, "%s: warning: %u lines were dropped: the log did not take them", name, n);
	return put(room, &line);
}

static void
say(const char *kind, const char *format, va_list ap)
{
	uint8_t room[LINE];
	struct buf line = BUF_OVER(room);
	unsigned dropped = log_out_take_dropped();

	buf_format(&line, "%s: %s", name, kind);
	buf_vformat(&line, format, ap);
	if (dropped > 0 && !tell_of_dropped(dropped))
		log_out_count_dropped(dropped + 1);
	else if (!put(room, &line))
		log_out_count_dropped(1);
}

void
say_status(const char *format, ...)
{
	va_list ap;

	if (!say_is(SAY_STATUS))
		return;
	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
}

void
say_warning(const char *format, ...)
{
	va_list ap;

	if (!say_is(SAY_ERRORS))
		return;
	va_start(ap, format);
	say("warning: ", format, ap);
	va_end(ap);
}

void
say_die(int status, const char *format, ...)
{
	va_list ap;

	if (say_is(SAY_ERRORS)) {
		va_start(ap, format);
		say("fatal: ", format, ap);
		va_end(ap);
	}
	_exit(status);
}

void
say_clean(struct buf *into, const char *text)
{
	for (size_t i = 0; text[i] != '\0' && i < TEXT_MAX; i++)
		buf_add_octet(into, text[i] < '!' || text[i] > '~' || text[i] == '%' ? '?' : (uint8_t)text[i]);
}
