/* POP3 command lines.
 * Trusts nothing about a line but that it is one.
 * Never allocates, never converts: what it finds are views. */
#include "net/pop3_command.h"

static const struct {
	const char *name;
	enum pop3_verb verb;
} verbs[] = {
	{ "USER", POP3_USER },
	{ "PASS", POP3_PASS },
	{ "APOP", POP3_APOP },
	{ "AUTH", POP3_AUTH },
	{ "CAPA", POP3_CAPA },
	{ "STLS", POP3_STLS },
	{ "UTF8", POP3_UTF8 },
	{ "STAT", POP3_STAT },
	{ "LIST", POP3_LIST },
	{ "RETR", POP3_RETR },
	{ "DELE", POP3_DELE },
	{ "NOOP", POP3_NOOP },
	{ "RSET", POP3_RSET },
	{ "LAST", POP3_LAST },
	{ "TOP", POP3_TOP },
	{ "UIDL", POP3_UIDL },
	{ "QUIT", POP3_QUIT },
	{ "GET", POP3_OTHER_PROTOCOL },
	{ "HEAD", POP3_OTHER_PROTOCOL },
	{ "POST", POP3_OTHER_PROTOCOL },
	{ "PUT", POP3_OTHER_PROTOCOL },
	{ "OPTIONS", POP3_OTHER_PROTOCOL },
	{ "CONNECT", POP3_OTHER_PROTOCOL },
	{ "Host:", POP3_OTHER_PROTOCOL },
	{ "EHLO", POP3_OTHER_PROTOCOL },
	{ "HELO", POP3_OTHER_PROTOCOL },
};

struct pop3_command
pop3_command_parse(struct bytes line)
{
	size_t blank = bytes_find(line, ' ');
	struct bytes word = bytes_first(line, blank);

	for (size_t i = 0; i < nitems(verbs); i++)
		if (bytes_equal_nocase(bytes_of_string(verbs[i].name), word))
			return (struct pop3_command){ verbs[i].verb, bytes_skip(line, blank + 1) };
	return (struct pop3_command){ POP3_UNKNOWN, bytes_skip(line, blank + 1) };
}

bool
pop3_take_word(struct bytes *argument, struct bytes *word)
{
	struct bytes rest = bytes_trim(*argument);
	size_t blank = bytes_find(rest, ' ');

	if (rest.len == 0)
		return false;
	*word = bytes_first(rest, blank);
	*argument = bytes_skip(rest, blank);
	return true;
}

bool
pop3_take_number(struct bytes *argument, uint32_t *n)
{
	struct bytes rest = *argument, word;
	uint64_t number;

	if (!pop3_take_word(&rest, &word) || !bytes_to_number(word, UINT32_MAX, &number))
		return false;
	*n = (uint32_t)number;
	*argument = rest;
	return true;
}

bool
pop3_is_spent(struct bytes argument)
{
	return bytes_trim(argument).len == 0;
}
