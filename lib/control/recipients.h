/* The item recipients: for which addresses mail is taken at all (shared reference, section 2.7). Lines, the first that fits and
 * has the address, decides; an address that none has is refused:
 *
 *	!domain        all addresses of the domain; !* all
 *	@domain:FILE   those of the domain that are in the table
 *	domain:FILE    those of the domain, and of all below it, that are in the table
 *	*:FILE, FILE   all that are in the table
 *	@domain|PROGRAM …, domain|PROGRAM …, *|PROGRAM …   those that the program takes (authrun)
 *
 * FILE is a cdb with keys :local@domain (fastforward's form), if its name ends with .cdb, else a text with an address a line.
 * local- stands for all local parts that begin so and have no other break before. */
#pragma once

#include "control/control.h"

/* How far the lines have been looked through; all zero at the beginning. */
struct recipients_place {
	uint32_t n_lines; /* done */
	uint8_t program;  /* if the result is AGAIN: the number of the one to be asked */
};

/* OK: some line has it, or there are no lines; ABSENT; AGAIN: a program must be asked, and this function again if that does not
 * take the address; BROKEN: a table can't be read, nothing may be concluded. */
enum result recipients_find(const struct control *c, struct bytes address, struct recipients_place *place);

/* The address with which a program, or a table, is asked a second time: list- for list-anything. False: there is none. */
bool recipients_stem(struct bytes address, struct buf *stem);

/* The words of the program with this number (control/program.h); empty if there is none. */
struct bytes recipients_program(const struct control *c, uint8_t program);

/* For the tables' makers: an address in the form of a key, with the colon. False: it is no address. */
bool recipients_key(struct bytes address, struct buf *key);

/* How a line is kept: form, number of its table or program, domain in lower case. */
enum recipients_form { RECIPIENTS_ALL_OF = 1, RECIPIENTS_EXACT, RECIPIENTS_BELOW };
#define RECIPIENTS_NO_TABLE 255
#define RECIPIENTS_TABLES_MAX 64
#define RECIPIENTS_PROGRAMS_MAX 64
#define RECIPIENTS_RUNS 0x80 /* in the form: the number is a program's; behind the domain a zero octet and its words */
#define RECIPIENTS_HEAD 2

struct decoder;
void decode_recipients(struct decoder *d, struct bytes line);
