/* Certificates and keys that tests make for themselves. */
#pragma once

#include "base/bytes.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct made {
	struct bytes certificate, key; /* PEM */
	BIO *c, *k;
};

enum { FOR_SERVER, FOR_CLIENT, AS_CA };
enum { RSA_KEY, P256_KEY, P384_KEY, ED_KEY, OTHER_KEY, N_KEYS };

extern EVP_PKEY *keys[N_KEYS], *ca_key;
extern X509 *ca;

int make_keys(void **state); /* once, as a group's set-up */
X509 *issue(EVP_PKEY *key, const char *cn, const char *names, int use, long seconds);
struct made make_pair(EVP_PKEY *key, const char *cn, const char *names, const char *passphrase);
void drop_pair(struct made *m);
