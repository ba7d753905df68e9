/* What the engine may show and trust: public matter only, on one sealed descriptor that `keyring` made. It is looked up,
 * not parsed as a whole.
 *
 * The descriptor holds one cdb. Keys: 'v' (version); 'p' and a certificate file's name: a field with an OCSP response
 * ("" if there is none) and the fields of the chain; 'n' and a DNS name: fields, the certificate files for it; 'f' and a
 * file's name: its text (CA certificates and CRLs, PEM); 's' and a certificate file's name: SHA-256 of its public key. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#include <cdb.h>

#define RACK_VERSION "PnR1"
#define RACK_NAME_MAX 1024
#define RACK_KEY_LEN 32

struct rack {
	struct cdb db;
	int fd;
};
#define RACK_NONE ((struct rack){ .fd = -1 })

/* Maps the descriptor, which stays the caller's and has been checked to be sealed (process_inherit). MALFORMED if it is no rack of this version. */
enum result rack_open(struct rack *s, int fd, struct why *why);
void rack_close(struct rack *s);

/* OK; ABSENT; BROKEN. What is found lives as long as the rack. */
enum result rack_find_pair(const struct rack *s, struct bytes file, struct bytes *ocsp, struct bytes *chain);
enum result rack_find_key(const struct rack *s, struct bytes file, struct bytes *spki); /* RACK_KEY_LEN octets */
enum result rack_find_file(const struct rack *s, struct bytes file, struct bytes *text);

/* The certificate files for a server name: its own, else those of *.parent (RFC 6125 6.4.3). */
enum result rack_find_name(const struct rack *s, struct bytes name, struct bytes *files);

/* Making one. */
struct rack_maker {
	struct cdb_make make;
	int fd;
};
enum result rack_begin(struct rack_maker *m, int fd, struct why *why); /* fd: an empty memory file, the caller's */
enum result rack_put(struct rack_maker *m, char kind, struct bytes key, struct bytes value); /* EXHAUSTED */
enum result rack_finish(struct rack_maker *m, struct why *why);                              /* and seals it */