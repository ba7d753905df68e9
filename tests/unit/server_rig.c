/* Servers for tests of our client.
 * Trusts OpenSSL; a failure ends the test.
 * Never talks to anything but the engine at the other end of a socketpair. */
#include "server_rig.h"

#include "unit.h"
#include "wire/wire.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

X509 *certificates[N_SHOWN], *other_ca;
static uint8_t room[8192];

/* ---- certificates ---- */

static X509 *
of_other_ca(void)
{
	X509 *known = ca, *c;
	EVP_PKEY *known_key = ca_key;

	ca_key = keys[OTHER_KEY];
	ca = other_ca = issue(ca_key, "Other CA", NULL, AS_CA, DAY);
	c = issue(keys[P256_KEY], "mx", "DNS:mx.example.org", FOR_SERVER, DAY);
	ca = known;
	ca_key = known_key;
	return c;
}

int
make_certificates(void **state)
{
	EVP_PKEY *key;

	(void)signal(SIGPIPE, SIG_IGN);
	make_keys(state);
	key = keys[P256_KEY];
	certificates[GOOD] = issue(
	    key, "mx", "DNS:first.example.org,DNS:MX.Example.ORG,DNS:xn--bcher-kva.example", FOR_SERVER, DAY);
	certificates[EXPIRED] = issue(key, "mx", "DNS:mx.example.org", FOR_SERVER, -60);
	certificates[OTHER_NAME] = issue(key, "mx.example.org", "DNS:mx.example.net", FOR_SERVER, DAY);
	certificates[WILD] = issue(key, "mx", "DNS:*.example.org", FOR_SERVER, DAY);
	certificates[PARTLY_WILD] = issue(key, "mx", "DNS:m*.example.org", FOR_SERVER, DAY);
	certificates[CN_ONLY] = issue(key, "mx.example.org", NULL, FOR_SERVER, DAY);
	certificates[WITH_ADDRESS] = issue(key, "mx", "IP:192.0.2.1,IP:2001:db8::1", FOR_SERVER, DAY);
	certificates[SELF_MADE] = issue(key, "mx", "DNS:mx.example.org", AS_CA, DAY);
	certificates[OF_OTHER_CA] = of_other_ca();
	return 0;
}

struct bytes
pem_of(X509 *c, X509_CRL *list)
{
	static BIO *b;
	char *at;
	long n;

	BIO_free(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, c);
	if (list != NULL)
		PEM_write_bio_X509_CRL(b, list);
	n = BIO_get_mem_data(b, &at);
	return bytes_of(at, (size_t)n);
}

/* ---- both sides ---- */

static int
serve(enum shown what, X509 *issuer, int version, int fd)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	char octets[8];
	SSL *ssl;

	if (what != ANONYMOUS) {
		SSL_CTX_use_certificate(c, certificates[what]);
		SSL_CTX_use_PrivateKey(c, keys[P256_KEY]);
		if (issuer != NULL)
			SSL_CTX_add1_chain_cert(c, issuer);
	} else {
		SSL_CTX_set_security_level(c, 0);
		SSL_CTX_set_dh_auto(c, 1);
		SSL_CTX_set_cipher_list(c, "ADH");
		version = TLS1_2_VERSION;
	}
	if (version != 0)
		SSL_CTX_set_max_proto_version(c, version);
	ssl = SSL_new(c);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1)
		return 10;
	return SSL_read(ssl, octets, sizeof octets) <= 0 ? 0 : 1;
}

struct met
meet_server(const struct tls_options *o, const struct tls_target *t, const struct server *as)
{
	static struct met m;
	static struct tls_session s;
	struct tls_engine *e;
	int net[2], status;
	pid_t peer;

	m = (struct met){ .handshake = BROKEN };
	assert_int_equal(engine_open(&e, o, &m.why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, net), 0);
	if ((peer = fork()) == 0) {
		close(net[0]);
		_exit(serve(as->shows, as->sends, as->version, net[1]));
	}
	close(net[1]);
	assert_int_equal(tls_begin(&s, e, net[0], "mx.example.org", &m.why), OK);
	m.handshake = tls_aim(&s, t, &m.why);
	if (m.handshake == OK)
		m.handshake = tls_handshake(&s, 20000, &m.why);
	if (m.handshake == OK)
		tls_facts(&s, &m.facts);
	tls_end(&s);
	engine_close(e);
	close(net[0]);
	waitpid(peer, &status, 0);
	return m;
}

struct bytes
names(const char *a, const char *b)
{
	struct buf list = BUF_OVER(room);

	if (a != NULL)
		wire_put_string(&list, a);
	if (b != NULL)
		wire_put_string(&list, b);
	return buf_bytes(&list);
}

struct tls_options
believing(X509 *whom)
{
	return (struct tls_options){
		.role = TLS_CLIENT, .verify = TLS_VERIFY_REQUIRED, .ca = whom == NULL ? BYTES_NONE : pem_of(whom, NULL)
	};
}

void
assert_refused(const struct met *m, const char *words)
{
	assert_int_equal(m->handshake, REFUSED);
	if (strstr(m->why.text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, m->why.text);
}

void
assert_proven(const struct met *m, const char *proof)
{
	assert_string_equal(m->why.text, "");
	assert_int_equal(m->handshake, OK);
	assert_string_equal(m->facts.proof, proof);
	assert_int_equal(m->facts.peer, TLS_PEER_VERIFIED);
}
