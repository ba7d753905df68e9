/* The item recipients: for which addresses mail is taken at all (shared reference, section 2.7). Lines, the first that fits and
 * has the address, decides; an address that none has is refused:
 *
 *	!domain        all addresses of the domain; !* all
 *	@domain:FILE   those of the domain that are in the table
 *	domain:FILE    those of the domain, and of all below it, that are in the table
 *	*:FILE, FILE   all that are in the table
 *
 * FILE is a cdb with keys :local@domain (fastforward's form), if its name ends with .cdb, else a text with an address a line.
 * local- stands for all local parts that begin so and have no other break before. */
#pragma once

#include "control/control.h"

/* OK: some line has it, or there are no lines; ABSENT; BROKEN: a table can't be read, nothing may be concluded. */
enum result recipients_find(const struct control *c, struct bytes address);

/* For the tables' makers: an address in the form of a key, with the colon. False: it is no address. */
bool recipients_key(struct bytes address, struct buf *key);

/* How a line is kept: form, number of its table, domain in lower case. */
enum recipients_form { RECIPIENTS_ALL_OF = 1, RECIPIENTS_EXACT, RECIPIENTS_BELOW };
#define RECIPIENTS_NO_TABLE 255
#define RECIPIENTS_TABLES_MAX 64
#define RECIPIENTS_HEAD 2

struct decoder;
void decode_recipients(struct decoder *d, struct bytes line);
