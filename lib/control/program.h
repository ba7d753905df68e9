/* A program that root's control files name, and its arguments. Kept as words, each with a zero octet behind it; the first is
 * an absolute path. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

#define PROGRAM_WORDS_MAX 24
#define PROGRAM_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" /* where names without a slash are looked for */

/* Words as execve takes them, with a null behind them; they show `packed`. False: they are not what decode_program made. */
bool program_words(struct bytes packed, char *words[PROGRAM_WORDS_MAX + 1]);

struct decoder;

/* Cuts a line at its blanks, finds the program and adds the words to *packed. False: a complaint was made, that there is no such
 * program, that it can't be executed, or that there are more than max words. */
bool program_decode(struct decoder *d, struct bytes line, size_t max, struct buf *packed);

void decode_program(struct decoder *d, struct bytes line); /* KIND_PROGRAM */
void decode_path(struct decoder *d, struct bytes line);    /* KIND_PATH */
