/* Mailboxes of an SMTP envelope (RFC 5321 4.1.2; RFC 6531 3.3): parsed once, printed in one way. policy and send use the
 * same functions, so that what was checked is what is delivered to. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define MAILBOX_PART_MAX 255 /* octets of a local part or a domain. RFC 5321 asks for 64 in the local part at least */
#define MAILBOX_MAX 512      /* octets of a path as written, without brackets */

struct mailbox {
	uint16_t local_len, domain_len;   /* domain_len 0: none was given */
	bool literal;                     /* the domain is an address literal */
	bool utf8;                        /* some octet is not ASCII */
	uint8_t local[MAILBOX_PART_MAX];  /* without quotes and backslashes */
	uint8_t domain[MAILBOX_PART_MAX]; /* as written */
};

/* Parses a path without its brackets; a source route is dropped. `utf8`: RFC 6531 forms are allowed. A text without @ is
 * a mailbox without domain (only Postmaster may be so in SMTP: the caller decides). The empty text (null sender) gives
 * an empty mailbox. MALFORMED with the reason: a control octet, a bad quote, a bad domain, too long. */
enum result mailbox_parse(struct bytes text, bool utf8, struct mailbox *m, struct why *why);

bool mailbox_is_empty(const struct mailbox *m);
struct bytes mailbox_local(const struct mailbox *m);
struct bytes mailbox_domain(const struct mailbox *m);

/* local@domain, the local part quoted only if it must be. At most MAILBOX_MAX octets for what mailbox_parse made. */
void mailbox_print(const struct mailbox *m, struct buf *into);
