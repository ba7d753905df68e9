/* A line of dnslists or dnsallowlists: ZONE[=ANSWER,…][:TEXT]. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define DNSLIST_ZONE_MAX 180 /* octets; an address of 64 and its dots go before it */
#define DNSLIST_ANSWERS_MAX 16

struct dnslist {
	struct bytes zone;
	struct bytes text;  /* said to who is listed; %IP% is its address; nothing: what the list itself says */
	unsigned n_answers; /* 0: any counts */
	struct {
		uint8_t network[4];
		uint8_t n_bits;
	} answers[DNSLIST_ANSWERS_MAX];
};

/* MALFORMED, with what was expected. The list shows the line. */
enum result dnslist_parse(struct bytes line, struct dnslist *list, struct why *why);

/* Whether an answer of the zone (an IPv4 address below 127.0.0.0/8) counts. */
bool dnslist_counts(const struct dnslist *list, const uint8_t answer[4]);

#define DNSLIST_NAME_MAX 255
/* The name to ask for an address of 4 or 16 octets (RFC 5782 2.1, 2.4): its length in `name`. */
size_t dnslist_name(const struct dnslist *list, const uint8_t *address, size_t len, char name[DNSLIST_NAME_MAX]);

struct decoder;
void decode_dnslist(struct decoder *d, struct bytes line);
