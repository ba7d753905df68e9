/* From a destination to the hosts that take its mail, their addresses and TLSA records, as DNS has it now. `remote` goes
 * there; `postern explain` only says so. */
#pragma once

#include "net/host_address.h"
#include "net/mx.h"
#include "net/questions.h"
#include "wire/send_remote.h"

#define HOST_ADDRESSES 8

struct hosts_wish {
	struct bytes destination; /* as A-labels, or an address literal */
	struct bytes relay;       /* a name or an address, for is_relay */
	struct bytes own_names;   /* of this host, as fields */
	bool is_relay;            /* the relay's addresses, no MX records */
};

struct host {
	char name[MX_NAME_MAX + 1];
	char base[MX_NAME_MAX + 1]; /* of its TLSA records: the name, or what its CNAMEs lead to */
	uint16_t preference;        /* of its MX record, if there is one */
	bool is_unusable;           /* its MX record has a name that can be no host's: it can't be reached */
	bool vouched;               /* DNSSEC or a route says that this host is meant */
	bool secure;                /* so are its addresses, or the alias that leads to them */
	bool looked_up, failed;
	unsigned n;
	unsigned n_unfit; /* addresses that it has besides, where no mail for others can be */
	struct host_address addresses[HOST_ADDRESSES];
};

struct hosts {
	unsigned n;
	bool is_me;        /* this host is one of the MX hosts; it and those that are no better are left out */
	bool by_mx;        /* by MX records; else the one is the relay, the literal or the destination itself */
	uint8_t status[2]; /* RFC 3463, of a failure: subject and detail */
	struct host list[MX_MAX];
};

/* Finds the hosts, in the order in which to try them. OK; AGAIN: that can't be known now; REFUSED: there is none. */
enum result hosts_find(struct questions *q, const struct hosts_wish *w, struct hosts *h, struct why *why);

/* Finds the addresses of one. False: none can be connected to; `failed` tells whether that may change. */
bool host_look_up(struct questions *q, const struct hosts_wish *w, struct host *h);

/* Whether the host's TLSA records count: the policy lets them, and DNSSEC vouches for what leads to them. */
bool host_uses_dane(const struct host *h, const struct rm_peer *p);

enum tlsa_says { TLSA_NONE, TLSA_RECORDS, TLSA_FAILED };
/* The records as fields of usage, selector, matching type and data. */
enum tlsa_says host_tlsa(struct questions *q, const struct host *h, uint16_t port, struct buf *records);
