/* Replies of SMTP servers.
 * Trusts nothing: neither length nor form, nor that the lines of a reply have one code, or any.
 * Never keeps more than the text for log and report, and that without control octets. */
#include "net/smtp_reply.h"

#include "base/enhanced.h"

#include <stdio.h>
#include <string.h>

#define CODE_DIGITS 3u
#define CODE_LEN 4u /* with a blank */

/* Three digits that no fourth one follows. */
static bool
code_of(struct bytes line, uint16_t *code)
{
	unsigned n = 0;

	if (line.len < CODE_DIGITS || (line.len > CODE_DIGITS && ascii_is_digit(line.at[CODE_DIGITS])))
		return false;
	for (size_t i = 0; i < CODE_DIGITS; i++) {
		if (!ascii_is_digit(line.at[i]))
			return false;
		n = n * 10 + line.at[i] - '0';
	}
	*code = (uint16_t)n;
	return n >= 200 && n <= 599;
}

/* One octet parts the code from the words, whichever it is; none does if they begin at once. */
static struct bytes
words_of(struct bytes line)
{
	struct bytes rest = bytes_skip(line, CODE_DIGITS);

	return rest.len == 0 || ascii_is_alnum(rest.at[0]) ? rest : bytes_skip(rest, 1);
}

static struct bytes
without_blanks_before(struct bytes line)
{
	while (line.len > 0 && line.at[0] <= ' ')
		line = bytes_skip(line, 1);
	return line;
}

static void
keep(struct smtp_reply *r, struct bytes what)
{
	if (r->text_len > 0 && r->text_len < SMTP_REPLY_TEXT_MAX)
		r->text[r->text_len++] = ' ';
	for (size_t i = 0; i < what.len && r->text_len < SMTP_REPLY_TEXT_MAX; i++)
		r->text[r->text_len++] = what.at[i] < ' ' || what.at[i] == 0x7f ? ' ' : (char)what.at[i];
	r->text[r->text_len] = '\0';
}

/* The text begins with the code: that of the last line that has one. */
static void
put_code(struct smtp_reply *r, bool is_there)
{
	char code[CODE_LEN + 8];

	if (!is_there) {
		if (r->text_len > SMTP_REPLY_TEXT_MAX - CODE_LEN)
			r->text_len = SMTP_REPLY_TEXT_MAX - CODE_LEN;
		memmove(r->text + CODE_LEN, r->text, r->text_len);
		r->text_len += CODE_LEN;
		r->text[CODE_LEN - 1] = ' ';
		r->text[r->text_len] = '\0';
	}
	(void)snprintf(code, sizeof code, "%03u", r->code);
	memcpy(r->text, code, CODE_DIGITS);
}

static void
take_enhanced(struct smtp_reply *r, struct bytes words)
{
	uint16_t found[3];

	if (r->enhanced[0] == 0 && enhanced_parse(bytes_first(words, bytes_find(words, ' ')), found) &&
	    found[0] == r->code / 100)
		memcpy(r->enhanced, found, sizeof found);
}

static void
take_coded(struct smtp_reply *r, struct bytes line, uint16_t code)
{
	bool is_first = r->code == 0, alone = is_first && r->text_len == 0;

	if (code != r->code)
		memset(r->enhanced, 0, sizeof r->enhanced);
	r->code = code;
	r->n_coded++;
	keep(r, alone ? line : words_of(line));
	put_code(r, alone || !is_first);
	take_enhanced(r, words_of(line));
}

enum result
smtp_reply_line(struct smtp_reply *r, struct bytes line, struct bytes *text)
{
	uint16_t code = 0;

	*text = BYTES_NONE;
	if (line.len > SMTP_REPLY_LINE_MAX || ++r->n_lines > SMTP_REPLY_LINES_MAX)
		return MALFORMED;
	line = without_blanks_before(line);
	if (!code_of(line, &code)) {
		if (line.len > 0)
			keep(r, line);
		return AGAIN;
	}
	take_coded(r, line, code);
	*text = words_of(line);
	return line.len > CODE_DIGITS && line.at[CODE_DIGITS] == '-' ? AGAIN : OK;
}

struct bytes
smtp_reply_words(const struct smtp_reply *r)
{
	return r->code == 0 ? bytes_of_string(r->text) : words_of(bytes_of_string(r->text));
}

/* ---- EHLO ---- */

static const struct {
	struct bytes name;
	unsigned can;
} features[] = {
	{ { (const uint8_t *)"PIPELINING", 10 }, SMTP_CAN_PIPELINE },
	{ { (const uint8_t *)"8BITMIME", 8 }, SMTP_CAN_8BIT },
	{ { (const uint8_t *)"SMTPUTF8", 8 }, SMTP_CAN_UTF8 },
	{ { (const uint8_t *)"DSN", 3 }, SMTP_CAN_DSN },
	{ { (const uint8_t *)"CHUNKING", 8 }, SMTP_CAN_CHUNK },
	{ { (const uint8_t *)"STARTTLS", 8 }, SMTP_CAN_STARTTLS },
}, mechanisms[] = {
	{ { (const uint8_t *)"PLAIN", 5 }, SMTP_CAN_PLAIN },
	{ { (const uint8_t *)"LOGIN", 5 }, SMTP_CAN_LOGIN },
	{ { (const uint8_t *)"CRAM-MD5", 8 }, SMTP_CAN_CRAM_MD5 },
	{ { (const uint8_t *)"SCRAM-SHA-256", 13 }, SMTP_CAN_SCRAM_SHA_256 },
};

static void
take_mechanisms(struct smtp_offer *o, struct bytes rest)
{
	struct bytes word;

	while (bytes_split(&rest, ' ', &word))
		for (size_t i = 0; i < nitems(mechanisms); i++)
			if (bytes_equal_nocase(word, mechanisms[i].name))
				o->can |= mechanisms[i].can;
}

static void
take_limits(struct smtp_offer *o, struct bytes rest)
{
	static const struct bytes rcpt = { (const uint8_t *)"RCPTMAX=", 8 }, mail = { (const uint8_t *)"MAILMAX=", 8 };
	struct bytes word;
	uint64_t n;

	while (bytes_split(&rest, ' ', &word)) {
		if (bytes_starts_nocase(word, rcpt) && bytes_to_number(bytes_skip(word, rcpt.len), 999999, &n))
			o->rcpt_max = (uint32_t)n;
		if (bytes_starts_nocase(word, mail) && bytes_to_number(bytes_skip(word, mail.len), 999999, &n))
			o->mail_max = (uint32_t)n;
	}
}

void
smtp_offer_line(struct smtp_offer *o, struct bytes text)
{
	static const struct bytes auth_old = { (const uint8_t *)"AUTH=", 5 };
	struct bytes word = bytes_first(text, bytes_find(text, ' ')), rest = bytes_trim(bytes_skip(text, word.len));

	for (size_t i = 0; i < nitems(features); i++)
		if (bytes_equal_nocase(word, features[i].name))
			o->can |= features[i].can;
	if (bytes_equal_nocase(word, BYTES("SIZE"))) {
		o->can |= SMTP_CAN_SIZE;
		if (!bytes_to_number(rest, UINT64_MAX / 2, &o->size))
			o->size = 0;
	} else if (bytes_equal_nocase(word, BYTES("AUTH")))
		take_mechanisms(o, rest);
	else if (bytes_starts_nocase(word, auth_old))
		take_mechanisms(o, bytes_skip(text, auth_old.len));
	else if (bytes_equal_nocase(word, BYTES("LIMITS")))
		take_limits(o, rest);
}
