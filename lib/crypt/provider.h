/* The engine's private keys: keys of a built-in OpenSSL provider that know their public part only. A signature is a call
 * of `sign`, which asks whoever has the key. Nothing can be exported, for nothing is there. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define SPKI_LEN 32        /* SHA-256 of a SubjectPublicKeyInfo */
#define SIGNATURE_MAX 1024 /* octets; RSA of 8192 bits */

/* Signs the text, in the TLS SignatureScheme, with the key that belongs to the public key of that SHA-256. */
typedef enum result remote_sign(void *context, const uint8_t spki[SPKI_LEN], uint16_t scheme, struct bytes text,
    struct buf *signature, struct why *why);

/* Once a process, before any key is made: loads OpenSSL's default provider and ours, reads no configuration file. */
enum result provider_open(struct why *why);

/* Who signs from now on; a process has one signer at a time. Null: nobody, every signature fails. */
void provider_set_signer(remote_sign *sign, void *context);

/* Why the last signature failed; "" if none did. */
const char *provider_failure(void);

/* A key for the public key given (an EVP_PKEY each; lib/crypt only). Null if it is of no kind that is served. */
struct evp_pkey_st *provider_key(struct evp_pkey_st *public_key, uint8_t spki[SPKI_LEN], struct why *why);
