/* Handshakes for tests.
 * Trusts OpenSSL; a failure ends the test.
 * Never talks to anything but the peer at the other end of a socketpair. */
#include "handshake_rig.h"

#include "failing.h"
#include "unit.h"
#include "wire/wire.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct handshake_house house;
const char *const key_files[] = { "rsa.pem", "p256.pem", "p384.pem", "ed.pem" };

int
fill_rack(void **state)
{
	struct rack_maker m;
	struct why why = WHY_NONE;
	struct buf sni = buf_growing(100);

	(void)signal(SIGPIPE, SIG_IGN); /* as in the daemon */
	make_keys(state);
	house.rack_fd = memfd_create("rack", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(rack_begin(&m, house.rack_fd, &why), OK);
	for (int i = 0; i < OTHER_KEY; i++) {
		struct made made = make_pair(
		    keys[i], "mail.example.org", i == P384_KEY ? "DNS:*.example.net" : "DNS:mail.example.org", NULL);
		struct buf record = buf_growing(1 << 16);

		assert_int_equal(pair_read(&house.pairs[i], made.certificate, made.key, BYTES_NONE, &why), OK);
		wire_put(&record, BYTES_NONE);
		buf_add(&record, buf_bytes(&house.pairs[i].chain));
		assert_int_equal(rack_put(&m, 'p', bytes_of_string(key_files[i]), buf_bytes(&record)), OK);
		buf_free(&record);
		drop_pair(&made);
	}
	wire_put_string(&sni, key_files[P384_KEY]);
	assert_int_equal(rack_put(&m, 'n', BYTES("*.example.net"), buf_bytes(&sni)), OK);
	assert_int_equal(rack_finish(&m, &why), OK);
	assert_int_equal(rack_open(&house.rack, house.rack_fd, &why), OK);
	buf_free(&sni);
	return 0;
}

enum result
sign_here(void *context, const uint8_t spki[SPKI_LEN], uint16_t scheme, struct bytes text, struct buf *signature,
    struct why *why)
{
	struct signer s;
	enum result r;

	house.n_signed++;
	if (house.refuses)
		return why_set(why, REFUSED, "not today");
	for (int i = 0; i < OTHER_KEY; i++) {
		if (memcmp(house.pairs[i].spki, spki, SPKI_LEN) != 0)
			continue;
		if ((r = signer_open(&s, buf_bytes(&house.pairs[i].key), spki, why)) != OK)
			return r;
		r = signer_sign(&s, *(enum signing_purpose *)context, scheme, text, signature, why);
		signer_close(&s);
		return r;
	}
	return ABSENT;
}

static int
be_peer(const struct peer *as, int fd)
{
	SSL_CTX *c = SSL_CTX_new(as->server ? TLS_server_method() : TLS_client_method());
	SSL *ssl;
	char octets[64];
	int n;

	if (as->raw != NULL) {
		if (as->server)
			(void)!read(fd, octets, sizeof octets);
		(void)!write(fd, as->raw, as->raw_len > 0 ? as->raw_len : strlen(as->raw));
		while (!as->closes && read(fd, octets, sizeof octets) > 0)
			;
		return 0;
	}
	if (as->own_key >= 0) {
		X509 *own = issue(keys[as->own_key], "peer", as->emails, FOR_CLIENT, 86400);

		SSL_CTX_use_certificate(c, own);
		SSL_CTX_use_PrivateKey(c, keys[as->own_key]);
	}
	if (as->sigalgs != NULL)
		SSL_CTX_set1_sigalgs_list(c, as->sigalgs);
	if (as->server && !as->needs_none) { /* wants to see a certificate */
		X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca);
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	ssl = SSL_new(c);
	SSL_set_fd(ssl, fd);
	if (as->version != 0) {
		SSL_set_min_proto_version(ssl, as->version);
		SSL_set_max_proto_version(ssl, as->version);
		if (as->version < TLS1_2_VERSION)
			SSL_set_security_level(ssl, 0);
	}
	if (as->name != NULL)
		SSL_set_tlsext_host_name(ssl, as->name);
	if (as->alpn != NULL)
		SSL_set_alpn_protos(ssl, (const unsigned char *)as->alpn, (unsigned)strlen(as->alpn));
	if ((as->server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		return 10;
	if (SSL_write(ssl, "ping", 4) != 4 || (n = SSL_read(ssl, octets, sizeof octets)) <= 0)
		return 11;
	if (n != 4 || memcmp(octets, "pong", 4) != 0)
		return 12;
	if (!as->rude)
		SSL_shutdown(ssl);
	return 0;
}

/* The application: answers a ping, then reads to the end. */
static int
answer(int fd)
{
	char octets[64];
	ssize_t n = read(fd, octets, sizeof octets);

	if (n != 4 || memcmp(octets, "ping", 4) != 0 || write(fd, "pong", 4) != 4)
		return 1;
	return read(fd, octets, sizeof octets) == 0 ? 0 : 2;
}

struct outcome
meet(const struct tls_options *o, const struct peer *as)
{
	static struct outcome out;
	enum signing_purpose purpose = o->role == TLS_SERVER ? SIGN_TLS_SERVER : SIGN_TLS_CLIENT;
	struct tls_engine *e;
	int net[2], plain[2], status;
	pid_t peer, app = -1;

	out = (struct outcome){ .handshake = BROKEN, .pump = BROKEN };
	house.n_signed = 0;
	provider_set_signer(sign_here, &purpose);
	assert_int_equal(engine_open(&e, o, &out.why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, net), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, plain), 0);
	if ((peer = fork()) == 0) {
		close(net[0]);
		_exit(be_peer(as, net[1]));
	}
	close(net[1]);
	assert_int_equal(
	    tls_begin(&out.session, e, net[0], o->role == TLS_CLIENT ? "mail.example.org" : NULL, &out.why), OK);
	fail_allocation(house.fail_at);
	out.handshake = tls_handshake(&out.session, as->raw != NULL ? 300 : 5000, &out.why);
	house.has_failed = allocation_failed();
	out.n_signed = house.n_signed;
	if (out.handshake == OK) {
		tls_facts(&out.session, &out.facts);
		if ((app = fork()) == 0) {
			close(plain[0]);
			close(net[0]);
			_exit(answer(plain[1]));
		}
		close(plain[1]);
		out.pump = tls_pump(&out.session, plain[0], 5000, &out.why);
		close(plain[0]);
		waitpid(app, &status, 0);
		assert_int_equal(status, 0);
	} else {
		close(plain[0]);
		close(plain[1]);
	}
	tls_end(&out.session);
	engine_close(e);
	close(net[0]);
	waitpid(peer, &status, 0);
	out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return out;
}

struct bytes
showing(int a, int b)
{
	static uint8_t room[64];
	struct buf list = BUF_OVER(room);

	wire_put_string(&list, key_files[a]);
	if (b >= 0)
		wire_put_string(&list, key_files[b]);
	return buf_bytes(&list);
}

struct bytes
ca_pem(void)
{
	static BIO *b;
	char *at;
	long n;

	if (b == NULL) {
		b = BIO_new(BIO_s_mem());
		PEM_write_bio_X509(b, ca);
	}
	n = BIO_get_mem_data(b, &at);
	return bytes_of(at, (size_t)n);
}
