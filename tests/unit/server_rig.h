/* A server that shows one of several certificates, and our engine that meets it. */
#pragma once

#include "base/bytes.h"
#include "certificates.h"
#include "crypt/session.h"

#define DAY 86400L

enum shown {
	GOOD, /* mx.example.org and two names more */
	EXPIRED,
	OTHER_NAME,
	WILD, /* *.example.org */
	PARTLY_WILD,
	CN_ONLY,
	WITH_ADDRESS,
	SELF_MADE,
	OF_OTHER_CA,
	ANONYMOUS,
	N_SHOWN
};

extern X509 *certificates[N_SHOWN], *other_ca;

int make_certificates(void **state); /* once, as a group's set-up */
struct bytes pem_of(X509 *c, X509_CRL *list);

struct server {
	enum shown shows;
	X509 *sends; /* an issuer, too; or null */
	int version; /* at most; 0: any */
};

struct met {
	enum result handshake;
	struct why why;
	struct tls_facts facts;
};

struct met meet_server(const struct tls_options *o, const struct tls_target *t, const struct server *as);

struct bytes names(const char *a, const char *b); /* as in a target; valid until the next call */
struct tls_options believing(X509 *whom);
void assert_refused(const struct met *m, const char *words);
void assert_proven(const struct met *m, const char *proof);
