/* What passes between a session of a front end (smtpd; pop3d before the login) and `policy`. The session turns bytes into these
 * requests; policy decides.
 * One request at a time: the next may be sent when the answer to the last has come. SP_RESET and SP_TELL have no answer.
 * A front end sends no descriptor: policy has the connection from listen. */
#pragma once

#include "base/id.h"
#include "base/notify.h"
#include "wire/wire.h"

#define SP_SMTPD WIRE_FIRST
#define SP_POLICY WIRE_SECOND

#define SP_PATH_MAX 512 /* octets of a mailbox */
#define SP_HELO_MAX 255
#define SP_ENVID_MAX 100 /* RFC 3461 4.4, decoded or not */
#define SP_ORCPT_MAX 500 /* RFC 3461 4.2 */
#define SP_TEXT_MAX 512  /* of a reply, without code and line end; printable, one line */

enum sp_welcome_flag {
	SP_STARTTLS = 1 << 0,       /* offered */
	SP_TLS_REQUIRED = 1 << 1,   /* 530 to MAIL before it */
	SP_TLS_AT_ONCE = 1 << 2,    /* SMTPS: TLS before the greeting */
	SP_EXCUSE_BARE_LF = 1 << 3, /* the peer's network is excused; a bare LF counts as CRLF, but never ends data */
	SP_LOCAL_PROGRAM = 1 << 4,  /* the peer is a program of this host on the submission socket */
	SP_AUTH_REQUIRED = 1 << 6,  /* 530 to MAIL before it */
	SP_SUBMISSION = 1 << 7,    /* from a mail program (RFC 6409): Date and Message-ID are added, Bcc is taken out */
	SP_LENIENT = 1 << 8,       /* addresses may have no brackets, or no domain; parameters are allowed after HELO */
	SP_HELO_REQUIRED = 1 << 9, /* 503 to MAIL before it */
	SP_EXCUSE_LINE_ENDS = 1 << 10, /* bare CR and LF end lines of commands and content, but never the data */
	SP_REFUSED = 1 << 5,           /* the reply is a refusal: say it and end (RFC 5321 3.1, 554 or 421) */
};

struct sp_welcome {
	uint64_t max_octets; /* of a message; 0: no limit */
	uint64_t room;       /* octets that the queue has room for, as far as that is known; else UINT64_MAX */
	uint32_t max_recipients;
	uint32_t idle_seconds;      /* without any octet from the peer */
	uint32_t session_seconds;   /* in all */
	uint32_t max_errors;        /* replies of 5xx before 421 */
	uint32_t max_hops;          /* Received fields */
	uint32_t flags;             /* enum sp_welcome_flag */
	uint16_t code;              /* of the greeting: 220, or a refusal's */
	uint16_t mechanisms;        /* of AUTH that are offered in plain text: 1 << enum sp_mechanism, or-ed */
	uint16_t secure_mechanisms; /* the same within TLS */
	uint16_t greet_seconds;     /* to wait before it is said; a peer that speaks meanwhile is told of by SP_EARLY */
};                                  /* tail: name of this host; greeting's or refusal's text */

enum sp_mechanism {
	SP_PLAIN, /* USER and PASS of POP3 come as this */
	SP_LOGIN,
	SP_CRAM_MD5,
	SP_SCRAM_SHA_256,
	SP_SCRAM_SHA_256_PLUS,
	SP_EXTERNAL,
	SP_APOP, /* RFC 1939 7: its one response is the name, a blank and the digest; the challenge is in the greeting */
	SP_N_MECHANISMS
};
extern const char *const sp_mechanism_names[SP_N_MECHANISMS];

/* The mechanism that this word of AUTH means, whatever its case: never SP_APOP, which is a command of its own. False if there
 * is none. */
bool sp_mechanism_of_word(struct bytes word, enum sp_mechanism *found);

#define SP_SASL_MAX 3000 /* octets of a line of an exchange, in base64, without its end */
#define SP_AHEAD_MAX 4096

struct sp_auth {
	uint8_t mechanism; /* enum sp_mechanism, one that is offered */
	uint8_t initial;   /* 1: the tail is the initial response, which may be empty */
	uint8_t spare[6];
};

struct sp_box {
	uint8_t utf8; /* 1: the client said UTF8 (RFC 6856) */
	uint8_t spare[7];
};

enum sp_helo { SP_NO_HELO, SP_HELO, SP_EHLO };
enum sp_body { SP_BODY_7BIT, SP_BODY_8BITMIME };
enum sp_ret { SP_RET_NONE, SP_RET_FULL, SP_RET_HDRS };

struct sp_mail {          /* the reverse-path is one that lib/net can parse */
	uint64_t octets;  /* SIZE=, 0 if not said */
	uint8_t helo;     /* enum sp_helo */
	uint8_t body;     /* enum sp_body */
	uint8_t smtputf8; /* 0 or 1 */
	uint8_t ret;      /* enum sp_ret */
	uint8_t verp;     /* 0 or 1: each recipient has a reverse-path of its own (mail/verp.h) */
	uint8_t spare[3];
};

struct sp_rcpt {
	uint8_t notify; /* enum notify, or-ed */
	uint8_t spare[7];
}; /* tail: forward-path without brackets; ORCPT as said (type;xtext), "" if not */

/* MAIL is kept by the session until the first RCPT, and goes with it: the sender is judged with the recipient. If the answer
 * is not 2xx nothing has begun, and the next recipient comes with SP_BEGIN again. */
struct sp_begin {
	struct sp_mail mail;
	struct sp_rcpt rcpt;
}; /* tail: HELO name; reverse-path without brackets ("" is the null sender); ENVID as said (xtext), "" if not; then as of
    * sp_rcpt */

struct sp_commit {
	uint64_t octets; /* written into the content descriptor, which the session has closed */
	uint32_t sum;    /* CRC-32C of them */
	uint32_t spare;
};

/* What the front end has refused by itself. It is for the log alone: policy decides nothing by it. */
struct sp_tell {
	uint16_t code; /* of the reply, 400 to 599; 0: there was none, or replies have no codes */
	uint16_t spare;
	uint32_t
	    n; /* refusals that this stands for, of which it describes the last; 0: none, it only has the HELO name */
}; /* tail: HELO name; reverse-path of the transaction; why, in the reply's words; the line that was refused. Each may be "" */

#define SP_TELL_MAX 20       /* such messages of a session */
#define SP_TELL_TEXT_MAX 120 /* octets of the words */
#define SP_TELL_SAID_MAX 200 /* octets of the line */
#define SP_TELL_TAIL_MAX (SP_HELO_MAX + SP_PATH_MAX + SP_TELL_TEXT_MAX + SP_TELL_SAID_MAX + 8)

struct sp_answer {
	uint16_t code;        /* of the reply, 200 to 599 */
	uint16_t enhanced[3]; /* class, subject, detail; class 0: none */
	uint8_t close;        /* 1: end the session after the reply */
	uint8_t spare[3];
}; /* tail: text */

struct sp_content {
	uint64_t max_octets; /* of this message; 0: no limit */
	uint64_t keep_free;  /* octets that it must leave free on the disk */
};

#define SP_BEGIN_TAIL_MAX (SP_HELO_MAX + SP_PATH_MAX + SP_ENVID_MAX + SP_PATH_MAX + SP_ORCPT_MAX + 10)

/*	message		body			tail fds sender	 how often */
#define SMTPD_POLICY(M) \
	M(SP_WELCOME, struct sp_welcome, 1024, 0, SP_POLICY, ONCE) \
	M(SP_EARLY, struct wire_nothing, 0, 0, SP_SMTPD, ONCE) /* spoken to before the greeting. SP_ANSWER */ \
	M(SP_BEGIN, struct sp_begin, SP_BEGIN_TAIL_MAX, 0, SP_SMTPD, ANY)            /* SP_ANSWER */ \
	M(SP_RCPT, struct sp_rcpt, SP_PATH_MAX + SP_ORCPT_MAX + 4, 0, SP_SMTPD, ANY) /* SP_ANSWER */ \
	M(SP_DATA, struct wire_nothing, 0, 0, SP_SMTPD, ANY)           /* SP_CONTENT, or SP_ANSWER that refuses */ \
	M(SP_COMMIT, struct sp_commit, 0, 0, SP_SMTPD, ANY)            /* SP_ANSWER */ \
	M(SP_RESET, struct wire_nothing, 0, 0, SP_SMTPD, ANY)          /* the transaction is forgotten; no answer */ \
	M(SP_TELL, struct sp_tell, SP_TELL_TAIL_MAX, 0, SP_SMTPD, ANY) /* at most SP_TELL_MAX a session; no answer */ \
	M(SP_TLS_START, struct wire_nothing, 0, 0, SP_SMTPD, ANY)      /* SP_TLS_PLAIN, or SP_ANSWER that refuses */ \
	M(SP_TLS_PLAIN, struct wire_nothing, 0, 1, SP_POLICY, \
	    ONCE) /* fd: what is said from now on, in plain text; all before it is forgotten */ \
	M(SP_AUTH, struct sp_auth, SP_SASL_MAX, 0, SP_SMTPD, \
	    ANY) /* tail: the initial response, base64 as said. SP_CHALLENGE, or SP_ANSWER that ends it: 235, or a refusal */ \
	M(SP_SASL, struct wire_nothing, SP_SASL_MAX, 0, SP_SMTPD, \
	    ANY) /* tail: the response to a challenge, base64 as said; "*" cancels. As SP_AUTH */ \
	M(SP_CHALLENGE, struct wire_nothing, SP_SASL_MAX, 0, SP_POLICY, ANY) /* tail: base64. SP_SASL comes next */ \
	M(SP_BOX, struct sp_box, SP_AHEAD_MAX, 0, SP_SMTPD, \
	    ONCE) /* POP3, after 235: the user's own process is to go on. tail: octets read behind the login. No answer: policy \
		   * closes the channel */ \
	M(SP_ANSWER, struct sp_answer, SP_TEXT_MAX, 0, SP_POLICY, ANY) \
	M(SP_CONTENT, struct sp_content, 0, 1, SP_POLICY, ANY) /* fd: append the content to it */
WIRE_PROTOCOL(smtpd_policy, SMTPD_POLICY)
