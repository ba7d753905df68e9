/* What the ucspi commands tell on standard error, in the words of ucspi-tcp and ucspi-ssl. */
#pragma once

#include "base/buf.h"

enum say_level { SAY_NOTHING, SAY_ERRORS, SAY_STATUS, SAY_TLS };

/* Once, at the start. SAY_NOTHING also makes standard error /dev/null, for all that is started. */
void say_open(const char *command, enum say_level level);
bool say_is(enum say_level level); /* would it be told? */

void say_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
__attribute__((noreturn)) void say_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text of a stranger for a line: what is not printable, and %, becomes ?, and it is cut at 100 octets. */
void say_clean(struct buf *into, const char *text);
