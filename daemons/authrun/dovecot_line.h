/* Lines of Dovecot's auth client protocol, version 1: fields with tabs between, in which \001 and a letter stand for octets that
 * would end one. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define DOVECOT_LINE_MAX 8192 /* octets with the line's end */

enum dovecot_kind {
	DOVECOT_VERSION,
	DOVECOT_MECH,
	DOVECOT_DONE,
	DOVECOT_OK,
	DOVECOT_FAIL,
	DOVECOT_CONT,
	DOVECOT_OTHER
};

struct dovecot_line {
	enum dovecot_kind kind;
	uint32_t number;     /* VERSION: the major one; OK, FAIL, CONT: which request */
	struct bytes name;   /* MECH */
	struct bytes user;   /* OK; at null if it was not said */
	bool shut;           /* OK: the password is right, but nobody is to log in by it */
	bool temporary;      /* FAIL: of Dovecot itself */
	struct bytes reason; /* FAIL, for the log */
};

/* Cuts a line without its end. MALFORMED: it can't be from Dovecot. */
enum result dovecot_cut(struct bytes line, struct dovecot_line *l);
