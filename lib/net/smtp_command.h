/* SMTP command lines (RFC 5321 4.1, with PIPELINING 2920, SIZE 1870, 8BITMIME 6152, SMTPUTF8 6531, CHUNKING 3030,
 * DSN 3461). A line comes without its CRLF, and without any other CR, LF or NUL: the reader has seen to that. Views in the
 * results show the line. */
#pragma once

#include "base/bytes.h"
#include "base/notify.h"
#include "base/result.h"

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_OTHER_PROTOCOL, /* GET, POST, Host: …: somebody speaks HTTP to us */
	SMTP_UNKNOWN,
	SMTP_N_VERBS
};

struct smtp_command {
	enum smtp_verb verb;
	struct bytes argument; /* behind the verb, without blanks at both ends */
};

struct smtp_command smtp_command_parse(struct bytes line);

/* What is wrong with an argument: a reply. */
struct smtp_fault {
	uint16_t code;
	uint16_t enhanced[3];
	const char *text;
};

enum smtp_mail_flag {
	SMTP_8BITMIME = 1,
	SMTP_SMTPUTF8 = 2,
	SMTP_RET_FULL = 4,
	SMTP_RET_HDRS = 8,
	SMTP_BODY_GIVEN = 16,
	SMTP_XVERP = 32 /* our own: for programs of this host */
};

struct smtp_mail {
	struct bytes path;  /* without brackets; empty: the null sender */
	struct bytes envid; /* xtext as written; empty: none */
	uint64_t octets;    /* SIZE=; UINT64_MAX if it is larger than that */
	unsigned flags;     /* enum smtp_mail_flag */
};

struct smtp_rcpt {
	struct bytes path;
	struct bytes orcpt; /* type;xtext as written; empty: none */
	unsigned notify;    /* enum notify; 0: not given */
};

struct smtp_bdat {
	uint64_t octets;
	bool last;
};

enum smtp_dialect {
	SMTP_PLAIN,    /* the peer said HELO: no parameters */
	SMTP_EXTENDED, /* EHLO: parameters (RFC 5321 2.2.1) */
	SMTP_LENIENT   /* a device that we excuse: parameters in any case, and an address may have no brackets */
};

/* Each: true, or false with *fault. */
bool smtp_mail_parse(struct bytes argument, enum smtp_dialect dialect, struct smtp_mail *m, struct smtp_fault *fault);
bool smtp_rcpt_parse(struct bytes argument, enum smtp_dialect dialect, struct smtp_rcpt *r, struct smtp_fault *fault);
bool smtp_bdat_parse(struct bytes argument, struct smtp_bdat *b, struct smtp_fault *fault);

#define SMTP_HELO_MAX 255

/* The name that a client says in HELO or EHLO, which may be anything: what is no printable ASCII, or means something in a trace
 * field, becomes '?' (U-labels come as A-labels: RFC 6531 3.7.1). Into room; returns its length, or -1 if it is longer. */
int smtp_helo_take(struct bytes name, uint8_t room[SMTP_HELO_MAX]);
