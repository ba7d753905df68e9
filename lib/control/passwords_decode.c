/* From the text of passwords and users/authuser to what is looked up.
 * Trusts nothing in the text.
 * Never keeps a hash of a kind that is no protection, never takes a stored hash for a password. */
#include "control/decode.h"
#include "control/passwords.h"

#include "base/base64.h"

#include <string.h>

#define RECORD_MAX 2048

static void
put_part(struct buf *record, char letter, struct bytes what)
{
	buf_add_octet(record, (uint8_t)letter);
	buf_add(record, what);
	buf_add_octet(record, '\0');
}

static bool
is_name(struct bytes name)
{
	return name.len > 0 && name.len <= PASSWORD_NAME_MAX && bytes_find(name, ' ') == name.len &&
	    bytes_find(name, '\t') == name.len;
}

/* ---- passwords ---- */

static bool
is_strong_hash(struct bytes word)
{
	static const char *const kinds[] = { "$y$", "$gy$", "$7$", "$2b$", "$2y$", "$2a$", "$6$", "$5$" };

	for (size_t i = 0; i < nitems(kinds); i++)
		if (bytes_starts(word, bytes_of_string(kinds[i])))
			return word.len > 20 && word.len <= PASSWORD_HASH_MAX;
	return false;
}

struct words {
	struct bytes hash, scram, clear;
	bool disabled;
	uint8_t room[PASSWORD_NAME_MAX];
};

static bool
take_clear(struct bytes text, struct words *w)
{
	struct buf b = BUF_OVER(w->room);

	if (base64_decode(text, &b) != OK || b.failed || b.len == 0 || bytes_find(buf_bytes(&b), '\0') < b.len)
		return false;
	w->clear = buf_bytes(&b);
	return true;
}

static bool
take_word(struct bytes word, struct words *w)
{
	struct scram_verifier ignored;

	if (bytes_equal(word, BYTES("disabled")))
		return w->disabled = true;
	if (bytes_starts(word, BYTES("clear=")))
		return take_clear(bytes_skip(word, 6), w);
	if (bytes_starts(word, BYTES("SCRAM-SHA-256$"))) {
		w->scram = bytes_skip(word, 14);
		return passwords_cut_scram(w->scram, &ignored) == OK;
	}
	w->hash = word;
	return is_strong_hash(word);
}

void
decode_password(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes name = bytes_first(line, colon), rest = bytes_skip(line, colon + 1), word;
	struct words w = { .disabled = false };
	uint8_t room[RECORD_MAX];
	struct buf record = BUF_OVER(room);

	if (colon == line.len || !is_name(name) || memchr("!@*", name.at[0], 3) != NULL) {
		decoder_expected(d, "name:hash, as postern passwd writes it");
		return;
	}
	while (bytes_split(&rest, ' ', &word))
		if (word.len > 0 && !take_word(word, &w)) {
			decoder_expected(d,
			    "a hash of crypt(5) ($y$, $gy$, $7$, $2b$, $6$, $5$), SCRAM-SHA-256$…, "
			    "clear=BASE64 or disabled");
			return;
		}
	if (w.disabled)
		put_part(&record, 'x', BYTES(""));
	if (w.hash.len > 0) {
		put_part(&record, 'h', w.hash);
		if (d->value->len == 0)
			decoder_put_line(d, w.hash);
	}
	if (w.scram.len > 0)
		put_part(&record, 's', w.scram);
	if (w.clear.len > 0)
		put_part(&record, 'c', w.clear);
	if (record.len == 0 || record.failed)
		decoder_expected(d, "a hash or disabled behind the colon");
	else
		decoder_put_lower(d, name, buf_bytes(&record));
}

/* ---- users/authuser ---- */

static bool
is_digest(struct bytes hex)
{
	if (hex.len != 32 && hex.len != 40 && hex.len != 64)
		return false;
	for (size_t i = 0; i < hex.len; i++)
		if (!ascii_is_digit(hex.at[i]) && (ascii_lower(hex.at[i]) < 'a' || ascii_lower(hex.at[i]) > 'f'))
			return false;
	return true;
}

void
decode_authuser(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes name = bytes_first(line, colon), word = bytes_skip(line, colon + 1);
	uint8_t room[RECORD_MAX];
	struct buf record = BUF_OVER(room);

	if (!is_name(name) || (name.at[0] == '!' ? colon < line.len || name.len < 2 : colon == line.len)) {
		decoder_expected(d, "user:password, user:%%hash, user:+ or !user");
		return;
	}
	if (name.at[0] == '!')
		put_part(&record, 'x', BYTES(""));
	else if (word.len == 1 && memchr("?!+&", word.at[0], 4) != NULL) {
		put_part(&record, 'e', BYTES(""));
		if (d->source->items[ITEM_CHECKPASSWORD].value.len + d->source->items[ITEM_DOVECOTAUTH].value.len == 0)
			decoder_warn(d, "nobody logs in by this line: there is no checkpassword, and no dovecotauth");
	} else if (word.len > 1 && word.at[0] == '%') {
		put_part(&record, 'd', bytes_skip(word, 1));
		if (!is_digest(bytes_skip(word, 1)))
			decoder_expected(d, "an MD5, SHA-1 or SHA-256 sum in hex behind the %%");
	} else {
		if (word.len > 0 && word.at[0] == '=')
			word = bytes_skip(word, 1);
		put_part(&record, 'c', word);
		if (word.len < 3 || word.len > PASSWORD_NAME_MAX || memchr("@*", name.at[0], 2) != NULL)
			decoder_expected(d, "a password of 3 to %d octets, for one user", PASSWORD_NAME_MAX);
	}
	decoder_put_lower(d, name, buf_bytes(&record));
}
