/* What is computed to authenticate, on both sides: PLAIN (RFC 4616), CRAM-MD5 (RFC 2195), SCRAM-SHA-256 (RFC 5802, 7677).
 * No input or output here is base64. Names and passwords are taken as UTF-8 octets as they are: what RFC 4013 would fold
 * together is different here. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define SASL_NAME_MAX 320           /* octets of a name, or of a password */
#define SASL_HASH_LEN 32            /* SHA-256 */
#define SASL_NONCE_MAX 256          /* octets of both sides' together */
#define SASL_SALT_MAX 64            /* octets */
#define SASL_TEXT_MAX 1024          /* octets of a message */
#define SCRAM_ITERATIONS_MIN 4096   /* RFC 7677 4 */
#define SCRAM_ITERATIONS 100000     /* of the verifiers made here, 50 ms: as dear to guess by as yescrypt */
#define SCRAM_ITERATIONS_MAX 200000 /* a tenth of a second */

/* Once a process, before it is needed: what OpenSSL loads when first used is loaded, and no configuration file. */
enum result sasl_open(struct why *why);

/* An octet string in its printable form, for a nonce: 18 octets of the kernel's randomness. */
#define SASL_NONCE_LEN 24
enum result sasl_nonce(char nonce[SASL_NONCE_LEN + 1], struct why *why);

/* ---- PLAIN ---- */

/* Appends the client's message. MALFORMED: a zero octet in one of them, or one is too long; EXHAUSTED. */
enum result sasl_plain_say(struct bytes name, struct bytes password, struct buf *message);

/* What a client said: views of it. Who acts is `name`; as whom, `other` ("": as himself). MALFORMED: it is not of that form; `name` is then
 * what stands where a name would, which is never the end of the message, where a password may be. */
enum result sasl_plain_take(struct bytes message, struct bytes *other, struct bytes *name, struct bytes *password);

/* ---- CRAM-MD5 ---- */

/* Appends the client's answer, "name digest". */
enum result sasl_cram_md5_say(struct bytes name, struct bytes password, struct bytes challenge, struct buf *message);
enum result sasl_cram_md5_take(struct bytes message, struct bytes *name, struct bytes *digest); /* MALFORMED */
bool sasl_cram_md5_is(struct bytes digest, struct bytes password, struct bytes challenge);

/* ---- SCRAM-SHA-256 ---- */

/* What a password becomes, for one salt and count. A server keeps `stored` and `server`; with `client` one can authenticate. */
struct scram_keys {
	uint8_t client[SASL_HASH_LEN], stored[SASL_HASH_LEN], server[SASL_HASH_LEN];
};

/* The expensive part. REFUSED: iterations out of bounds or a salt too long; MALFORMED: a password that can be none. To be wiped. */
enum result scram_derive(
    struct bytes password, struct bytes salt, uint32_t iterations, struct scram_keys *k, struct why *why);

/* A name for what scram_derive makes of these, which tells nothing of them. */
enum result scram_name_of_keys(
    struct bytes password, struct bytes salt, uint32_t iterations, uint8_t name[SASL_HASH_LEN]);

/* Client. Its first message, without channel binding; what is behind the first three octets is its "bare" form. */
#define SCRAM_HEADER_LEN 3
enum result scram_client_begin(struct bytes name, const char *nonce, struct buf *message);

/* Its final message, of its own first one, the server's, and the whole nonce in it; in `expected` what the server must answer,
 * "v=" excluded and decoded. REFUSED: the server's nonce does not go on from ours. */
enum result scram_client_end(const struct scram_keys *k, struct bytes client_first, struct bytes server_first,
    struct bytes nonce, struct buf *message, uint8_t expected[SASL_HASH_LEN], struct why *why);

/* Server. The client's first message: views, the name still escaped. bound: of the mechanism with -PLUS, whose clients bind
 * the exchange to the TLS session by tls-exporter (RFC 9266); `binding` is the caller's to set then. REFUSED: it wants another
 * binding, or an extension. A header that begins with y is of a client that could bind, and was told that we can't. */
struct scram_first {
	struct bytes header; /* up to `bare` */
	struct bytes bare, other, name, nonce;
	struct bytes binding; /* what the TLS session gives; none without -PLUS */
};
enum result scram_first_take(struct bytes message, bool bound, struct scram_first *f, struct why *why);
enum result scram_name(struct bytes escaped, struct buf *name); /* MALFORMED */

/* The server's first message: the client's nonce, ours behind it. */
enum result scram_server_begin(
    struct bytes client_nonce, const char *nonce, struct bytes salt, uint32_t iterations, struct buf *message);

/* The client's final message. OK: it knows the password, *message is the answer ("v=…"). REFUSED: it does not, or it is another
 * conversation's. Of k the client key is not looked at. */
enum result scram_server_end(const struct scram_keys *k, const struct scram_first *f, struct bytes server_first,
    struct bytes client_final, struct buf *message, struct why *why);
