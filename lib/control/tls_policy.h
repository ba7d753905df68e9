/* tlsdestinations: how much TLS is demanded of another host. What is found shows the configuration. */
#pragma once

#include "control/control.h"

enum tls_mode {
	TLS_MODE_NEVER,         /* `!host`, or no line fits: no TLS */
	TLS_MODE_OPPORTUNISTIC, /* `-`, or no line at all: TLS if it can be had, with any certificate or none */
	TLS_MODE_CERTIFICATE,   /* `*`: TLS if it can be had, and then the peer shows a certificate */
	TLS_MODE_MANDATORY,     /* `-host`, `-*`: with any certificate or none */
	TLS_MODE_CA,            /* `host`, `+*`: with a certificate that verifies */
	TLS_MODE_WILDCARD,      /* `~host`, `~*`: that names the host, perhaps by a wildcard */
	TLS_MODE_NAME,          /* `=host`, `=*`: that names the host in full */
	TLS_MODE_PIN,           /* `%host`, or a fingerprint: with this one */
};

#define TLS_PIN_MAX 64

struct tls_policy {
	enum tls_mode mode;
	bool by_line;    /* a line of tlsdestinations fits */
	struct bytes ca; /* file, or directory if it ends in a slash; empty: cafile */
	struct bytes ciphers;
	uint8_t depth;   /* 0: the default */
	uint16_t port;   /* 0: that of the route; 465 also means TLS from the first octet */
	uint8_t pin_len; /* 20, 28, 32 or 64; 0: none */
	uint8_t pin[TLS_PIN_MAX];
	struct bytes line; /* the key that fits, with its trigger; for explanations */
};

/* host: the relay, else the recipient's domain; lower case, as A-labels. sender_domain: that of the reverse-path. The first
 * that fits counts: `!host` `%host` `=host` `~host` `host` `-host`, where ! ~ - and no trigger also fit by each .suffix and
 * by nothing behind the trigger (but a lone `-` or `*`); then `=*` `~*` `+*` `-*` `*` `-`. At each step a line with this
 * sender's domain goes before one with none. OK; BROKEN: the table can't be read, and nothing may be concluded. */
enum result tls_policy_find(
    const struct control *c, struct bytes host, struct bytes sender_domain, struct tls_policy *p);

/* The next policy of a source's table (control/source.h), for who looks at all lines. */
bool tls_policy_next(struct bytes *table, struct tls_policy *p);
