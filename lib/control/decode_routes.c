/* Lines of smtproutes, qmtproutes, authsenders, domainips and domaincerts.
 * Trusts nothing in the text.
 * Never guesses: a line that can be read in two ways, or in none, is an error. */
#include "control/decode.h"
#include "control/route.h"

#include "base/le.h"

#include <string.h>

#define PARTS_MAX 3

struct target {
	struct bytes relay;
	uint64_t port;
	bool without_tls;
};

static bool
is_address(struct bytes text)
{
	uint8_t address[16];

	return decoder_parse_address(text, address) > 0;
}

static bool
is_host(struct bytes text)
{
	return is_address(text) || decoder_is_domain(text);
}

/* "[2001:db8::1]" and what follows */
static bool
split_brackets(struct bytes text, struct bytes *host, struct bytes *rest)
{
	size_t end = bytes_find(text, ']');

	if (text.len == 0 || text.at[0] != '[' || end == text.len)
		return false;
	*host = bytes_skip(bytes_first(text, end), 1);
	*rest = bytes_skip(text, end + 1);
	return true;
}

/* relay, relay;port, relay:port; an IPv6 address with a port behind a colon only in brackets */
static bool
parse_target(struct bytes text, struct target *t)
{
	struct bytes port = BYTES_NONE;
	size_t n;

	*t = (struct target){ .without_tls = text.len > 0 && text.at[0] == '!' };
	if (t->without_tls)
		text = bytes_skip(text, 1);
	n = bytes_find(text, ';');
	if (n < text.len) {
		port = bytes_skip(text, n + 1);
		text = bytes_first(text, n);
	}
	if (split_brackets(text, &t->relay, &text)) {
		if (text.len > 0 && (text.at[0] != ':' || port.at != NULL))
			return false;
		if (text.len > 0)
			port = bytes_skip(text, 1);
	} else {
		n = bytes_find(text, ':');
		if (port.at == NULL && n < text.len && !is_address(text)) {
			port = bytes_skip(text, n + 1);
			text = bytes_first(text, n);
		}
		t->relay = text;
	}
	if (port.at != NULL && (!bytes_to_number(port, 65535, &t->port) || t->port == 0))
		return false;
	return t->relay.len == 0 ? port.at == NULL && !t->without_tls : is_host(t->relay);
}

static void
put_route(struct decoder *d, struct bytes key, const struct target *t, const struct bytes parts[PARTS_MAX])
{
	uint8_t room[2200];
	struct buf data = BUF_OVER(room);
	uint8_t head[3] = { 0, 0, t->without_tls };

	le16_put(head, (uint16_t)t->port);
	buf_add(&data, bytes_of(head, sizeof head));
	buf_add(&data, t->relay);
	buf_add_octet(&data, 0);
	for (size_t i = 1; i < PARTS_MAX; i++) {
		buf_add(&data, parts[i]);
		buf_add_octet(&data, 0);
	}
	if (data.failed)
		decoder_expected(d, "a line of at most 2000 octets");
	else
		decoder_put_lower(d, key, buf_bytes(&data));
}

/* what|user|password: a password may have | in it */
static void
split_parts(struct bytes value, struct bytes parts[PARTS_MAX])
{
	size_t i = 0;

	memset(parts, 0, PARTS_MAX * sizeof parts[0]);
	for (; i + 1 < PARTS_MAX; i++) {
		size_t n = bytes_find(value, '|');

		parts[i] = bytes_first(value, n);
		value = bytes_skip(value, n + 1);
	}
	parts[i] = value;
}

static void
decode_target(struct decoder *d, struct bytes key, struct bytes value)
{
	struct bytes parts[PARTS_MAX];
	struct target t;

	split_parts(value, parts);
	if (!parse_target(parts[0], &t))
		decoder_expected(d,
		    "a relay behind the colon: NAME, ADDRESS, NAME;PORT or [ADDRESS]:PORT, with ! in front if it "
		    "may be told the password without TLS");
	else if ((parts[1].len > 0) != (parts[2].len > 0))
		decoder_expected(d, "both user and password, or neither: relay;port|user|password");
	else if (parts[1].len > 0 && t.relay.len == 0)
		decoder_expected(d, "a relay before the user and password");
	else
		put_route(d, key, &t, parts);
}

static bool
is_domain_key(struct bytes key)
{
	return key.len == 0 || decoder_is_domain(key.at[0] == '.' ? bytes_skip(key, 1) : key);
}

static struct bytes
ascii(struct decoder *d, struct bytes key, uint8_t room[CONTROL_KEY_MAX])
{
	size_t at = bytes_find_last(key, '@');
	struct bytes domain = at < key.len ? bytes_skip(key, at + 1) : key;

	if (domain.len > 0 && domain.at[0] == '.')
		domain = bytes_skip(domain, 1);
	return decoder_ascii_key(d, key, domain, room);
}

void
decode_route(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes key = bytes_first(line, colon);
	uint8_t room[CONTROL_KEY_MAX];

	if (colon == line.len || (!is_domain_key(key) && !bytes_equal(key, BYTES("!@"))))
		decoder_expected(d, "domain:relay, .suffix:relay, :relay or !@:relay");
	else
		decode_target(d, ascii(d, key, room), bytes_skip(line, colon + 1));
}

void
decode_sender_route(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':'), at;
	struct bytes key = bytes_first(line, colon);
	uint8_t room[CONTROL_KEY_MAX];

	at = bytes_find_last(key, '@');
	if (colon == line.len || (key.len > 0 && at == key.len && key.at[0] != '.') ||
	    !is_domain_key(at < key.len ? bytes_skip(key, at + 1) : key) || at + 1 == key.len)
		decoder_expected(d, "sender@domain:relay, @domain:relay, .suffix:relay or :relay");
	else
		decode_target(d, ascii(d, key, room), bytes_skip(line, colon + 1));
}

void
decode_domain_ip(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':'), n;
	struct bytes key = bytes_first(line, colon), value = bytes_skip(line, colon + 1), helo = BYTES_NONE;
	uint8_t room[CONTROL_KEY_MAX], data_room[600];
	struct buf data = BUF_OVER(data_room);

	n = bytes_find(value, '|');
	if (n < value.len)
		helo = bytes_skip(value, n + 1);
	value = bytes_first(value, n);
	n = bytes_find(value, '%');
	if (colon == line.len || key.len == 0 || (!is_domain_key(key) && !bytes_equal(key, BYTES("*"))) ||
	    !is_address(bytes_first(value, n)) || (helo.len > 0 && !decoder_is_domain(helo))) {
		decoder_expected(d, "domain:address or domain:address|heloname; .suffix and * also stand for domains");
		return;
	}
	if (n < value.len)
		decoder_warn(d, "the interface behind %% is not looked at: the address alone counts");
	buf_add(&data, bytes_first(value, n));
	buf_add_octet(&data, 0);
	buf_add(&data, helo);
	buf_add_octet(&data, 0);
	decoder_put_lower(d, ascii(d, key, room), buf_bytes(&data));
}

static bool
is_path(struct bytes text)
{
	return text.len > 1 && text.at[0] == '/' && text.len <= 1000;
}

/* What send needs goes into the table: the certificate's name. The whole line goes into the value, which is not sealed for
 * anybody: warden opens the key, and has the passphrase for keyring. */
void
decode_domain_certificate(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes key = bytes_first(line, colon), parts[PARTS_MAX];
	uint8_t room[CONTROL_KEY_MAX];

	split_parts(bytes_skip(line, colon + 1), parts);
	if (colon == line.len || key.len == 0 || (!is_domain_key(key) && !bytes_equal(key, BYTES("*"))) ||
	    !is_path(parts[0]) || (parts[1].len > 0 && !is_path(parts[1]))) {
		decoder_expected(d,
		    "domain:certificate, domain:certificate|key or domain:certificate|key|passphrase, with "
		    "absolute paths; .suffix and * also stand for domains");
		return;
	}
	decoder_put_lower(d, ascii(d, key, room), parts[0]);
	decoder_put_line(d, bytes_skip(line, colon + 1));
}

void
decode_mechanisms(struct decoder *d, struct bytes line)
{
	if (relay_mechanisms_of(line) == 0)
		decoder_expected(d, "one or more of SCRAM-SHA-256, CRAM-MD5, PLAIN and LOGIN, with blanks between");
	else
		buf_add(d->value, line);
}
