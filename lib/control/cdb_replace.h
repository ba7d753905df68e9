/* A table as a cdb, made of lines and put in the place of the old one when it is whole and on disk. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cdb.h>
#include <stdio.h>

/* Adds what a line says: one that is neither empty nor begins with #, without blanks at its end. MALFORMED ends it all, as
 * "line NUMBER: " and what *why says. */
typedef enum result cdb_add_line(struct cdb_make *made, struct bytes line, struct why *why);

/* Reads `from` to its end. temporary: a name on the same filesystem, which is written over, and is gone afterwards; the table
 * gets mode 0644, less the umask. OK; MALFORMED (a line) or BROKEN: the old table is still there. BROKEN also if the directory
 * could not be flushed: the new one is there, and may not be after a power cut. */
enum result cdb_replace(const char *table, const char *temporary, FILE *from, cdb_add_line *add, struct why *why);
