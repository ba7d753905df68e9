/* SCRAM-SHA-256, without channel binding.
 * Trusts neither side's text for its form, nor a server's count of iterations.
 * Never sends a proof for a conversation that did not begin with our own nonce. */
#include "crypt/sasl.h"

#include "base/base64.h"
#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* ---- keys ---- */

static bool
keyed_hash(const uint8_t key[SASL_HASH_LEN], struct bytes text, uint8_t hash[SASL_HASH_LEN])
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, SASL_HASH_LEN, text.at, text.len, hash, &len) != NULL && len == SASL_HASH_LEN;
}

static bool
plain_hash(const uint8_t of[SASL_HASH_LEN], uint8_t hash[SASL_HASH_LEN])
{
	return EVP_Digest(of, SASL_HASH_LEN, hash, NULL, EVP_sha256(), NULL) == 1;
}

enum result
scram_derive(struct bytes password, struct bytes salt, uint32_t iterations, struct scram_keys *k, struct why *why)
{
	uint8_t salted[SASL_HASH_LEN];
	bool good;

	if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
		return why_set(why, REFUSED, "%u iterations: less than %d or more than %d", iterations,
		    SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX);
	if (salt.len == 0 || salt.len > SASL_SALT_MAX)
		return why_set(why, REFUSED, "a salt of %zu octets", salt.len);
	if (password.len == 0 || password.len > SASL_NAME_MAX)
		return why_set(why, MALFORMED, "a password of %zu octets", password.len);
	good = PKCS5_PBKDF2_HMAC((const char *)password.at, (int)password.len, salt.at, (int)salt.len, (int)iterations,
		   EVP_sha256(), sizeof salted, salted) == 1 &&
	    keyed_hash(salted, BYTES("Client Key"), k->client) && plain_hash(k->client, k->stored) &&
	    keyed_hash(salted, BYTES("Server Key"), k->server);
	secret_wipe(salted, sizeof salted);
	return good ? OK : why_set(why, BROKEN, "OpenSSL derives no key");
}

enum result
scram_name_of_keys(struct bytes password, struct bytes salt, uint32_t iterations, uint8_t name[SASL_HASH_LEN])
{
	uint8_t room[8 + SASL_SALT_MAX], key[SASL_HASH_LEN];
	struct buf text = BUF_OVER(room);
	bool good;

	if (password.len > SASL_NAME_MAX)
		return MALFORMED;
	buf_add(&text, bytes_of(&iterations, sizeof iterations));
	buf_add(&text, salt);
	good = !text.failed && EVP_Digest(password.at, password.len, key, NULL, EVP_sha256(), NULL) == 1 &&
	    keyed_hash(key, buf_bytes(&text), name);
	secret_wipe(key, sizeof key);
	return good ? OK : REFUSED;
}

/* RFC 5802 3: the three messages that both sides sign, the client's final one without its proof. */
static enum result
join_messages(struct bytes client_bare, struct bytes server_first, struct bytes client_final, struct buf *all)
{
	buf_add(all, client_bare);
	buf_add_octet(all, ',');
	buf_add(all, server_first);
	buf_add_octet(all, ',');
	buf_add(all, client_final);
	return buf_result(all);
}

/* ---- the client ---- */

enum result
scram_client_begin(struct bytes name, const char *nonce, struct buf *message)
{
	if (name.len == 0 || name.len > SASL_NAME_MAX || bytes_find(name, '\0') < name.len)
		return MALFORMED;
	buf_add_string(message, "n,,n=");
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] == ',')
			buf_add_string(message, "=2C");
		else if (name.at[i] == '=')
			buf_add_string(message, "=3D");
		else
			buf_add_octet(message, name.at[i]);
	buf_add_string(message, ",r=");
	buf_add_string(message, nonce);
	return buf_result(message);
}

static struct bytes
nonce_of(struct bytes client_first)
{
	return bytes_skip(client_first, bytes_find_last(client_first, ',') + 3);
}

static enum result
prove(const struct scram_keys *k, struct bytes signed_text, struct buf *message, uint8_t expected[SASL_HASH_LEN])
{
	uint8_t proof[SASL_HASH_LEN];

	if (!keyed_hash(k->stored, signed_text, proof) || !keyed_hash(k->server, signed_text, expected))
		return BROKEN;
	for (size_t i = 0; i < SASL_HASH_LEN; i++)
		proof[i] ^= k->client[i];
	buf_add_string(message, ",p=");
	base64_encode(bytes_of(proof, sizeof proof), message);
	return buf_result(message);
}

enum result
scram_client_end(const struct scram_keys *k, struct bytes client_first, struct bytes server_first, struct bytes nonce,
    struct buf *message, uint8_t expected[SASL_HASH_LEN], struct why *why)
{
	struct bytes ours = nonce_of(client_first);
	uint8_t room[4 * SASL_TEXT_MAX];
	struct buf all = BUF_OVER(room);
	size_t from = message->len;
	enum result r;

	if (nonce.len <= ours.len || nonce.len > SASL_NONCE_MAX || !bytes_starts(nonce, ours))
		return why_set(why, REFUSED, "the server's nonce does not go on from ours");
	if (!bytes_starts(server_first, BYTES("r=")) || !bytes_starts(bytes_skip(server_first, 2), nonce) ||
	    server_first.len > SASL_TEXT_MAX)
		return why_set(why, REFUSED, "the server's message does not begin with its nonce");
	buf_add_string(message, "c=biws,r="); /* "n,," */
	buf_add(message, nonce);
	r = join_messages(
	    bytes_skip(client_first, SCRAM_HEADER_LEN), server_first, bytes_skip(buf_bytes(message), from), &all);
	if (r == OK)
		r = prove(k, buf_bytes(&all), message, expected);
	return r == OK ? OK : why_set(why, r, "a SCRAM message that is too long");
}

/* ---- the server ---- */

static bool
take_attribute(struct bytes *rest, char letter, struct bytes *value)
{
	struct bytes piece = bytes_first(*rest, bytes_find(*rest, ','));

	if (piece.len < 2 || piece.at[0] != (uint8_t)letter || piece.at[1] != '=')
		return false;
	*value = bytes_skip(piece, 2);
	*rest = bytes_skip(*rest, piece.len + 1);
	return true;
}

static bool
is_nonce(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < 0x21 || text.at[i] > 0x7e || text.at[i] == ',')
			return false;
	return text.len > 0 && text.len <= SASL_NONCE_MAX;
}

enum result
scram_first_take(struct bytes message, bool bound, struct scram_first *f, struct why *why)
{
	struct bytes rest = message, flag = BYTES_NONE;

	*f = (struct scram_first){ .other = BYTES_NONE };
	if (message.len > SASL_TEXT_MAX || !bytes_split(&rest, ',', &flag) ||
	    !(bound ? bytes_equal(flag, BYTES("p=tls-exporter"))
		    : bytes_equal(flag, BYTES("n")) || bytes_equal(flag, BYTES("y"))))
		return why_set(why, REFUSED, "another channel binding is asked for, or this is no SCRAM message");
	if (!take_attribute(&rest, 'a', &f->other)) {
		if (rest.len == 0 || rest.at[0] != ',')
			return why_set(why, MALFORMED, "no SCRAM message");
		rest = bytes_skip(rest, 1);
	}
	f->bare = rest;
	f->header = bytes_first(message, message.len - rest.len);
	if (bytes_starts(rest, BYTES("m=")))
		return why_set(why, REFUSED, "an extension that is not known here");
	if (!take_attribute(&rest, 'n', &f->name) || !take_attribute(&rest, 'r', &f->nonce) || !is_nonce(f->nonce) ||
	    f->name.len == 0)
		return why_set(why, MALFORMED, "no SCRAM message");
	return OK;
}

enum result
scram_name(struct bytes escaped, struct buf *name)
{
	while (escaped.len > 0) {
		bool comma = bytes_starts(escaped, BYTES("=2C")), equals = bytes_starts(escaped, BYTES("=3D"));

		if (escaped.at[0] == '\0' || (escaped.at[0] == '=' && !comma && !equals))
			return MALFORMED;
		buf_add_octet(name, comma ? ',' : equals ? '=' : escaped.at[0]);
		escaped = bytes_skip(escaped, comma || equals ? 3 : 1);
	}
	return buf_result(name);
}

enum result
scram_server_begin(
    struct bytes client_nonce, const char *nonce, struct bytes salt, uint32_t iterations, struct buf *message)
{
	buf_add_string(message, "r=");
	buf_add(message, client_nonce);
	buf_add_string(message, nonce);
	buf_add_string(message, ",s=");
	base64_encode(salt, message);
	buf_add_string(message, ",i=");
	buf_add_number(message, iterations);
	return buf_result(message);
}

/* "c=…,r=…[,…],p=…" cut before its proof; false if it is not of this conversation. */
static bool
take_final(struct bytes message, const struct scram_first *f, struct bytes server_first, struct bytes *without_proof,
    uint8_t proof[SASL_HASH_LEN])
{
	size_t last = bytes_find_last(message, ',');
	struct bytes rest = message, binding, nonce, value, sent = bytes_skip(server_first, 2);
	uint8_t room[SASL_TEXT_MAX];
	struct buf header = BUF_OVER(room), octets = buf_over(proof, SASL_HASH_LEN);

	if (message.len > SASL_TEXT_MAX || last >= message.len || !take_attribute(&rest, 'c', &binding) ||
	    !take_attribute(&rest, 'r', &nonce))
		return false;
	*without_proof = bytes_first(message, last);
	rest = bytes_skip(message, last + 1);
	return take_attribute(&rest, 'p', &value) && base64_decode(binding, &header) == OK &&
	    bytes_starts(buf_bytes(&header), f->header) &&
	    bytes_equal(bytes_skip(buf_bytes(&header), f->header.len), f->binding) &&
	    bytes_equal(nonce, bytes_first(sent, bytes_find(sent, ','))) && base64_decode(value, &octets) == OK &&
	    octets.len == SASL_HASH_LEN && !octets.failed;
}

static bool
is_proven(const struct scram_keys *k, struct bytes signed_text, uint8_t proof[SASL_HASH_LEN])
{
	uint8_t signature[SASL_HASH_LEN], stored[SASL_HASH_LEN];

	if (!keyed_hash(k->stored, signed_text, signature))
		return false;
	for (size_t i = 0; i < SASL_HASH_LEN; i++)
		proof[i] ^= signature[i];
	return plain_hash(proof, stored) &&
	    bytes_equal_constant_time(bytes_of(stored, SASL_HASH_LEN), bytes_of(k->stored, SASL_HASH_LEN));
}

enum result
scram_server_end(const struct scram_keys *k, const struct scram_first *f, struct bytes server_first,
    struct bytes client_final, struct buf *message, struct why *why)
{
	uint8_t room[4 * SASL_TEXT_MAX], proof[SASL_HASH_LEN] = { 0 }, signature[SASL_HASH_LEN];
	struct buf all = BUF_OVER(room);
	struct bytes without_proof;
	bool good;

	if (!take_final(client_final, f, server_first, &without_proof, proof) ||
	    join_messages(f->bare, server_first, without_proof, &all) != OK)
		return why_set(why, REFUSED, "the answer is not of this conversation");
	good = is_proven(k, buf_bytes(&all), proof) && keyed_hash(k->server, buf_bytes(&all), signature);
	secret_wipe(proof, sizeof proof); /* the client's key, now */
	if (!good)
		return why_set(why, REFUSED, "the password is another one");
	buf_add_string(message, "v=");
	base64_encode(bytes_of(signature, sizeof signature), message);
	return buf_result(message);
}
