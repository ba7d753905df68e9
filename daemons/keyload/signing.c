/* The life of one signer.
 * Trusts policy for whose texts it may sign; the engine at the other end of the channel for nothing.
 * Never has a key and a right at the same time: what is left when the key is parsed are read, write and exit. */
#include "keyload/signing.h"

#include "base/secret.h"
#include "crypt/arena.h"
#include "crypt/signer.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/narrow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ARENA_NEED (192u << 10) /* octets that a signature takes; measured 60 KiB for RSA of 4096 bits */

struct signing {
	struct wire_buffer packet;
	struct wire_message ask;
	uint8_t key_file[KEY_FILE_MAX];
	size_t key_len;
	const struct pk_signer *who;
	struct bytes bound; /* whose key alone may be used: a certificate file, nothing, or (by_key) hashes of keys */
	bool by_key;
	int fd;
};

static enum signing_purpose
purpose_of(const struct signing *s)
{
	return s->who->role == PK_TLS_CLIENT ? SIGN_TLS_CLIENT : SIGN_TLS_SERVER;
}

/* Plain read, as later: the packet border is the message's. */
static enum result
receive_ask(struct signing *s, struct why *why)
{
	struct pollfd p = { s->fd, POLLIN, 0 };
	ssize_t n;

	if (poll(&p, 1, (int)s->who->wait_ms) <= 0)
		return why_set(why, AGAIN, "nothing to sign came in %u ms", s->who->wait_ms);
	n = read(s->fd, s->packet.octets, sizeof s->packet.octets);
	if (n <= 0)
		return ABSENT; /* the handshake failed before a signature, or the session was another's */
	return wire_decode(&tls_keyload_protocol, TK_TLS, bytes_of(s->packet.octets, (size_t)n), 0, &s->ask, why);
}

static enum result
check_key(const struct signing *s, struct why *why)
{
	const struct tk_ask *ask = s->ask.body;
	char path[CHOSEN_NAME_LEN + 1];
	int fd;

	for (struct bytes rest = s->bound; rest.len >= SPKI_LEN; rest = bytes_skip(rest, SPKI_LEN))
		if (memcmp(rest.at, ask->spki, SPKI_LEN) == 0)
			return OK;
	signer_chosen_name(ask->spki, path);
	if (s->who->by_name != 0 && (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) >= 0) {
		(void)close(fd);
		return OK;
	}
	return why_set(why, REFUSED,
	    "the certificate shown is none of those that this connection may be shown (%.16s...)",
	    path + sizeof CHOSEN_PREFIX - 1);
}

/* Whether the key asked for is that of a certificate that the signer was bought for. */
static enum result
check_binding(struct signing *s, struct why *why)
{
	const struct tk_ask *ask = s->ask.body;
	char path[RECORD_NAME_LEN + 1];
	uint8_t spki[SPKI_LEN] = { 0 };
	ssize_t n;
	int fd;

	if (s->by_key)
		return check_key(s, why);
	if (s->bound.len == 0)
		return OK;
	signer_record_name(s->bound, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return why_errno(why, result_of_errno(errno), "there is no key for %.*s", (int)s->bound.len,
		    (const char *)s->bound.at);
	n = read(fd, spki, sizeof spki);
	(void)close(fd);
	if (n == (ssize_t)sizeof spki && memcmp(spki, ask->spki, sizeof spki) == 0)
		return OK;
	return why_set(
	    why, REFUSED, "another certificate was shown than %.*s", (int)s->bound.len, (const char *)s->bound.at);
}

static enum result
read_key(struct signing *s, struct why *why)
{
	const struct tk_ask *ask = s->ask.body;
	char path[KEY_NAME_LEN + 1];
	ssize_t n;
	int fd;

	signer_key_name(ask->spki, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return why_errno(
		    why, result_of_errno(errno), "there is no key for the certificate shown (%.16s...)", path);
	n = read(fd, s->key_file, sizeof s->key_file);
	(void)close(fd);
	if (n <= 0)
		return why_errno(why, BROKEN, "reading a key");
	s->key_len = (size_t)n;
	return OK;
}

static enum result
sign(struct signing *s, struct buf *signature, struct why *why)
{
	const struct tk_ask *ask = s->ask.body;
	struct signer signer;
	enum result r = signer_open(&signer, bytes_of(s->key_file, s->key_len), ask->spki, why);

	secret_wipe(s->key_file, s->key_len);
	if (r == OK)
		r = signer_sign(&signer, purpose_of(s), ask->scheme, s->ask.tail, signature, why);
	signer_close(&signer);
	return r;
}

static void
answer(struct signing *s, uint16_t type, struct bytes tail)
{
	uint8_t packet[sizeof(struct wire_head) + SIGNATURE_MAX + WHY_MAX];
	struct wire_head head = { .type = type, .len = (uint16_t)tail.len, .ref = s->ask.ref };

	memcpy(packet, &head, sizeof head);
	memcpy(packet + sizeof head, tail.at, tail.len);
	(void)!write(s->fd, packet, sizeof head + tail.len);
}

static void
refuse(const struct signing *s, enum result r, const struct why *why)
{
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "sign-refused");
	log_text(&l, "conn", s->who->conn);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_end(&l);
}

/* What is asked for besides is not answered, but told. The descriptor does not wait. */
static void
look_for_more(struct signing *s)
{
	static const struct why more = { "a second request on one connection" };

	if (read(s->fd, s->packet.octets, sizeof s->packet.octets) > 0)
		refuse(s, REFUSED, &more);
}

static enum result
prepare(struct signing *s, struct why *why)
{
	enum result r;

	/* a text that is never signed must not even cost a key its way into memory */
	enum signing_form form;

	if ((r = signing_text_check(purpose_of(s), s->ask.tail, &form, why)) != OK ||
	    (r = check_binding(s, why)) != OK || (r = arena_lock(ARENA_NEED, why)) != OK ||
	    (r = secret_lock(s->key_file, sizeof s->key_file, why)) != OK || (r = read_key(s, why)) != OK ||
	    (r = signer_seed(why)) != OK || (r = fd_set_nonblocking(s->fd, true)) != OK)
		return r;
	return process_narrow(why);
}

void
signing_run(int channel_fd, const struct pk_signer *who, struct bytes bound, bool by_key)
{
	static struct signing s;
	uint8_t room[SIGNATURE_MAX];
	struct buf signature = BUF_OVER(room);
	struct why why = WHY_NONE;
	enum result r;

	s.who = who;
	s.bound = bound;
	s.by_key = by_key;
	s.fd = channel_fd;
	r = receive_ask(&s, &why);
	if (r == OK && (r = prepare(&s, &why)) == OK)
		r = sign(&s, &signature, &why);
	if (r == OK)
		answer(&s, TK_SIGNATURE, buf_bytes(&signature));
	else if (why.text[0] != '\0') {
		refuse(&s, r, &why);
		answer(&s, TK_REFUSED, bytes_of_string(why.text));
	}
	if (r == OK)
		look_for_more(&s);
	arena_wipe();
	_exit(0);
}
