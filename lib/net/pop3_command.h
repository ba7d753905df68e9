/* POP3 command lines (RFC 1939, with CAPA 2449, STLS 2595, AUTH 5034, UTF8 6856). A line comes without its end, and without
 * any other CR, LF or NUL: the reader has seen to that. Views in the results show the line. */
#pragma once

#include "base/bytes.h"

#define POP3_LINE_MAX 255 /* octets of a command line, CRLF included (RFC 2449 4) */

enum pop3_verb {
	POP3_USER,
	POP3_PASS,
	POP3_APOP,
	POP3_AUTH,
	POP3_CAPA,
	POP3_STLS,
	POP3_UTF8,
	POP3_STAT,
	POP3_LIST,
	POP3_RETR,
	POP3_DELE,
	POP3_NOOP,
	POP3_RSET,
	POP3_LAST, /* RFC 1460; some clients still fall back to it */
	POP3_TOP,
	POP3_UIDL,
	POP3_QUIT,
	POP3_OTHER_PROTOCOL, /* GET, EHLO, Host: …: somebody speaks something else to us */
	POP3_UNKNOWN,
	POP3_N_VERBS
};

struct pop3_command {
	enum pop3_verb verb;
	struct bytes
	    argument; /* all behind the verb and one blank, as it is: a password may begin or end with a blank */
};

struct pop3_command pop3_command_parse(struct bytes line);

/* Takes the next word of an argument, without blanks around it. False, with nothing changed: there is none. */
bool pop3_take_word(struct bytes *argument, struct bytes *word);

/* Takes a word that is a decimal number of at most UINT32_MAX. False, with nothing changed: there is none. */
bool pop3_take_number(struct bytes *argument, uint32_t *n);

/* Whether nothing but blanks is left of an argument. */
bool pop3_is_spent(struct bytes argument);
