/* Compiling connection rules: one line of text to the records of the table.
 * Trusts nothing in the line but that its length is bounded by its reader.
 * Never guesses: a line that is not exactly a rule is refused with what was expected. */
#include "control/rules.h"

#include "control/variables.h"

#include <arpa/inet.h>
#include <string.h>

struct rule {
	struct bytes address;
	bool denies;
	struct bytes variables; /* ",NAME=qVALUEq…" or nothing */
};

static bool
ends_instruction(struct bytes rest)
{
	return rest.len == 0 || rest.at[0] == ',';
}

/* The address may hold colons, so the instruction is what is searched for. */
static enum result
split(struct bytes line, struct rule *rule, struct why *why)
{
	for (size_t i = 0; i < line.len; i++) {
		struct bytes rest = bytes_skip(line, i);

		if (line.at[i] != ':')
			continue;
		rule->address = bytes_first(line, i);
		rule->denies = bytes_starts(rest, BYTES(":deny"));
		rule->variables = bytes_skip(rest, rule->denies ? 5 : 6);
		if ((rule->denies || bytes_starts(rest, BYTES(":allow"))) && ends_instruction(rule->variables))
			return OK;
	}
	return why_set(why, MALFORMED, "expected address:allow or address:deny");
}

static enum result
put_variables(struct bytes at, struct buf *data, struct why *why)
{
	enum result r;

	while (at.len > 0) {
		struct bytes rest = bytes_skip(at, 1); /* behind the comma */
		struct bytes name = bytes_first(rest, bytes_find(rest, '='));
		struct bytes quoted = bytes_skip(rest, name.len + 1);
		struct bytes value = bytes_skip(quoted, 1);

		if (name.len == 0 || name.len == rest.len || quoted.len < 2)
			return why_set(why, MALFORMED, "expected NAME=\"VALUE\" behind the comma");
		value = bytes_first(value, bytes_find(value, quoted.at[0]));
		if (value.len + 1 == quoted.len)
			return why_set(why, MALFORMED, "expected a second %c behind the value of %.*s", quoted.at[0],
			    (int)name.len, (const char *)name.at);
		at = bytes_skip(quoted, value.len + 2);
		if (at.len > 0 && at.at[0] != ',')
			return why_set(why, MALFORMED, "expected a comma behind the value of %.*s", (int)name.len,
			    (const char *)name.at);
		if ((r = variable_check(name, value, why)) != OK)
			return r;
		buf_add_octet(data, '+');
		buf_add(data, name);
		buf_add_octet(data, '=');
		buf_add(data, value);
		buf_add_octet(data, '\0');
	}
	return data->failed ? why_set(why, MALFORMED, "expected at most %d octets of variables", RULES_DATA_MAX) : OK;
}

/* The address of a text; 0 if it is none, else its length. */
static size_t
parse_ip(struct bytes text, uint8_t address[16])
{
	char s[INET6_ADDRSTRLEN];

	if (text.len >= sizeof s || bytes_find(text, '\0') != text.len)
		return 0;
	memcpy(s, text.at, text.len);
	s[text.len] = '\0';
	if (inet_pton(AF_INET, s, address) == 1)
		return 4;
	return inet_pton(AF_INET6, s, address) == 1 ? 16 : 0;
}

static bool
is_mapped(const uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof mapped) == 0;
}

static enum result
key_of_ipv6(struct bytes text, struct buf *key, struct why *why)
{
	uint8_t address[16];

	if (parse_ip(text, address) != 16)
		return why_set(why, MALFORMED, "expected an IPv6 address (a prefix is written address/bits)");
	if (is_mapped(address))
		return why_set(why, MALFORMED, "expected an IPv4 address: mapped ones are looked up as IPv4");
	rules_put_ip(key, address, 16);
	return OK;
}

static enum result
key_of_cidr(struct bytes text, struct buf *key, struct why *why)
{
	size_t slash = bytes_find(text, '/'), len;
	uint8_t address[16];
	uint64_t n_bits;

	len = parse_ip(bytes_first(text, slash), address);
	if (len == 0 || (len == 16 && is_mapped(address)))
		return why_set(why, MALFORMED, "expected an address before the slash");
	if (!bytes_to_number(bytes_skip(text, slash + 1), len * 8, &n_bits) || n_bits == 0)
		return why_set(why, MALFORMED, "expected 1 to %zu bits behind the slash", len * 8);
	rules_put_cidr(key, address, len, (unsigned)n_bits);
	return OK;
}

static void
put_lower(struct buf *key, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_octet(key, ascii_lower(text.at[i]));
}

static enum result
key_of_info(struct bytes text, struct buf *key, struct why *why)
{
	size_t at = bytes_find_last(text, '@');
	struct bytes host = bytes_skip(text, at + 1);

	buf_add(key, bytes_first(text, at + 1));
	if (host.len > 0 && host.at[0] == '=')
		put_lower(key, host);
	else if (bytes_find(host, ':') < host.len)
		return key_of_ipv6(host, key, why);
	else
		buf_add(key, host);
	return OK;
}

/* IPv4 addresses and prefixes, each part a number or a range; put is called for every combination. */
#define RANGE_MAX 65536

struct expansion {
	struct bytes data;
	rules_put *put;
	void *ctx;
	struct why *why;
	uint64_t first[4], last[4];
	size_t n_parts;
	bool whole; /* four parts, else a prefix that ends in a dot */
};

static enum result
expand(const struct expansion *e, size_t i, struct bytes before)
{
	uint8_t room[20];
	struct buf key = BUF_OVER(room);
	enum result r = OK;

	if (i == e->n_parts)
		return e->put(e->ctx, before, e->data, e->why);
	for (uint64_t n = e->first[i]; r == OK && n <= e->last[i]; n++) {
		buf_clear(&key);
		buf_add(&key, before);
		buf_add_number(&key, n);
		if (!e->whole || i < 3)
			buf_add_octet(&key, '.');
		r = expand(e, i + 1, buf_bytes(&key));
	}
	return r;
}

static bool
parse_part(struct bytes part, uint64_t *first, uint64_t *last)
{
	size_t dash = bytes_find(part, '-');

	if (!bytes_to_number(bytes_first(part, dash), 255, first))
		return false;
	*last = *first;
	return dash == part.len || (bytes_to_number(bytes_skip(part, dash + 1), 255, last) && *last >= *first);
}

static enum result
put_ipv4(struct bytes text, struct bytes data, rules_put *put, void *ctx, struct why *why)
{
	struct expansion e = { .data = data, .put = put, .ctx = ctx, .why = why };
	struct bytes rest = text, part = BYTES_NONE;
	uint64_t n = 1;

	while (bytes_split(&rest, '.', &part) && part.len > 0) {
		if (e.n_parts == 4 || !parse_part(part, &e.first[e.n_parts], &e.last[e.n_parts]))
			break;
		n *= e.last[e.n_parts] - e.first[e.n_parts] + 1;
		e.n_parts++;
		part = BYTES_NONE;
	}
	e.whole = e.n_parts == 4;
	if (rest.at != NULL || e.n_parts == 0 || part.len > 0 || (e.whole ? part.at != NULL : part.at == NULL))
		return why_set(why, MALFORMED,
		    "expected an address, a range or prefix such as 192.0.2.1-9 or 192.0.2., 192.0.2.0/24, =host, or "
		    "nothing");
	if (n > RANGE_MAX)
		return why_set(why, MALFORMED, "expected ranges of at most %d addresses", RANGE_MAX);
	return expand(&e, 0, BYTES_NONE);
}

enum result
rules_compile(struct bytes line, rules_put *put, void *ctx, struct why *why)
{
	uint8_t key_room[RULES_KEY_MAX], data_room[RULES_DATA_MAX];
	struct buf key = BUF_OVER(key_room), data = BUF_OVER(data_room);
	struct rule rule = { 0 };
	struct bytes a;
	enum result r;

	if ((r = split(line, &rule, why)) != OK)
		return r;
	a = rule.address;
	if (rule.denies)
		buf_add(&data, bytes_of("D", 2));
	if ((r = put_variables(rule.variables, &data, why)) != OK)
		return r;
	if (a.len > 0 && a.at[0] == '=')
		put_lower(&key, a);
	else if (bytes_find(a, '@') < a.len)
		r = key_of_info(a, &key, why);
	else if (bytes_find(a, '/') < a.len)
		r = key_of_cidr(a, &key, why);
	else if (bytes_find(a, ':') < a.len)
		r = key_of_ipv6(a, &key, why);
	else if (a.len > 0)
		return put_ipv4(a, buf_bytes(&data), put, ctx, why);
	if (r == OK && key.failed)
		r = why_set(why, MALFORMED, "expected at most %d octets of address", RULES_KEY_MAX);
	return r == OK ? put(ctx, buf_bytes(&key), buf_bytes(&data), why) : r;
}
