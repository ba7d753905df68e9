/* Files of an import: read from qmail's directory, put below the control directory, told of. */
#pragma once

#include "base/buf.h"

#define IMPORT_GATHERED_MAX 32

struct import {
	const char *from, *to;    /* directories */
	bool replaces, only_says; /* -f, -n */
	bool trouble;             /* something could not be read or written */
	unsigned n_left;          /* files that have no place */
	unsigned n_messages;
	const char *root; /* of the host's own files: "" */
	struct {          /* variables that files became: NAME=value */
		char from[300], line[600];
	} gathered[IMPORT_GATHERED_MAX];
	size_t n_gathered;
};

/* Whether there is a file or directory of that name in qmail's directory. */
bool import_has(const struct import *im, const char *file);

/* Copies a file; others may read it only if they could before. One that is there and differs stays, unless -f: then it becomes .NAME.before. */
void import_place(struct import *im, const char *file, const char *to);

/* The same of a file outside qmail's directory, by its whole path. */
void import_place_from(struct import *im, const char *path, const char *to);

/* The same of a file with a private key: the copy is its owner's alone. Says nothing. */
void import_place_secret(struct import *im, const char *file, const char *to);

/* To smtpd/ITEM, and to each service of its kind that has rules of its own in qmail's directory. */
void import_for_reception(struct import *im, const char *file, const char *item);

/* The content of a file, to be freed; empty if it can't be read, which is told. */
struct buf import_read(struct import *im, const char *file);

/* Puts a content where no file of qmail's is alone; *what says what became of it. */
void import_put(struct import *im, const char *to, struct bytes content, char *what, size_t size);

/* The same as import_place with a line as content. */
void import_write(struct import *im, const char *file, const char *to, const char *line);

/* True if the file has nothing but comments and one address, &local@domain or without the &. */
bool import_single_address(struct import *im, const char *file, char *address, size_t size);

void import_say(struct import *im, const char *file, const char *what);
void import_leave(struct import *im, const char *file, const char *why); /* the same, and counted */
