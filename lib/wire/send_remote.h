/* What passes between `send` and one session of `remote`: where the peer is, messages for it, what became of them. The session is
 * one connection; send closes the channel when it has no more for it. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define RM_SEND WIRE_FIRST
#define RM_REMOTE WIRE_SECOND

#define RM_IN_FLIGHT 4         /* transactions given without an answer: the next is there when one ends */
#define RM_RECIPIENTS_MAX 1000 /* of a transaction */
#define RM_HANDSHAKES_MAX 24   /* of a session: one for each address that is tried */
#define RM_PIN_MAX 64

/* What the TLS policy demands (control/tls_policy.h has the meaning of each). */
enum rm_tls {
	RM_TLS_NEVER,         /* no STARTTLS */
	RM_TLS_OPPORTUNISTIC, /* if it can be had; any certificate or none; plain text if it fails */
	RM_TLS_CERTIFICATE,   /* plain text if TLS can't be had; but in TLS the peer must show a certificate */
	RM_TLS_MANDATORY,     /* TLS, with any certificate or none */
	RM_TLS_CA,            /* TLS, with a certificate that verifies */
	RM_TLS_WILDCARD,      /* and names the peer, wildcards allowed */
	RM_TLS_NAME,          /* and names the peer in full */
	RM_TLS_PIN,           /* TLS, with the certificate of this fingerprint */
};

enum rm_dane {
	RM_DANE_OFF,
	RM_DANE_FIRST /* where there is DANE it decides, else the policy */,
	RM_DANE_AFTER /* only where no policy line matched */
};

struct rm_peer {
	char conn[ID_LEN + 1]; /* for the log */
	uint16_t port;
	uint8_t is_relay;     /* 1: the relay's addresses are looked up, no MX records */
	uint8_t tls;          /* enum rm_tls */
	uint8_t dane;         /* enum rm_dane */
	uint8_t implicit_tls; /* 1: TLS before the greeting */
	uint8_t depth;        /* of the peer's chain; 0: the default */
	uint8_t
	    auth; /* send has a name and password for this relay, for these: 1 << enum rm_mechanism, or-ed; 0: none */
	uint8_t auth_plain;  /* 1: they may be said without TLS */
	uint8_t certificate; /* 1: a client certificate may be shown */
	uint8_t pin_len;     /* 0: none; else 20, 28, 32 or 64 octets */
	uint8_t by_policy;   /* 1: a line of tlsdestinations decided */
	uint8_t pin[RM_PIN_MAX];
	uint32_t connect_ms, idle_ms; /* timeoutconnect, timeoutremote */
};
/* tail: destination (the recipients' domain, A-labels or an address literal; for a relay: the relay); relay ("": none); HELO name; local address to
 * bind to ("": any); CA file or directory ("": the system's); cipher list; client certificate's file; this host's
 * names for "best MX is me" (fields in the field) */
#define RM_PEER_FIELDS 8

enum rm_flag {
	RM_SMTPUTF8 = 1 << 0, /* the envelope or the header needs it */
	RM_8BIT = 1 << 1,     /* the content was declared or found to have octets over 127 */
	RM_RET_FULL = 1 << 2,
	RM_RET_HDRS = 1 << 3,
};

struct rm_message {
	char id[ID_LEN + 1];
	uint32_t flags; /* enum rm_flag */
	uint32_t n_recipients;
	uint64_t content_at; /* offset in the queue file */
	uint64_t content_len;
};
/* tail: reverse-path without brackets; envelope id (ENVID as it came, or ""); trace text (CRLF lines). Recipients follow in
 * RM_RECIPIENTS with the same ref */

struct rm_recipients {
	uint32_t n; /* in this message */
	uint32_t spare;
}; /* tail: for each address; ORCPT as it came, or ""; one octet of NOTIFY (as in queue's file) */

enum rm_outcome {
	RM_DELIVERED,
	RM_TEMPORARY,
	RM_PERMANENT,
	RM_UNTRIED, /* no octet of the content was said to the peer: another connection may take it at once */
};

enum rm_scope {
	RM_OF_RECIPIENT, /* the failure is of this recipient or message */
	RM_OF_PEER,      /* of the destination: it would be the same for every message */
	RM_OF_US,        /* of this host: it says nothing about the destination. Temporary */
};

enum rm_closing {
	RM_STAYS,
	RM_CLOSING, /* the session takes no more; what it does not answer is untried */
	RM_LOST,    /* so it is, because the connection failed */
};

struct rm_result {
	uint32_t recipient;   /* index in the transaction */
	uint16_t enhanced[3]; /* RFC 3463 */
	uint8_t outcome;      /* enum rm_outcome */
	uint8_t spare;
}; /* tail: the peer's reply, as text for log and report */

struct rm_done {
	uint16_t enhanced[3]; /* RFC 3463 */
	uint8_t outcome;      /* of all recipients that had no RM_RESULT */
	uint8_t scope;        /* enum rm_scope */
	uint8_t duplicate;    /* 1: no reply that made sense came after the whole message was sent: it may come twice */
	uint8_t closing;      /* enum rm_closing */
	uint8_t dsn;          /* 1: the peer makes the reports that were asked for (RFC 3461) */
	uint8_t from_peer;    /* 1: the text is its reply */
	uint32_t dns_ms, connect_ms, tls_ms,
	    transfer_ms; /* the first three: of the connection, 0 from its second message on */
};
/* tail: the peer's host name; its address; TLS protocol; cipher; how it was verified; the reply or reason; "" where there is none */
#define RM_DONE_FIELDS 6

/* The connection is to go on in TLS: send hands it to the engine with what it demands of this peer. What remote found in DNS comes
 * along: whether TLSA records decide, and whether DNSSEC vouches for the host's name. */
struct rm_secure {
	uint8_t dane;
	uint8_t vouched;
	uint8_t nameless; /* 1: no server name is asked for, where nothing is demanded of the certificate */
	uint8_t spare[5];
};
/* tail: the host (asked for); another name of it, which leads there by CNAMEs, or ""; its TLSA records (fields). fd: the
 * connection. Answered by RM_SECURED or RM_NOT_SECURED when the handshake has ended */
#define RM_SECURE_FIELDS 3

struct rm_secured {
	uint8_t shown; /* 1: the peer has a certificate */
	uint8_t spare[7];
};
/* tail: TLS protocol; cipher; how the peer was verified, "" if it was not; the name in its certificate, of those asked for. fd:
 * where to go on in plain text */
#define RM_SECURED_FIELDS 4

/* Why there is no TLS. Plain text may follow RM_BLAME_PEER alone. */
enum rm_blame {
	RM_BLAME_US,      /* this host can't: no engine, no signer, no descriptors. No other address helps */
	RM_BLAME_DEATH,   /* the engine died in the handshake: perhaps of what the peer said */
	RM_BLAME_SILENCE, /* no answer in time, or the network */
	RM_BLAME_PEER,    /* the engine says that the peer's octets failed, or its close */
};

struct rm_not_secured {
	uint8_t blame; /* enum rm_blame */
	uint8_t spare[7];
};

/* send writes the line of each step, with its CRLF, to the descriptor; remote reads the replies. PLAIN: step 0. LOGIN: 0 the
 * command, 1 the name, 2 the password. CRAM-MD5: 0 the command, 1 the answer to the challenge. SCRAM-SHA-256: 0 the command with
 * the client's first message, 1 its final one. */
enum rm_mechanism { RM_PLAIN, RM_LOGIN, RM_CRAM_MD5, RM_SCRAM_SHA_256 };

struct rm_auth {
	uint8_t mechanism; /* enum rm_mechanism */
	uint8_t step;      /* 0: begin; then one for each challenge */
	uint16_t spare;
	uint32_t iterations; /* SCRAM step 1 */
}; /* tail: the challenge, decoded; SCRAM step 1: the server's nonce; salt. fd: where the peer is spoken to; without TLS the
     * route must allow that, with TLS it must be what RM_SECURED gave */

struct rm_auth_said {
	uint8_t ok; /* 0: it can't be said; tail: why */
	uint8_t spare[7];
}; /* tail: SCRAM step 1: the server signature to be expected, base64 */

/* clang-format off */
/*	message		body			tail fds sender	 how often */
#define SEND_REMOTE(M) \
	M(RM_PEER, struct rm_peer, 6144, 0, RM_SEND, ONCE) /* comes first */ \
	M(RM_MESSAGE, struct rm_message, 6144, 1, RM_SEND, ANY) /* fd: the queue file, read-only */ \
	M(RM_RECIPIENTS, struct rm_recipients, 7680, 0, RM_SEND, ANY) \
	M(RM_SECURED, struct rm_secured, 1024, 1, RM_SEND, ANY) \
	M(RM_NOT_SECURED, struct rm_not_secured, WHY_MAX, 0, RM_SEND, ANY) /* tail: why */ \
	M(RM_AUTH_SAID, struct rm_auth_said, WHY_MAX, 0, RM_SEND, ANY) \
	M(RM_RESULT, struct rm_result, WHY_MAX, 0, RM_REMOTE, ANY) /* ref: of the transaction; before its RM_DONE */ \
	M(RM_DONE, struct rm_done, 4096, 0, RM_REMOTE, ANY) \
	M(RM_SECURE, struct rm_secure, 7168, 1, RM_REMOTE, ANY) \
	M(RM_AUTH, struct rm_auth, 2048, 1, RM_REMOTE, ANY)
/* clang-format on */
WIRE_PROTOCOL(send_remote, SEND_REMOTE)
