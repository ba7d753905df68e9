/* Who may log in, and what is known of his password: the items passwords and users/authuser. */
#pragma once

#include "control/control.h"

#define PASSWORD_NAME_MAX 320 /* octets of a login name */
#define PASSWORD_HASH_MAX 380 /* octets of a hash as crypt(5) has it */

struct decoder;

/* What is known; what is not is empty. All of it shows the table. */
struct password_entry {
	bool disabled;
	bool elsewhere;      /* a program knows it */
	struct bytes hash;   /* crypt(5) */
	struct bytes scram;  /* iterations:salt$stored:server, as behind "SCRAM-SHA-256$" */
	struct bytes clear;  /* the password itself */
	struct bytes digest; /* in hex: MD5, SHA-1 or SHA-256 of it */
};

/* The entry of a name (any case). In passwords first; then in users/authuser, in its order: the disabled name, its disabled
 * domain, the name, @domain, @, *. OK; ABSENT; BROKEN: the table can't be read, and nothing may be concluded. */
enum result passwords_find(const struct control *c, struct bytes name, struct password_entry *e);

/* A hash that somebody has, so that checking a name that nobody has takes as long. Never empty. */
struct bytes passwords_dummy(const struct control *c);

/* Cuts a SCRAM verifier. MALFORMED. salt, stored and server have room for 64, 32 and 32 octets. */
struct scram_verifier {
	uint32_t iterations;
	size_t salt_len;
	uint8_t salt[64], stored[32], server[32];
};
enum result passwords_cut_scram(struct bytes text, struct scram_verifier *v);

/* Lines of the two items. */
void decode_password(struct decoder *d, struct bytes line);
void decode_authuser(struct decoder *d, struct bytes line);
