/* One message's envelope while its transaction lasts. */
#pragma once

#include "wire/smtpd_policy.h"

#define ENVELOPE_PATH_MAX 900 /* octets of an address, with the suffix of its rule */

struct envelope {
	uint8_t helo_kind; /* enum sp_helo */
	bool smtputf8, body_8bit, verp;
	uint8_t ret;                       /* enum sp_ret */
	uint64_t octets;                   /* said by the client; 0: nothing said */
	struct bytes helo, reverse, envid; /* show the room */
	uint32_t n_recipients;
	struct buf recipients; /* as in the tail of PQ_OPEN: three fields each */
	uint8_t room[SP_HELO_MAX + ENVELOPE_PATH_MAX + SP_ENVID_MAX];
};

#define ENVELOPE_RECIPIENTS_MAX (64u << 20) /* octets; the number is bounded by the rules long before */

/* Copies; helo at most SP_HELO_MAX octets, reverse ENVELOPE_PATH_MAX, envid SP_ENVID_MAX. */
void envelope_begin(
    struct envelope *e, const struct sp_mail *mail, struct bytes helo, struct bytes reverse, struct bytes envid);

/* Adds a recipient (address at most ENVELOPE_PATH_MAX octets). EXHAUSTED: no memory; nothing is added. */
enum result envelope_add(struct envelope *e, struct bytes address, struct bytes orcpt, uint8_t notify);

/* The only recipient's address. */
struct bytes envelope_only_recipient(const struct envelope *e);

/* Forgets it; keeps a little memory for the next. */
void envelope_end(struct envelope *e);
