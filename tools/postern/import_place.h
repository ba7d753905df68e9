/* Files of an import: read from qmail's directory, put below the control directory, told of. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct import {
	const char *from, *to;    /* directories */
	bool replaces, only_says; /* -f, -n */
	bool trouble;             /* something could not be read or written */
	unsigned n_left;          /* files that have no place */
	unsigned n_messages;
};

/* Whether there is a file or directory of that name in qmail's directory. */
bool import_has(const struct import *im, const char *file);

/* Copies a file; others may read it only if they could before. One that is there and differs stays, unless -f: then it becomes .NAME.before. */
void import_place(struct import *im, const char *file, const char *to);

/* The same with a line as content. */
void import_write(struct import *im, const char *file, const char *to, const char *line);

/* True if the file has nothing but comments and one address, &local@domain or without the &. */
bool import_single_address(struct import *im, const char *file, char *address, size_t size);

void import_say(struct import *im, const char *file, const char *what);
void import_leave(struct import *im, const char *file, const char *why); /* the same, and counted */
