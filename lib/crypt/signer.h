/* The one place where a private key is used: read from its file, used once, wiped. */
#pragma once

#include "crypt/provider.h"
#include "crypt/signing_text.h"

#define KEY_FILE_MAX 49152 /* octets of a key in the form that pairs_check writes */

struct rsa_key;

struct signer {
	struct evp_pkey_st *key; /* null for RSA */
	struct rsa_key *rsa;
	enum key_kind kind;
};
#define SIGNER_NONE ((struct signer){ NULL, NULL, KEY_RSA })

/* Once, before any fork: what OpenSSL loads when first used is loaded, with keys that are made for it and thrown away. */
enum result signer_warm(struct why *why);

/* After a fork: fresh randomness, so that none needs to be fetched later. */
enum result signer_seed(struct why *why);

/* Takes a key out of its file's octets. MALFORMED; REFUSED: it is not the key of the public key asked for. */
enum result signer_open(struct signer *s, struct bytes file, const uint8_t spki[SPKI_LEN], struct why *why);
void signer_close(struct signer *s); /* wipes */

/* Checks that the text is one that `purpose` signs and that scheme and key fit, then signs. REFUSED if not. */
enum result signer_sign(const struct signer *s, enum signing_purpose purpose, uint16_t scheme, struct bytes text,
    struct buf *signature, struct why *why);

/* The form in which keys lie in the key directory: parsed fifty times as fast as PEM. Of an EVP_PKEY (lib/crypt only). */
enum result signer_encode(struct evp_pkey_st *key, const uint8_t spki[SPKI_LEN], struct buf *file, struct why *why);

/* "0123…": the name of a key in the key directory. */
#define KEY_NAME_LEN (2 * SPKI_LEN)
void signer_key_name(const uint8_t spki[SPKI_LEN], char name[KEY_NAME_LEN + 1]);

/* "pair.0123…": the name there of the record of a certificate file, which begins with the hash of its public key. */
#define RECORD_PREFIX "pair."
#define RECORD_NAME_LEN (sizeof RECORD_PREFIX - 1 + KEY_NAME_LEN)
/* "name.0123…": an empty file beside a key whose certificate a client may choose by the server name that it asks for. */
#define CHOSEN_PREFIX "name."
#define CHOSEN_NAME_LEN (sizeof CHOSEN_PREFIX - 1 + KEY_NAME_LEN)
void signer_chosen_name(const uint8_t spki[SPKI_LEN], char name[CHOSEN_NAME_LEN + 1]);
void signer_record_name(struct bytes certificate_file, char name[RECORD_NAME_LEN + 1]);
