/* A compiled rules file of tcprules, as the commands of ucspi use it: opened anew for each connection. */
#pragma once

#include "control/rules.h"

/* A rules_get: ctx is a struct cdb. BROKEN: a record that no compiler makes. */
enum result rules_of_cdb(const void *ctx, struct bytes key, struct bytes *data);

/* What it says of a peer. ABSENT: no rule; *data is in *room. absent_is_fine: a file that is not there is one without rules.
 * BROKEN, REFUSED: it can't be read. */
enum result rules_file_find(
    const char *path, bool absent_is_fine, const struct rules_query *q, struct buf *room, struct why *why);

/* All records, each with 32 bits for the length of key and data, and these. */
enum result rules_file_all(const char *path, struct buf *records, struct why *why);
