/* From the text of a control item to its sealed form, kind by kind.
 * Trusts nothing in the text.
 * Never keeps a value that is not what its kind says; never stops at the first bad line. */
#include "control/decode.h"

#include "control/control.h"
#include "control/dnslist.h"
#include "control/format.h"
#include "control/passwords.h"
#include "control/patterns.h"
#include "control/program.h"
#include "control/recipients.h"
#include "control/senders.h"

#include "base/le.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>

static bool
is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < 0x20 || text.at[i] > 0x7e)
			return false;
	return true;
}

static bool
has_control_octets(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.at[i] < 0x20 && text.at[i] != '\t') || text.at[i] == 0x7f)
			return true;
	return false;
}

bool
decoder_is_domain(struct bytes text)
{
	struct bytes rest = text, label;

	if (text.len == 0 || text.len > 253)
		return false;
	while (bytes_split(&rest, '.', &label)) {
		if (label.len == 0 || label.len > 63)
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!ascii_is_alnum(label.at[i]) && label.at[i] < 0x80 && memchr("-_", label.at[i], 2) == NULL)
				return false;
	}
	return true;
}

/* a relative path that does not lead upwards */
static bool
is_below(struct bytes path)
{
	struct bytes rest = path, part;

	if (path.len == 0 || path.at[0] == '/' || has_control_octets(path))
		return false;
	while (bytes_split(&rest, '/', &part))
		if (bytes_equal(part, BYTES("..")))
			return false;
	return true;
}

bool
decoder_line(struct decoder *d, struct bytes *line)
{
	while (bytes_split(&d->rest, '\n', line)) {
		d->line++;
		while (line->len > 0 && (line->at[line->len - 1] == ' ' || line->at[line->len - 1] == '\t'))
			line->len--;
		if (line->len == 0 || line->at[0] == '#')
			continue;
		if (has_control_octets(*line)) {
			decoder_expected(d,
			    line->at[line->len - 1] == '\r' ? "a line without a carriage return at its end"
							    : "a line without control octets");
			continue;
		}
		return true;
	}
	return false;
}

static void
put_record(struct decoder *d, struct bytes key, struct bytes data)
{
	uint8_t head[8];

	le32_put(head, (uint32_t)key.len);
	le32_put(head + 4, (uint32_t)data.len);
	buf_add(d->table, bytes_of(head, sizeof head));
	buf_add(d->table, key);
	buf_add(d->table, data);
}

void
decoder_put(struct decoder *d, struct bytes key, struct bytes data)
{
	if (key.len > CONTROL_KEY_MAX)
		decoder_expected(d, "at most %d octets", CONTROL_KEY_MAX);
	else if (seen_before(d->seen, key))
		decoder_warn(d, "is there twice; what came first counts");
	else
		put_record(d, key, data);
}

static struct bytes
lower(uint8_t room[CONTROL_KEY_MAX], struct bytes key)
{
	if (key.len > CONTROL_KEY_MAX)
		return key;
	for (size_t i = 0; i < key.len; i++)
		room[i] = ascii_lower(key.at[i]);
	return bytes_of(room, key.len);
}

void
decoder_put_lower(struct decoder *d, struct bytes key, struct bytes data)
{
	uint8_t room[CONTROL_KEY_MAX];

	decoder_put(d, lower(room, key), data);
}

void
decoder_put_once(struct decoder *d, struct bytes key)
{
	uint8_t room[CONTROL_KEY_MAX];

	key = lower(room, key);
	if (key.len <= CONTROL_KEY_MAX && !seen_before(d->seen, key))
		put_record(d, key, BYTES_NONE);
}

void
decoder_put_line(struct decoder *d, struct bytes line)
{
	uint8_t head[CONTROL_LINE_HEAD];

	le32_put(head, (uint32_t)line.len);
	buf_add(d->value, bytes_of(head, sizeof head));
	buf_add(d->value, line);
}

static void
put_number(struct decoder *d, uint64_t n)
{
	uint8_t octets[8];

	le64_put(octets, n);
	buf_add(d->value, bytes_of(octets, sizeof octets));
}

struct bytes
decoder_ascii_key(struct decoder *d, struct bytes key, struct bytes domain, uint8_t room[CONTROL_KEY_MAX])
{
	struct buf ascii = buf_over(room, CONTROL_KEY_MAX);
	uint8_t *label = NULL;
	char name[256];
	size_t n = 0;

	while (n < domain.len && domain.at[n] < 0x80)
		n++;
	if (n == domain.len || domain.len >= sizeof name)
		return key;
	memcpy(name, domain.at, domain.len);
	name[domain.len] = '\0';
	if (idn2_lookup_u8((const uint8_t *)name, &label, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		decoder_expected(d, "a domain in UTF-8 that has an ASCII form");
	buf_add(&ascii, bytes_first(key, key.len - domain.len));
	buf_add_string(&ascii, (const char *)label);
	idn2_free(label);
	return buf_bytes(&ascii);
}

static void
decode_line(struct decoder *d, struct bytes line)
{
	if (!is_printable(line) || line.len < d->schema->least || line.len > d->schema->most)
		decoder_expected(d, "a line of %llu to %llu printable octets", (unsigned long long)d->schema->least,
		    (unsigned long long)d->schema->most);
	buf_add(d->value, line);
}

static void
decode_number(struct decoder *d, struct bytes line)
{
	uint64_t n = 0;

	if (!bytes_to_number(line, d->schema->most, &n) || n < d->schema->least)
		decoder_expected(d, "a number from %llu to %llu", (unsigned long long)d->schema->least,
		    (unsigned long long)d->schema->most);
	put_number(d, n);
}

static void
decode_bool(struct decoder *d, struct bytes line)
{
	bool yes = bytes_equal_nocase(line, BYTES("yes")) || bytes_equal(line, BYTES("1"));

	if (!yes && !bytes_equal_nocase(line, BYTES("no")) && !bytes_equal(line, BYTES("0")))
		decoder_expected(d, "yes or no");
	put_number(d, yes);
}

static void
decode_domain(struct decoder *d, struct bytes line)
{
	if (!decoder_is_domain(line))
		decoder_expected(d, "a domain");
	buf_add(d->value, line);
}

/* "./Maildir/" is kept as "Maildir". */
static bool
put_maildir(struct buf *value, struct bytes text)
{
	while (bytes_starts(text, BYTES("./")))
		text = bytes_skip(text, 2);
	while (text.len > 0 && text.at[text.len - 1] == '/')
		text.len--;
	buf_add(value, text);
	return is_below(text) && text.len <= 1024;
}

static void
decode_maildir(struct decoder *d, struct bytes line)
{
	if (!bytes_ends_nocase(line, BYTES("/")) || !put_maildir(d->value, line))
		decoder_expected(d, "a Maildir below the user's home: ./NAME/");
}

static void
decode_owner(struct decoder *d, struct bytes line)
{
	struct bytes rest = line, uid = BYTES_NONE, gid = BYTES_NONE;
	uint8_t ids[CONTROL_OWNER_HEAD];
	uint64_t u = 0, g = 0;

	if (line.len == 0)
		return;
	if (!bytes_split(&rest, ':', &uid) || !bytes_split(&rest, ':', &gid) ||
	    !bytes_to_number(uid, UINT32_MAX - 1, &u) || !bytes_to_number(gid, UINT32_MAX - 1, &g) || u == 0 ||
	    rest.len == 0 || rest.at[0] != '/')
		decoder_expected(d, "uid:gid:home, with a uid other than 0 and an absolute home");
	le32_put(ids, (uint32_t)u);
	le32_put(ids + 4, (uint32_t)g);
	buf_add(d->value, bytes_of(ids, sizeof ids));
	buf_add(d->value, rest);
}

static void
decode_domains(struct decoder *d, struct bytes line)
{
	struct bytes name = line.at[0] == '.' ? bytes_skip(line, 1) : line;
	uint8_t room[CONTROL_KEY_MAX];

	if (!decoder_is_domain(name))
		decoder_expected(d, "a domain, or a dot and a domain");
	else
		decoder_put_lower(d, decoder_ascii_key(d, line, name, room), BYTES_NONE);
}

static void
decode_virtualdomains(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':'), at;
	struct bytes key = bytes_first(line, colon), user = bytes_skip(line, colon + 1), domain;
	uint8_t room[CONTROL_KEY_MAX];

	at = bytes_find_last(key, '@');
	domain = at < key.len ? bytes_skip(key, at + 1) : key;
	if (at == key.len && domain.len > 0 && domain.at[0] == '.')
		domain = bytes_skip(domain, 1);
	if (colon == line.len || (key.len > 0 && (!decoder_is_domain(domain) || at == 0)))
		decoder_expected(d, "domain:user, .suffix:user, local@domain:user or :user");
	else if (bytes_find(user, '/') < user.len || bytes_find(user, '@') < user.len)
		decoder_expected(d, "the name of a user of this host behind the colon");
	else
		decoder_put_lower(d, decoder_ascii_key(d, key, domain, room), user);
}

static void
decode_mailboxes(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find_last(line, ':');
	struct bytes address = bytes_first(line, colon);
	size_t at = bytes_find_last(address, '@');
	uint8_t room[1100], key_room[CONTROL_KEY_MAX];
	struct buf maildir = BUF_OVER(room);

	if (colon == line.len || at == address.len || !decoder_is_domain(bytes_skip(address, at + 1)) ||
	    bytes_find(address, '/') < address.len)
		decoder_expected(d, "local@domain:maildir or @domain:maildir");
	else if (!put_maildir(&maildir, bytes_skip(line, colon + 1)))
		decoder_expected(d, "a Maildir below virtualuser's home behind the colon, without ..");
	else {
		address = decoder_ascii_key(d, address, bytes_skip(address, at + 1), key_room);
		decoder_put_lower(d, address, buf_bytes(&maildir));
		decoder_put_once(d, bytes_skip(address, at + 1)); /* the domain itself, to tell ours from others' */
	}
}

static enum result
put_rule(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	(void)why;
	decoder_tell_variables(ctx, data);
	decoder_put(ctx, key, data);
	return OK;
}

static void
decode_rules(struct decoder *d, struct bytes line)
{
	struct why why = WHY_NONE;

	if (rules_compile(line, put_rule, d, &why) != OK)
		decoder_expected_why(d, &why);
}

static void
decode_patterns(struct decoder *d, struct bytes line)
{
	if (line.len > 1000)
		decoder_expected(d, "at most 1000 octets");
	else if (pattern_is_wild(line, d->item == ITEM_BADMAILFROM))
		decoder_put_line(d, line);
	else
		decoder_put_lower(d, line, BYTES_NONE);
}

size_t
decoder_parse_address(struct bytes text, uint8_t address[16])
{
	char s[INET6_ADDRSTRLEN];

	if (text.len >= sizeof s)
		return 0;
	memcpy(s, text.at, text.len);
	s[text.len] = '\0';
	if (inet_pton(AF_INET, s, address) == 1)
		return 4;
	return inet_pton(AF_INET6, s, address) == 1 ? 16 : 0;
}

static void
decode_networks(struct decoder *d, struct bytes line)
{
	size_t slash = bytes_find(line, '/'), len;
	uint8_t network[CONTROL_NETWORK_HEAD + 16];
	uint64_t n_bits = 0;

	len = decoder_parse_address(bytes_first(line, slash), network + CONTROL_NETWORK_HEAD);
	if (len == 0 || (slash < line.len && !bytes_to_number(bytes_skip(line, slash + 1), len * 8, &n_bits))) {
		decoder_expected(d, "an address or a network such as 192.0.2.0/24 or 2001:db8::/32");
		return;
	}
	network[0] = (uint8_t)len;
	network[1] = (uint8_t)(slash < line.len ? n_bits : len * 8);
	decoder_put_line(d, bytes_of(network, CONTROL_NETWORK_HEAD + len));
}

static void
decode_endpoint(struct decoder *d, struct bytes line)
{
	uint8_t room[CONTROL_ENDPOINT_HEAD + 16];
	struct bytes path = bytes_starts(line, BYTES("unix:")) ? bytes_skip(line, 5) : BYTES_NONE, address;
	size_t colon = bytes_find_last(line, ':'), len;
	struct buf whole = buf_growing(256);
	bool bracketed;
	uint64_t port;

	address = bytes_first(line, colon);
	bracketed = address.len > 2 && address.at[0] == '[' && address.at[address.len - 1] == ']';
	len = decoder_parse_address(
	    bracketed ? bytes_first(bytes_skip(address, 1), address.len - 2) : address, room + CONTROL_ENDPOINT_HEAD);
	if (path.at != NULL) {
		if (path.len < 2 || path.len > 107 || path.at[0] != '/')
			decoder_expected(d, "unix: and an absolute path of at most 107 octets");
		buf_add(&whole, bytes_of((const uint8_t[]){ ENDPOINT_UNIX, 0, 0 }, CONTROL_ENDPOINT_HEAD));
		buf_add(&whole, path);
	} else if (colon == line.len || len != (bracketed ? 16u : 4u) ||
	    !bytes_to_number(bytes_skip(line, colon + 1), 65535, &port))
		decoder_expected(d, "192.0.2.1:25, [2001:db8::1]:25 or unix:PATH");
	else {
		room[0] = len == 4 ? ENDPOINT_IPV4 : ENDPOINT_IPV6;
		le16_put(room + 1, (uint16_t)port);
		buf_add(&whole, bytes_of(room, CONTROL_ENDPOINT_HEAD + len));
	}
	decoder_put_line(d, buf_bytes(&whole));
	buf_free(&whole);
}

static const struct {
	void (*line)(struct decoder *d, struct bytes line);
	bool single; /* one line only, perhaps empty */
} decoders[N_CONTROL_KINDS] = {
	[KIND_LINE] = { decode_line, true },
	[KIND_NUMBER] = { decode_number, true },
	[KIND_BOOL] = { decode_bool, true },
	[KIND_DOMAIN] = { decode_domain, true },
	[KIND_PATH] = { decode_path, true },
	[KIND_MAILDIR] = { decode_maildir, true },
	[KIND_OWNER] = { decode_owner, true },
	[KIND_DOMAINS] = { decode_domains, false },
	[KIND_VIRTUALDOMAINS] = { decode_virtualdomains, false },
	[KIND_MAILBOXES] = { decode_mailboxes, false },
	[KIND_RULES] = { decode_rules, false },
	[KIND_VARIABLES] = { decode_variables, false },
	[KIND_SENDERS] = { decode_senders, false },
	[KIND_DNSLISTS] = { decode_dnslist, false },
	[KIND_RECIPIENTS] = { decode_recipients, false },
	[KIND_PATTERNS] = { decode_patterns, false },
	[KIND_FORWARDERS] = { decode_forwarder, false },
	[KIND_ANCHORS] = { decode_anchor, false },
	[KIND_NETWORKS] = { decode_networks, false },
	[KIND_ENDPOINTS] = { decode_endpoint, false },
	[KIND_ROUTES] = { decode_route, false },
	[KIND_SENDERROUTES] = { decode_sender_route, false },
	[KIND_DOMAINIPS] = { decode_domain_ip, false },
	[KIND_DOMAINCERTS] = { decode_domain_certificate, false },
	[KIND_TLSDESTINATIONS] = { decode_tls_destination, false },
	[KIND_DANE] = { decode_dane, true },
	[KIND_MECHANISMS] = { decode_mechanisms, true },
	[KIND_PASSWORDS] = { decode_password, false },
	[KIND_AUTHUSER] = { decode_authuser, false },
	[KIND_PROGRAM] = { decode_program, true },
};

static void
decode_single(struct decoder *d)
{
	struct bytes line, more;

	if (!decoder_line(d, &line)) {
		line = BYTES("");
		d->line = 0;
	}
	if (!d->failed)
		decoders[d->schema->kind].line(d, line);
	if (decoder_line(d, &more))
		decoder_expected(d, "one line");
}

void
decode_text(struct decoder *d)
{
	struct bytes line;
	uint64_t n = 0;

	if (d->schema->kind == KIND_ASSIGN) {
		decode_assign(d);
		return;
	}
	if (decoders[d->schema->kind].single) {
		decode_single(d);
		return;
	}
	while (decoder_line(d, &line))
		if (++n <= d->schema->most)
			decoders[d->schema->kind].line(d, line);
		else if (n == d->schema->most + 1)
			decoder_expected(d, "at most %llu lines", (unsigned long long)d->schema->most);
	if (n < d->schema->least && !d->failed) {
		d->line = 0;
		decoder_expected(d, "at least %llu line", (unsigned long long)d->schema->least);
	}
}
