/* The header of a message that a local program submits: what is missing is added, what must not go out is taken away,
 * addresses get their domains (RFC 5322 3.6; RFC 6409 8). Lines end with LF here. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define COMPOSE_HEADER_MAX (4u << 20)
#define COMPOSE_RECIPIENTS_MAX 20000u /* what a message in the queue can have */

struct compose {
	/* to be filled before compose_header */
	struct bytes default_host, default_domain, plus_domain, id_host;
	struct bytes from; /* address for a missing From */
	struct bytes name; /* and the full name beside it; empty: none */
	uint64_t now_s;
	uint64_t unique;       /* makes the Message-ID, with now_s */
	bool own_from, own_id; /* a From or Message-ID that is there is replaced */
	bool comments;         /* From: address (name) */
	bool take_recipients;  /* from To, Cc, Bcc (of the Resent- fields, if there are any) */
	bool take_sender;      /* from Return-Path, which is dropped in any case */
	struct bytes lists;    /* one address a line: where To or Cc has one of them, Mail-Followup-To is added */
	/* filled by it; to be ended with compose_free */
	struct buf header;     /* lines ended by LF, without the empty line */
	struct buf recipients; /* each ended by a zero octet */
	uint32_t n_recipients;
	struct buf sender; /* qualified; empty: nobody */
	bool has_sender;   /* Return-Path was there, could be read, and was to be taken */
	struct buf followers;
	bool to_list;
};

/* header: what stands before the empty line (or all of it); a first line "From … " of an mbox is dropped. MALFORMED: an
 * address field can't be read, or the result is larger than twice COMPOSE_HEADER_MAX; EXHAUSTED: no memory. */
enum result compose_header(struct compose *c, struct bytes header, struct why *why);

/* An address as it is used in an envelope: with a domain, a whole one. */
void compose_qualify(const struct compose *c, struct bytes address, struct buf *into);

/* Adds one recipient (qualified). REFUSED: one too many. */
enum result compose_recipient(struct compose *c, struct bytes address, struct why *why);
void compose_free(struct compose *c);
