/* Lines of tlsdestinations. The fields of a value are told apart by their form, since the documents of the systems that have this
 * file do not agree on their order.
 * Trusts nothing in the text.
 * Never guesses: what could be two things, or none, is an error. */
#include "control/decode.h"
#include "control/tls_policy.h"

#include "base/le.h"

#include <string.h>

struct value {
	struct bytes ca, ciphers, sender_domain;
	uint64_t depth, port;
	bool has_depth, has_port;
	uint8_t pin_len;
	uint8_t pin[TLS_PIN_MAX];
};

static const char *
pin(struct bytes hex, struct value *v)
{
	static const size_t lengths[] = { 40, 56, 64, 128 };
	bool known = false;

	for (size_t i = 0; i < nitems(lengths); i++)
		known |= hex.len == lengths[i];
	if (!known || v->pin_len > 0)
		return "a fingerprint of 40, 56, 64 or 128 hexadecimal digits behind =";
	for (size_t i = 0; i < hex.len; i++) {
		uint8_t c = ascii_lower(hex.at[i]);
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return "a fingerprint of hexadecimal digits without colons behind =";
		v->pin[i / 2] = (uint8_t)(v->pin[i / 2] << 4 | digit);
	}
	v->pin_len = (uint8_t)(hex.len / 2);
	return NULL;
}

/* ";465" or ":465" at the end of a field is cut off. */
static const char *
cut_port(struct bytes *field, struct value *v)
{
	size_t n = bytes_find(*field, ';');
	struct bytes before;

	if (n == field->len) {
		n = bytes_find_last(*field, ':');
		before = bytes_first(*field, n);
		for (size_t i = 0; i < before.len; i++)
			if (!ascii_is_digit(before.at[i]))
				return NULL; /* a list of ciphers */
	}
	if (n >= field->len)
		return NULL;
	if (v->has_port || !bytes_to_number(bytes_skip(*field, n + 1), 65535, &v->port) || v->port == 0)
		return "one port from 1 to 65535";
	v->has_port = true;
	*field = bytes_first(*field, n);
	return NULL;
}

static bool
is_number(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.at[i]))
			return false;
	return text.len > 0;
}

static bool
is_sender_domain(struct bytes text)
{
	return bytes_find(text, '.') < text.len && decoder_is_domain(text) && bytes_find(text, '_') == text.len;
}

static bool
is_cipher_list(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.at[i]) && memchr(":!+-_@=,", text.at[i], 8) == NULL)
			return false;
	return text.len > 0;
}

/* What was expected instead; null: it was taken. */
static const char *
take_field(struct bytes field, bool is_first, struct value *v)
{
	const char *wrong = cut_port(&field, v);

	if (wrong != NULL || field.len == 0)
		return wrong;
	if (field.at[0] == '=')
		return pin(bytes_skip(field, 1), v);
	if (field.at[0] == '/') {
		if (v->ca.len > 0 || !is_first)
			return "the file or directory of CAs as the first field";
		v->ca = field;
	} else if (is_number(field)) {
		if (v->has_depth || !bytes_to_number(field, 100, &v->depth))
			return "one depth of at most 100";
		v->has_depth = true;
	} else if (is_sender_domain(field) && !is_first) {
		if (v->sender_domain.len > 0)
			return "one sender's domain";
		v->sender_domain = field;
	} else if (is_cipher_list(field) && !is_sender_domain(field)) {
		if (v->ciphers.len > 0)
			return "one list of ciphers";
		v->ciphers = field;
	} else
		return "CA file with an absolute path | ciphers | depth;port | sender's domain";
	return NULL;
}

static const char *
take_value(struct bytes text, struct value *v)
{
	const char *wrong = NULL;
	bool is_first = true;

	memset(v, 0, sizeof *v);
	while (wrong == NULL && text.len > 0) {
		size_t n = bytes_find(text, '|');

		wrong = take_field(bytes_first(text, n), is_first, v);
		text = bytes_skip(text, n + 1);
		is_first = false;
	}
	return wrong;
}

/* The trigger's mode; false: the key is none. *host: what is behind the trigger. */
static bool
mode_of(struct bytes key, enum tls_mode *mode, struct bytes *host)
{
	static const struct {
		const char *key;
		enum tls_mode mode;
	} for_all[] = { { "=*", TLS_MODE_NAME }, { "~*", TLS_MODE_WILDCARD }, { "+*", TLS_MODE_CA },
		{ "-*", TLS_MODE_MANDATORY }, { "*", TLS_MODE_CERTIFICATE }, { "-", TLS_MODE_OPPORTUNISTIC } };
	static const struct {
		char trigger;
		enum tls_mode mode;
	} for_host[] = { { '!', TLS_MODE_NEVER }, { '%', TLS_MODE_PIN }, { '=', TLS_MODE_NAME },
		{ '~', TLS_MODE_WILDCARD }, { '-', TLS_MODE_MANDATORY } };
	struct bytes name;

	*host = BYTES_NONE;
	for (size_t i = 0; i < nitems(for_all); i++)
		if (bytes_equal(key, bytes_of_string(for_all[i].key))) {
			*mode = for_all[i].mode;
			return true;
		}
	*mode = TLS_MODE_CA;
	*host = key;
	for (size_t i = 0; key.len > 0 && i < nitems(for_host); i++)
		if (key.at[0] == (uint8_t)for_host[i].trigger) {
			*mode = for_host[i].mode;
			*host = bytes_skip(key, 1);
		}
	if (*mode == TLS_MODE_PIN || *mode == TLS_MODE_NAME)
		return decoder_is_domain(*host);
	name = host->len > 0 && host->at[0] == '.' ? bytes_skip(*host, 1) : *host;
	return host->len == 0 || decoder_is_domain(name);
}

static void
put(struct decoder *d, struct bytes key, struct bytes line_key, enum tls_mode mode, const struct value *v)
{
	uint8_t head[5] = { (uint8_t)mode, (uint8_t)v->depth, 0, 0, v->pin_len }, room[2400], key_room[CONTROL_KEY_MAX],
		sender_room[CONTROL_KEY_MAX];
	struct buf data = BUF_OVER(room), whole = BUF_OVER(key_room);
	const struct bytes texts[] = { v->ca, v->ciphers, line_key };

	le16_put(head + 2, (uint16_t)v->port);
	buf_add(&data, bytes_of(head, sizeof head));
	buf_add(&data, bytes_of(v->pin, v->pin_len));
	for (size_t i = 0; i < nitems(texts); i++) {
		buf_add(&data, texts[i]);
		buf_add_octet(&data, 0);
	}
	buf_add(&whole, key);
	if (v->sender_domain.len > 0) {
		buf_add_octet(&whole, '|');
		buf_add(&whole, decoder_ascii_key(d, v->sender_domain, v->sender_domain, sender_room));
	}
	if (data.failed || whole.failed) {
		decoder_expected(d, "a shorter line");
		return;
	}
	decoder_put_lower(d, buf_bytes(&whole), buf_bytes(&data));
	buf_clear(d->value);
	buf_add_octet(d->value, '+'); /* there are lines */
}

void
decode_tls_destination(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes key = bytes_first(line, colon), host, name;
	uint8_t room[CONTROL_KEY_MAX];
	struct value v;
	enum tls_mode mode;
	const char *wrong;

	if (colon == line.len || !mode_of(key, &mode, &host)) {
		decoder_expected(d,
		    "a destination and a colon: a host or .suffix, perhaps behind one of ! %% = ~ -, or one of "
		    "=* ~* +* -* * -");
		return;
	}
	if ((wrong = take_value(bytes_skip(line, colon + 1), &v)) != NULL) {
		decoder_expected(d, "%s", wrong);
		return;
	}
	if (mode == TLS_MODE_PIN && v.pin_len == 0) {
		decoder_expected(d, "a fingerprint behind %%host: %%host:=HEX");
		return;
	}
	if (v.pin_len > 0 && mode != TLS_MODE_NEVER)
		mode = TLS_MODE_PIN;
	name = host.len > 0 && host.at[0] == '.' ? bytes_skip(host, 1) : host;
	put(d, decoder_ascii_key(d, key, name, room), key, mode, &v);
}

void
decode_dane(struct decoder *d, struct bytes line)
{
	static const char *const words[] = { "off", "first", "after" };

	for (size_t i = 0; i < nitems(words); i++)
		if (bytes_equal(line, bytes_of_string(words[i]))) {
			buf_add(d->value, line);
			return;
		}
	decoder_expected(d, "off, first or after");
}
