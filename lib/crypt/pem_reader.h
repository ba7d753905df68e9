/* Inside lib/crypt: PEM, block by block. */
#pragma once

#include "crypt/pem.h"

#include <openssl/x509.h>

/* Start with the text in .rest. ABSENT: behind the last block (of that kind). The others as crypt/pem.h says; what was
 * made is the caller's to free. */
struct pem_reader {
	struct bytes rest;
	unsigned line;
};
struct pem_block {
	struct bytes label, text;
	unsigned line; /* where it begins */
};
enum result pem_next(struct pem_reader *p, struct pem_block *b, struct why *why);
enum result pem_next_certificate(struct pem_reader *p, X509 **c, struct why *why);
enum result pem_next_crl(struct pem_reader *p, X509_CRL **c, struct why *why);
