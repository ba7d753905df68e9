/* What DNS lists say of a peer (RFC 5782): asked when it connects, needed with its first recipient. */
#pragma once

#include "control/dnslist.h"
#include "policy/client.h"
#include "policy/names.h"

#define DNSLISTS_MAX 24 /* those that refuse, and behind them those that let in */
#define DNSLISTS_TEXT_MAX 240

struct dnslist_state {
	struct dnslist list;
	bool allows;
	bool suspended;          /* has everybody: 127.0.0.1 is in it */
	unsigned n_failed;       /* in a row */
	uint64_t rests_until_ms; /* not asked before: it failed too often */
	uint64_t told_ms;        /* of the last line about trouble with it */
};

struct dnslists {
	struct dnslist_state lists[DNSLISTS_MAX];
	unsigned n;
	uint64_t tested_ms; /* 0: never */
};

enum dnslist_says { LIST_NOT_ASKED, LIST_SILENT, LIST_WITHOUT, LIST_WITH };

/* A session's part. */
struct listings {
	uint8_t says[DNSLISTS_MAX]; /* enum dnslist_says */
	uint8_t text_of;            /* the list whose TXT record this is; DNSLISTS_MAX: none */
	uint8_t text_len;
	uint8_t text[DNSLISTS_TEXT_MAX];
};

void dnslists_open(struct policy *p);

/* Asks all lists about a peer, if its rule does not say otherwise. */
void dnslists_ask(struct policy *p, struct session *s);
void dnslists_answered(
    struct policy *p, struct session *s, enum question q, const struct rs_answer *a, struct bytes tail);

/* The answer to a test entry, asked with the reference DNSLISTS_TEST | n. */
void dnslists_tested(struct policy *p, unsigned n, const struct rs_answer *a, struct bytes tail);

/* What comes of it, when nothing is awaited any more. */
void dnslists_settle(const struct policy *p, struct session *s);
