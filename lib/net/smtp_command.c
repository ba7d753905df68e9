/* SMTP command lines.
 * Trusts nothing about a line but that it is one.
 * Never allocates, never converts: what it finds are views, what it refuses has a reply. */
#include "net/smtp_command.h"

#include "base/utf8.h"

#include <string.h>

#define ENVID_MAX 100 /* RFC 3461 4.4 */
#define ORCPT_MAX 500 /* RFC 3461 4.2 */

static const struct {
	const char *name;
	enum smtp_verb verb;
} verbs[] = {
	{ "EHLO", SMTP_EHLO },
	{ "HELO", SMTP_HELO },
	{ "MAIL", SMTP_MAIL },
	{ "RCPT", SMTP_RCPT },
	{ "DATA", SMTP_DATA },
	{ "BDAT", SMTP_BDAT },
	{ "RSET", SMTP_RSET },
	{ "NOOP", SMTP_NOOP },
	{ "VRFY", SMTP_VRFY },
	{ "EXPN", SMTP_EXPN },
	{ "HELP", SMTP_HELP },
	{ "QUIT", SMTP_QUIT },
	{ "STARTTLS", SMTP_STARTTLS },
	{ "AUTH", SMTP_AUTH },
	{ "GET", SMTP_OTHER_PROTOCOL },
	{ "HEAD", SMTP_OTHER_PROTOCOL },
	{ "POST", SMTP_OTHER_PROTOCOL },
	{ "PUT", SMTP_OTHER_PROTOCOL },
	{ "DELETE", SMTP_OTHER_PROTOCOL },
	{ "OPTIONS", SMTP_OTHER_PROTOCOL },
	{ "CONNECT", SMTP_OTHER_PROTOCOL },
	{ "PRI", SMTP_OTHER_PROTOCOL },
	{ "Host:", SMTP_OTHER_PROTOCOL },
	{ "User-Agent:", SMTP_OTHER_PROTOCOL },
	{ "Content-Length:", SMTP_OTHER_PROTOCOL },
};

/* a field's name, with the colon, may have its text right behind it */
static bool
names(struct bytes name, struct bytes word)
{
	return name.at[name.len - 1] == ':' ? bytes_starts_nocase(word, name) : bytes_equal_nocase(word, name);
}

struct smtp_command
smtp_command_parse(struct bytes line)
{
	size_t blank = bytes_find(line, ' ');
	struct bytes word = bytes_first(line, blank);

	for (size_t i = 0; i < nitems(verbs); i++)
		if (names(bytes_of_string(verbs[i].name), word))
			return (struct smtp_command){ verbs[i].verb, bytes_trim(bytes_skip(line, blank)) };
	return (struct smtp_command){ SMTP_UNKNOWN, bytes_trim(bytes_skip(line, blank)) };
}

static bool
wrong(struct smtp_fault *fault, uint16_t code, uint8_t subject, uint8_t detail, const char *text)
{
	*fault = (struct smtp_fault){ code, { (uint8_t)(code / 100), subject, detail }, text };
	return false;
}

/* "FROM:<path> parameters": brackets inside a quoted string do not count. A device may leave them out. */
static bool
take_path(struct bytes *argument, struct bytes keyword, bool lenient, struct bytes *path, struct smtp_fault *fault)
{
	struct bytes text;
	bool quoted = false;

	if (!bytes_starts_nocase(*argument, keyword))
		return wrong(fault, 501, 5, 4, "expected a path after the colon");
	text = bytes_trim(bytes_skip(*argument, keyword.len)); /* a blank after the colon is common, and harmless */
	if (lenient && text.len > 0 && text.at[0] != '<') {
		*path = bytes_first(text, bytes_find(text, ' '));
		*argument = bytes_skip(text, path->len);
		return true;
	}
	if (text.len == 0 || text.at[0] != '<')
		return wrong(fault, 501, 5, 4, "expected < before the address");
	for (size_t i = 1; i < text.len; i++) {
		if (quoted && text.at[i] == '\\')
			i++;
		else if (text.at[i] == '"')
			quoted = !quoted;
		else if (!quoted && text.at[i] == '>') {
			*path = bytes_first(bytes_skip(text, 1), i - 1);
			*argument = bytes_skip(text, i + 1);
			if (argument->len > 0 && argument->at[0] != ' ')
				return wrong(fault, 501, 5, 4, "expected a blank after the address");
			return true;
		}
	}
	return wrong(fault, 501, 5, 4, "expected > after the address");
}

struct parameter {
	struct bytes name, value;
	bool has_value;
};

static bool
next_parameter(struct bytes *rest, struct parameter *p)
{
	struct bytes word;
	size_t equals;

	*rest = bytes_trim(*rest);
	if (rest->len == 0)
		return false;
	word = bytes_first(*rest, bytes_find(*rest, ' '));
	*rest = bytes_skip(*rest, word.len);
	equals = bytes_find(word, '=');
	p->name = bytes_first(word, equals);
	p->has_value = equals < word.len;
	p->value = bytes_skip(word, equals + 1);
	return true;
}

/* RFC 3461 4: printable ASCII without + and =, or +XX */
static bool
is_xtext(struct bytes text, size_t max)
{
	static const char hex[] = "0123456789ABCDEF";

	if (text.len == 0 || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.at[i];

		if (c < 33 || c > 126 || c == '=')
			return false;
		if (c != '+')
			continue;
		if (text.len - i < 3 || memchr(hex, text.at[i + 1], 16) == NULL ||
		    memchr(hex, text.at[i + 2], 16) == NULL)
			return false;
		/* what is escaped is ASCII too (RFC 3461 4.2, 4.4), and a line end or zero would come out in a report */
		if (text.at[i + 1] < '2' || text.at[i + 1] > '7' || (text.at[i + 1] == '7' && text.at[i + 2] == 'F'))
			return false;
		i += 2;
	}
	return true;
}

#define SIZE_DIGITS_MAX 20 /* RFC 1870 3 */

static bool
take_size(struct bytes value, uint64_t *octets, struct smtp_fault *fault)
{
	if (value.len == 0 || value.len > SIZE_DIGITS_MAX)
		return wrong(fault, 501, 5, 4, "SIZE= expects a number of at most 20 digits");
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.at[i]))
			return wrong(fault, 501, 5, 4, "SIZE= expects a number");
	if (!bytes_to_number(value, UINT64_MAX, octets))
		*octets = UINT64_MAX; /* more than anybody takes */
	return true;
}

static bool
take_body(struct bytes value, unsigned *flags, struct smtp_fault *fault)
{
	if (bytes_equal_nocase(value, BYTES("8BITMIME")))
		*flags |= SMTP_8BITMIME;
	else if (!bytes_equal_nocase(value, BYTES("7BIT")))
		return wrong(fault, 501, 5, 4, "BODY= expects 7BIT or 8BITMIME");
	*flags |= SMTP_BODY_GIVEN;
	return true;
}

static bool
take_ret(struct bytes value, unsigned *flags, struct smtp_fault *fault)
{
	if (bytes_equal_nocase(value, BYTES("FULL")))
		*flags |= SMTP_RET_FULL;
	else if (bytes_equal_nocase(value, BYTES("HDRS")))
		*flags |= SMTP_RET_HDRS;
	else
		return wrong(fault, 501, 5, 4, "RET= expects FULL or HDRS");
	return true;
}

enum mail_parameter { P_SIZE, P_BODY, P_SMTPUTF8, P_RET, P_ENVID, P_AUTH, P_XVERP, N_MAIL_PARAMETERS };
static const char *const mail_parameters[] = { "SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "XVERP" };

static bool
take_mail_parameter(enum mail_parameter which, const struct parameter *p, struct smtp_mail *m, struct smtp_fault *fault)
{
	bool is_word = which == P_SMTPUTF8 || which == P_XVERP;

	if (p->has_value == is_word)
		return wrong(fault, 501, 5, 4,
		    which == P_SMTPUTF8 ? "SMTPUTF8 has no value"
			: is_word       ? "XVERP has no value"
					: "expected = and a value");
	switch (which) {
	case P_SIZE:
		return take_size(p->value, &m->octets, fault);
	case P_BODY:
		return take_body(p->value, &m->flags, fault);
	case P_SMTPUTF8:
		m->flags |= SMTP_SMTPUTF8;
		return true;
	case P_RET:
		return take_ret(p->value, &m->flags, fault);
	case P_ENVID:
		m->envid = p->value;
		return is_xtext(p->value, ENVID_MAX) ||
		    wrong(fault, 501, 5, 4, "ENVID= expects xtext of at most 100 octets");
	case P_AUTH: /* RFC 4954 5: nobody here trusts it; only its form is looked at */
		return is_xtext(p->value, ORCPT_MAX) || wrong(fault, 501, 5, 4, "AUTH= expects xtext");
	case P_XVERP:
		m->flags |= SMTP_XVERP;
		return true;
	case N_MAIL_PARAMETERS:
		break;
	}
	return false;
}

bool
smtp_mail_parse(struct bytes argument, enum smtp_dialect dialect, struct smtp_mail *m, struct smtp_fault *fault)
{
	struct parameter p;
	unsigned seen = 0;

	*m = (struct smtp_mail){ .envid = BYTES_NONE };
	if (!take_path(&argument, BYTES("FROM:"), dialect == SMTP_LENIENT, &m->path, fault))
		return false;
	while (next_parameter(&argument, &p)) {
		unsigned which = 0;

		while (
		    which < N_MAIL_PARAMETERS && !bytes_equal_nocase(p.name, bytes_of_string(mail_parameters[which])))
			which++;
		if (dialect == SMTP_PLAIN || which == N_MAIL_PARAMETERS)
			return wrong(fault, 555, 5, 4, "that parameter is not offered");
		if (seen & 1u << which)
			return wrong(fault, 501, 5, 4, "a parameter is given twice");
		seen |= 1u << which;
		if (!take_mail_parameter((enum mail_parameter)which, &p, m, fault))
			return false;
	}
	return true;
}

static bool
take_notify(struct bytes value, unsigned *notify, struct smtp_fault *fault)
{
	struct bytes word;

	while (bytes_split(&value, ',', &word)) {
		unsigned bit = notify_of_word(word);

		if (bit == 0 || (*notify & bit))
			return wrong(fault, 501, 5, 4, "NOTIFY= expects NEVER, or some of SUCCESS,FAILURE,DELAY");
		*notify |= bit;
	}
	if (!notify_is_valid(*notify))
		return wrong(fault, 501, 5, 4, "NOTIFY=NEVER stands alone");
	return true;
}

static bool
take_orcpt(struct bytes value, struct bytes *orcpt, struct smtp_fault *fault)
{
	size_t semicolon = bytes_find(value, ';');
	struct bytes type = bytes_first(value, semicolon);
	bool utf8 = bytes_equal_nocase(type, BYTES("utf-8"));
	struct bytes text = bytes_skip(value, semicolon + 1);

	if (semicolon == 0 || semicolon == value.len || value.len > ORCPT_MAX)
		return wrong(fault, 501, 5, 4, "ORCPT= expects type;address");
	for (size_t i = 0; i < type.len; i++)
		if (!ascii_is_alnum(type.at[i]) && type.at[i] != '-')
			return wrong(fault, 501, 5, 4, "ORCPT= expects type;address");
	/* RFC 6533 3: utf-8-addr-xtext has \x{HEX}, utf-8-addr-unitext has UTF-8 */
	if (!utf8 && !is_xtext(text, ORCPT_MAX))
		return wrong(fault, 501, 5, 4, "ORCPT= expects xtext after the type");
	if (utf8 && (!utf8_is_valid(text) || text.len == 0))
		return wrong(fault, 501, 5, 4, "ORCPT= expects UTF-8 after the type");
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] == 0x7f)
			return wrong(fault, 501, 5, 4, "ORCPT= expects no blanks");
	*orcpt = value;
	return true;
}

bool
smtp_rcpt_parse(struct bytes argument, enum smtp_dialect dialect, struct smtp_rcpt *r, struct smtp_fault *fault)
{
	struct parameter p;

	*r = (struct smtp_rcpt){ .orcpt = BYTES_NONE };
	if (!take_path(&argument, BYTES("TO:"), dialect == SMTP_LENIENT, &r->path, fault))
		return false;
	if (r->path.len == 0)
		return wrong(fault, 501, 1, 3, "the null path is no recipient");
	while (next_parameter(&argument, &p)) {
		bool notify = bytes_equal_nocase(p.name, BYTES("NOTIFY")),
		     orcpt = bytes_equal_nocase(p.name, BYTES("ORCPT"));

		if (dialect == SMTP_PLAIN || (!notify && !orcpt))
			return wrong(fault, 555, 5, 4, "that parameter is not offered");
		if (!p.has_value || p.value.len == 0)
			return wrong(fault, 501, 5, 4, "expected = and a value");
		if ((notify && r->notify != 0) || (orcpt && r->orcpt.len > 0))
			return wrong(fault, 501, 5, 4, "a parameter is given twice");
		if (notify ? !take_notify(p.value, &r->notify, fault) : !take_orcpt(p.value, &r->orcpt, fault))
			return false;
	}
	return true;
}

bool
smtp_bdat_parse(struct bytes argument, struct smtp_bdat *b, struct smtp_fault *fault)
{
	size_t blank = bytes_find(argument, ' ');
	struct bytes last = bytes_trim(bytes_skip(argument, blank));

	b->last = bytes_equal_nocase(last, BYTES("LAST"));
	/* a size that we cannot even count leaves no way to find the next command: the caller ends the session */
	if (!bytes_to_number(bytes_first(argument, blank), INT64_MAX, &b->octets) || (last.len > 0 && !b->last))
		return wrong(fault, 501, 5, 4, "BDAT expects a number, and LAST or nothing");
	return true;
}

int
smtp_helo_take(struct bytes name, uint8_t room[SMTP_HELO_MAX])
{
	if (name.len > SMTP_HELO_MAX)
		return -1;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.at[i];

		room[i] = c <= ' ' || c >= 0x7f || strchr("()<>\"\\,;", c) != NULL ? '?' : c;
	}
	return (int)name.len;
}
