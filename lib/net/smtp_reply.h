/* Replies of an SMTP server as its client reads them (RFC 5321 4.2; RFC 2034, RFC 3463 status codes), line by line. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define SMTP_REPLY_LINE_MAX 2048 /* octets of a line; RFC 5321 4.5.3.1.5 wants 512 */
#define SMTP_REPLY_LINES_MAX 100
#define SMTP_REPLY_TEXT_MAX 800 /* octets of text kept for log and report */

/* Of several lines the last one's code counts. Lines without a code are text of the reply that they stand in or before. */
struct smtp_reply {
	uint16_t code;        /* 200 to 599; 0: no line with a code yet */
	uint16_t enhanced[3]; /* the first that stands behind this code and is of its class; else zeros */
	unsigned n_lines, n_coded;
	size_t text_len;
	char text[SMTP_REPLY_TEXT_MAX + 1]; /* code and texts, lines joined by blanks; control octets as blanks */
};
#define SMTP_REPLY_NONE ((struct smtp_reply){ .code = 0 })

/* Takes the next line, without its line end. The form is taken leniently: blanks before the code, and any octet or none behind it.
 * OK: the reply is whole. AGAIN: more lines follow, since this one has a hyphen behind its code, or no code at all. MALFORMED:
 * the line is too long, or one too many. *text: what is behind the code, "" if there is none; shows the line. */
enum result smtp_reply_line(struct smtp_reply *r, struct bytes line, struct bytes *text);

/* The text behind the code. */
struct bytes smtp_reply_words(const struct smtp_reply *r);

/* What an EHLO reply offers. */
enum smtp_feature {
	SMTP_CAN_PIPELINE = 1 << 0,
	SMTP_CAN_8BIT = 1 << 1,
	SMTP_CAN_UTF8 = 1 << 2,
	SMTP_CAN_DSN = 1 << 3,
	SMTP_CAN_CHUNK = 1 << 4,
	SMTP_CAN_STARTTLS = 1 << 5,
	SMTP_CAN_SIZE = 1 << 6,
	SMTP_CAN_PLAIN = 1 << 7,
	SMTP_CAN_LOGIN = 1 << 8,
	SMTP_CAN_CRAM_MD5 = 1 << 9,
	SMTP_CAN_SCRAM_SHA_256 = 1 << 10,
};

struct smtp_offer {
	unsigned can;      /* enum smtp_feature */
	uint64_t size;     /* octets of a message at most; 0: no limit told */
	uint32_t rcpt_max; /* recipients of a transaction (RFC 9422); 0: not told */
	uint32_t mail_max; /* transactions of a connection; 0: not told */
};

/* Takes the text of one line of an EHLO reply, but of the first line with a code. It passes over what it does not know. */
void smtp_offer_line(struct smtp_offer *o, struct bytes text);
