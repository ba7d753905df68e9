/* The items of control directories, as data: made from control/schema.def. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <stdint.h>

enum control_kind {
	KIND_LINE,           /* one line of printable text */
	KIND_NUMBER,         /* decimal */
	KIND_BOOL,           /* yes or no (1 or 0) */
	KIND_DOMAIN,         /* one domain name */
	KIND_PATH,           /* an absolute path */
	KIND_MAILDIR,        /* a Maildir below a home: ./NAME/ */
	KIND_OWNER,          /* uid:gid:home */
	KIND_DOMAINS,        /* a set of domains and .suffixes; or a cdb with them as keys */
	KIND_VIRTUALDOMAINS, /* what:user */
	KIND_MAILBOXES,      /* local@domain:maildir; or a cdb of that */
	KIND_ASSIGN,         /* qmail's users/assign; or users/cdb */
	KIND_RULES,          /* tcprules; or its cdb */
	KIND_VARIABLES,      /* NAME=value */
	KIND_SENDERS,        /* key&sender,sender; or its cdb */
	KIND_DNSLISTS,       /* zone=answers:text */
	KIND_RECIPIENTS,     /* what:table */
	KIND_PATTERNS,       /* lines for control/patterns.h */
	KIND_FORWARDERS,     /* addresses of name servers, or a resolv.conf */
	KIND_ANCHORS,        /* DS or DNSKEY records, or a file of them */
	KIND_NETWORKS,       /* addresses, with /bits */
	KIND_ENDPOINTS,      /* where to listen */
	KIND_ROUTES,         /* smtproutes, qmtproutes */
	KIND_SENDERROUTES,   /* authsenders */
	KIND_DOMAINIPS,
	KIND_DOMAINCERTS,
	KIND_TLSDESTINATIONS,
	KIND_DANE,       /* off, first or after */
	KIND_MECHANISMS, /* of AUTH at relays */
	KIND_PASSWORDS,  /* name:hash … */
	KIND_AUTHUSER,   /* s/qmail's users/authuser */
	KIND_PROGRAM,    /* a program and its arguments */
	N_CONTROL_KINDS
};

/* Who has the item in its configuration. */
enum control_reader {
	BY_WARDEN = 1 << 0,
	BY_LISTEN = 1 << 1,
	BY_SMTPD = 1 << 2,
	BY_POLICY = 1 << 3,
	BY_QUEUE = 1 << 4,
	BY_SEND = 1 << 5,
	BY_LSPAWN = 1 << 6,
	BY_LOCAL = 1 << 7,
	BY_RESOLVE = 1 << 9,
	BY_AUTH = 1 << 10,
	BY_AUTHRUN = 1 << 11,
	BY_INJECT = 1 << 8, /* the programs that submit mail; they read what is world-readable */
};

#define ITEM(name, file, kind, least, most, otherwise, readers, meaning) ITEM_##name,
enum control_item {
#include "../../control/schema.def"
	N_CONTROL_ITEMS
};
#undef ITEM

struct control_schema {
	const char *file; /* below the service's directory or its parent */
	enum control_kind kind;
	uint64_t least, most;
	const char *otherwise; /* default; null: must be there */
	unsigned readers;      /* enum control_reader, or-ed */
	const char *meaning;
};

extern const struct control_schema control_schema[N_CONTROL_ITEMS];

/* The item that is in this file, or whose compiled form is; false if there is none. */
bool control_item_of_file(struct bytes file, enum control_item *item, bool *compiled);

/* The name of the compiled form's file ("rules.cdb", "users/cdb"); null if the kind has none. */
const char *control_compiled_file(enum control_item item);

/* The item name nearest to `file`, for a hint; null if nothing is near. */
const char *control_nearest_item(struct bytes file);

/* The bit of a process ("policy"); 0 if it reads no control item. */
unsigned control_reader_of(const char *process);

/* Changes when the name, kind or bounds of an item of this reader do: a process refuses what another version sealed. */
uint32_t control_fingerprint(unsigned reader);
