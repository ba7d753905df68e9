/* What DNS lists say of a peer (RFC 5782): asked when it connects, needed with its first recipient. */
#pragma once

#include "control/dnslist.h"
#include "policy/client.h"
#include "wire/calls.h"

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
	struct caller tester;
};

enum dnslist_says { LIST_NOT_ASKED, LIST_SILENT, LIST_WITHOUT, LIST_WITH };

/* A session's part. */
struct listings {
	uint8_t says[DNSLISTS_MAX]; /* enum dnslist_says */
	uint8_t text_of;            /* the list whose TXT record this is; DNSLISTS_MAX: none */
	uint8_t text_len;
	uint8_t text[DNSLISTS_TEXT_MAX];
};

struct policy;
void dnslists_open(struct policy *p);
