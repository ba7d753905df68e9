/* Replies of SMTP servers.
 * Trusts nothing: neither length nor form, nor that the lines of a reply have one code.
 * Never keeps more than the text for log and report, and that without control octets. */
#include "net/smtp_reply.h"

#include <string.h>

static bool
code_of(struct bytes line, uint16_t *code)
{
	unsigned n = 0;

	if (line.len < 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (!ascii_is_digit(line.at[i]))
			return false;
		n = n * 10 + line.at[i] - '0';
	}
	*code = (uint16_t)n;
	return n >= 200 && n <= 599;
}

/* "5.1.1" in front of the text, of the class of the code */
static void
enhanced_of(struct bytes text, uint16_t code, uint8_t enhanced[3])
{
	struct bytes rest = bytes_first(text, bytes_find(text, ' ')), part;
	uint8_t found[3];
	uint64_t n;

	for (size_t i = 0; i < 3; i++) {
		if (rest.at == NULL || !bytes_split(&rest, '.', &part) || !bytes_to_number(part, UINT8_MAX, &n))
			return;
		found[i] = (uint8_t)n;
	}
	if (rest.len == 0 && found[0] == code / 100)
		memcpy(enhanced, found, sizeof found);
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

enum result
smtp_reply_line(struct smtp_reply *r, struct bytes line, struct bytes *text)
{
	bool more = line.len > 3 && line.at[3] == '-';
	uint16_t code;

	if (!code_of(line, &code) || (line.len > 3 && !more && line.at[3] != ' ') || line.len > SMTP_REPLY_LINE_MAX ||
	    (r->n_lines > 0 && code != r->code) || ++r->n_lines > SMTP_REPLY_LINES_MAX)
		return MALFORMED;
	*text = bytes_skip(line, 4);
	if (r->n_lines == 1) {
		r->code = code;
		enhanced_of(*text, code, r->enhanced);
		keep(r, line);
	} else
		keep(r, *text);
	return more ? AGAIN : OK;
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
