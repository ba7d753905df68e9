/* Who is connected, and what the connection rules make of it. */
#pragma once

#include "control/checks.h"
#include "control/recipients.h"
#include "control/variables.h"
#include "net/spf.h"
#include "policy/settings.h"
#include "wire/listen_policy.h"
#include "wire/policy_authrun.h"

#define CLIENT_NAME_MAX 48
#define TARPIT_NOTORIOUS 999 /* as TARPITDELAY: no delay, but no DATA either after too many bad recipients */

struct session_tls;

/* What is known of the peer's name. */
enum host_known { HOST_NOT_ASKED, HOST_NONE, HOST_FAILED, HOST_FOUND };

/* What DNS said of a name; of several answers the greatest counts. */
enum finding {
	FINDING_NONE,    /* nobody asked */
	FINDING_BAD,     /* it is not there */
	FINDING_NULL_MX, /* takes no mail (RFC 7505) */
	FINDING_FAILED,
	FINDING_GOOD,
};

enum listing {
	LISTING_NONE,
	LISTING_HERE,   /* the rule says so: RBLSMTPD */
	LISTING_LISTED, /* a list has it */
	LISTING_SILENT, /* a list was silent, and that counts */
};

/* What is against the peer's address. */
struct listed {
	enum listing how;
	bool for_good;      /* refused with 553, not 451 */
	struct bytes words; /* why */
};

/* What the sender's domain says of the peer (RFC 7208). */
struct sender_policy {
	bool checked;
	enum spf_result result;
	struct bytes explanation;
};

static inline void
finding_add(enum finding *all, enum finding one)
{
	if (one > *all)
		*all = one;
}

/* By check; those that find more than this have a place of their own. */
struct findings {
	enum finding of[N_CHECKS];
};

/* A recipient about which a program has to be asked (control/recipients.h). */
enum trial_state {
	TRIAL_NONE,
	TRIAL_WANTED, /* no answer yet: the program of `place` is to be asked about `address` */
	TRIAL_TAKEN,
	TRIAL_NOT_TAKEN, /* lines behind it count */
	TRIAL_TROUBLE,
};

struct trial {
	enum trial_state state;
	struct recipients_place place;
	uint16_t address_len;
	uint8_t address[PR_ADDRESS_MAX];
};

struct client {
	struct lp_peer peer;
	char name[CLIENT_NAME_MAX]; /* address as text; "local" for a program of this host */
	struct bytes host;          /* reverse name; at null while nobody has looked it up */
	enum host_known host_known;
	struct bytes user;     /* whom it proved to be; at null: nobody */
	struct variables says; /* its rule, and the item variables */
	const struct settings *settings;
	bool is_local_program;
	bool relays;
	struct bytes relay_suffix; /* RELAYCLIENT: put behind each recipient */
	struct bytes helo_check;   /* HELOCHECK; at null: not asked for */
	uint64_t max_octets;       /* 0: no limit */
	uint32_t max_recipients;
	bool excused_bare_lf;
	bool is_lenient_network;               /* of the item lenientnetworks */
	uint16_t greet_seconds;                /* GREETDELAY */
	uint32_t tarpit_count, tarpit_seconds; /* TARPITCOUNT, TARPITDELAY; 0: none */
	uint8_t spf_level;                     /* SPF: 0 to 6 */
	struct listed listed;
	struct sender_policy spf;      /* of the envelope in progress */
	struct findings found;         /* of the envelope in progress */
	struct trial *trial;           /* of the recipient in progress; null: no program can be asked */
	const struct session_tls *tls; /* null while the session is in plain text */
};

/* Finds the client's rule and what it grants; host: its confirmed name, at null if there is none. OK; REFUSED: the rules deny the connection; BROKEN: they can't be read. */
enum result client_meet(struct client *c, const struct settings *s, const struct lp_peer *peer, struct bytes host);
