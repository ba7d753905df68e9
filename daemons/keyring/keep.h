/* The key directory: keys by the hash of their public key, and the last good pair of each certificate file. */
#pragma once

#include "crypt/pair.h"

/* Writes the pair's key and remembers the pair under the name of its certificate file. EXHAUSTED, BROKEN. */
enum result keep_pair(struct bytes name, const struct pair *p, struct why *why);

/* The pair last kept under that name: its chain, its key's hash and when it ends. ABSENT if there is none whose key is still there. */
enum result keep_find(struct bytes name, struct buf *chain, uint8_t spki[SPKI_LEN], int64_t *not_after);

/* Says to the signers that a client may choose this key's certificate by a server name. EXHAUSTED, BROKEN. */
enum result keep_chosen(const uint8_t spki[SPKI_LEN], struct why *why);

/* The same of a file of CAs or CRLs, or of all in a directory, as one text. keep_find_text adds it to *text. */
enum result keep_text(struct bytes name, struct bytes text, struct why *why);
enum result keep_find_text(struct bytes name, struct buf *text);

/* Removes keys that no remembered pair has needed for so many seconds, and what a crash left half written. Call it before
 * the pairs of this run are kept, so that the keys they replace count from now. */
void keep_tidy(unsigned seconds);

/* Removes the marks of keep_chosen that are so many seconds old. Call it when all pairs of this run are kept: what may be chosen now has
 * been marked anew. */
void keep_tidy_chosen(unsigned seconds);
