/* What would surprise in routes, TLS policies and client certificates.
 * Trusts its caller, with whose rights it reads.
 * Never prints a password, never connects to anything. */
#include "postern/check_remote.h"

#include "control/route.h"
#include "control/tls_policy.h"
#include "crypt/engine.h"
#include "crypt/provider.h"
#include "postern/check_certificates.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

struct remote_look {
	const struct look *look;
	const struct control_source *source;
	const struct control *control;
	enum control_item item; /* whose file is looked at */
	struct ifaddrs *own;    /* null: they could not be had */
};

static __attribute__((format(printf, 4, 5))) void
tell(const struct remote_look *l, struct bytes key, const char *remedy, const char *format, ...)
{
	struct place at = place_of_item(l->look, l->item, key);
	char text[800];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	find(l->look, SEVERITY_WARNING, &at, remedy, "%s", text);
}

/* ---- passwords ---- */

static void
check_secrecy(const struct remote_look *l)
{
	const char *file = control_schema[l->item].file;
	struct stat st;

	if ((fstatat(l->source->service_fd, file, &st, 0) == 0 || fstatat(l->source->etc_fd, file, &st, 0) == 0) &&
	    (st.st_mode & 077) != 0)
		tell(l, BYTES_NONE, "chmod 600", "has a password in it, and others may read it (mode %03o)",
		    (unsigned)(st.st_mode & 0777));
}

/* ---- routes ---- */

static bool
is_own_address(const struct remote_look *l, struct bytes text)
{
	char name[INET6_ADDRSTRLEN];
	uint8_t wanted[16];
	int family;

	if (text.len >= sizeof name)
		return false;
	memcpy(name, text.at, text.len);
	name[text.len] = '\0';
	family = inet_pton(AF_INET, name, wanted) == 1 ? AF_INET
	    : inet_pton(AF_INET6, name, wanted) == 1   ? AF_INET6
						       : 0;
	for (const struct ifaddrs *i = l->own; i != NULL && family != 0; i = i->ifa_next) {
		const void *a = i->ifa_addr;

		if (a == NULL || i->ifa_addr->sa_family != family)
			continue;
		if (family == AF_INET ? memcmp(&((const struct sockaddr_in *)a)->sin_addr, wanted, 4) == 0
				      : memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, wanted, 16) == 0)
			return true;
	}
	return false;
}

/* A relay on another port may be another program of this host. */
static bool
is_this_host(const struct remote_look *l, const struct mail_route *r)
{
	return (r->port == 0 || r->port == 25) &&
	    (bytes_equal_nocase(r->relay, control_text(l->control, ITEM_ME)) ||
		bytes_equal_nocase(r->relay, control_text(l->control, ITEM_HELOHOST)) || is_own_address(l, r->relay));
}

static void
check_routes(struct remote_look *l, enum control_item item)
{
	struct bytes table = buf_bytes(&l->source->items[item].table), key;
	bool has_password = false;
	struct mail_route r;

	l->item = item;
	while (route_next(&table, &key, &r)) {
		has_password |= r.password.len > 0;
		if (item == ITEM_QMTPROUTES && r.relay.len > 0)
			tell(l, key, "route it by smtproutes",
			    "%.*s: QMTP is not spoken yet: this mail would wait until it is returned", SHOW(key));
		else if (is_this_host(l, &r))
			tell(l, key.len > 0 ? key : r.relay, "name another host, or put the domain into locals",
			    "%.*s: the relay %.*s is this host: mail would go round", SHOW(key), SHOW(r.relay));
		if (r.user.len > 0 && r.without_tls)
			tell(l, key.len > 0 ? key : r.relay, "take the ! out, so that TLS is demanded",
			    "%.*s: the password may be sent in plain text (!)", SHOW(key));
	}
	if (has_password)
		check_secrecy(l);
}

static void
check_local_addresses(struct remote_look *l)
{
	struct bytes table = buf_bytes(&l->source->items[ITEM_DOMAINIPS].table), key, address;

	l->item = ITEM_DOMAINIPS;
	while (l->own != NULL && route_next_local_side(&table, &key, &address))
		if (!is_own_address(l, address))
			tell(l, address, "name an address that ip addr shows",
			    "%.*s: %.*s is no address of this host: it can't send from there", SHOW(key),
			    SHOW(address));
}

/* ---- TLS ---- */

static bool
fits_all(struct bytes line)
{
	return line.len == 0 || (line.len == 1 && memchr("!~-*", line.at[0], 4) != NULL) ||
	    line.at[line.len - 1] == '*';
}

/* A word that is no file and no number is taken for ciphers. */
static void
check_ciphers(const struct remote_look *l, const struct tls_policy *p)
{
	struct why why = WHY_NONE;

	if (p->ciphers.len > 0 && provider_open(&why) == OK && engine_check_ciphers(p->ciphers, &why) != OK)
		tell(l, p->ciphers, "name a file of CAs by its whole path, or ciphers that openssl ciphers shows",
		    "%.*s: %s", SHOW(p->line), why.text);
}

static void
check_policies(struct remote_look *l)
{
	struct bytes table = buf_bytes(&l->source->items[ITEM_TLSDESTINATIONS].table), last = BYTES_NONE;
	struct bytes cafile = control_text(l->control, ITEM_CAFILE);
	bool has_lines = table.len > 0, for_all = false;
	struct tls_policy p;

	l->item = ITEM_TLSDESTINATIONS;
	while (tls_policy_next(&table, &p)) {
		for_all |= fits_all(p.line);
		check_ciphers(l, &p);
		if (p.ca.len > 0 && (p.mode < TLS_MODE_CA || p.mode == TLS_MODE_PIN))
			tell(l, p.ca, "take the file out, or demand verification with =",
			    "%.*s: %.*s is not used, since no chain is verified there", SHOW(p.line), SHOW(p.ca));
		else if (p.ca.len > 0 && !bytes_equal(p.ca, last))
			check_cas(l->look, l->item, p.ca);
		last = p.ca;
	}
	if (has_lines && !for_all)
		tell(l, BYTES_NONE, "end with -: or *: if that is not meant",
		    "mail for destinations that no line fits goes without TLS");
	l->item = ITEM_CAFILE;
	if (!bytes_equal(cafile, bytes_of_string(control_schema[ITEM_CAFILE].otherwise)))
		check_cas(l->look, l->item, cafile);
}

static void
check_client_certificates(struct remote_look *l)
{
	struct bytes lines = buf_bytes(&l->source->items[ITEM_DOMAINCERTS].value), line;
	struct why why = WHY_NONE;
	bool has_passphrase = false;

	l->item = ITEM_DOMAINCERTS;
	if (lines.len > 0 && provider_open(&why) != OK) {
		tell(l, BYTES_NONE, "see to OpenSSL's configuration", "certificates were not looked at: %s", why.text);
		return;
	}
	while (control_next_line(&lines, &line)) {
		struct bytes certificate, key;

		(void)bytes_split(&line, '|', &certificate);
		if (line.at == NULL || !bytes_split(&line, '|', &key) || key.len == 0)
			key = certificate;
		has_passphrase |= line.len > 0;
		check_pair(l->look, l->item, certificate, key, line.len > 0 ? line : BYTES_NONE);
	}
	if (has_passphrase)
		check_secrecy(l);
}

void
check_remote(struct look *look)
{
	struct remote_look l = { .look = look, .source = look->source, .control = look->control };

	if (getifaddrs(&l.own) != 0)
		l.own = NULL;
	check_routes(&l, ITEM_SMTPROUTES);
	check_routes(&l, ITEM_QMTPROUTES);
	check_routes(&l, ITEM_AUTHSENDERS);
	check_local_addresses(&l);
	check_policies(&l);
	check_client_certificates(&l);
	if (l.own != NULL)
		freeifaddrs(l.own);
}
