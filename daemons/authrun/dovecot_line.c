/* Lines of Dovecot's auth client protocol.
 * Trusts nothing in them: Dovecot's answers carry what clients said.
 * Never keeps more of a line than what is asked about; what is unknown is skipped, as the protocol wants. */
#include "authrun/dovecot_line.h"

#include <string.h>

static bool
take_number(struct bytes *rest, uint32_t *number)
{
	struct bytes field;
	uint64_t n;

	if (!bytes_split(rest, '\t', &field) || !bytes_to_number(field, UINT32_MAX, &n))
		return false;
	*number = (uint32_t)n;
	return true;
}

static void
take_parameter(struct bytes field, struct dovecot_line *l)
{
	if (bytes_starts(field, BYTES("user=")))
		l->user = bytes_skip(field, 5);
	else if (bytes_starts(field, BYTES("reason=")))
		l->reason = bytes_skip(field, 7);
	else if (bytes_equal(field, BYTES("nologin")) || bytes_starts(field, BYTES("nologin=")))
		l->shut = true;
	else if (bytes_equal(field, BYTES("temp")) || bytes_equal(field, BYTES("code=temp_fail")))
		l->temporary = true;
}

enum result
dovecot_cut(struct bytes line, struct dovecot_line *l)
{
	static const struct {
		struct bytes word;
		enum dovecot_kind kind;
	} kinds[] = {
		{ BYTES("VERSION"), DOVECOT_VERSION },
		{ BYTES("MECH"), DOVECOT_MECH },
		{ BYTES("DONE"), DOVECOT_DONE },
		{ BYTES("OK"), DOVECOT_OK },
		{ BYTES("FAIL"), DOVECOT_FAIL },
		{ BYTES("CONT"), DOVECOT_CONT },
	};
	struct bytes rest = line, field;

	*l = (struct dovecot_line){ .kind = DOVECOT_OTHER };
	if (line.len == 0 || bytes_find(line, '\0') < line.len || !bytes_split(&rest, '\t', &field))
		return MALFORMED;
	for (size_t i = 0; i < nitems(kinds); i++)
		if (bytes_equal(field, kinds[i].word))
			l->kind = kinds[i].kind;
	if (l->kind == DOVECOT_MECH)
		return bytes_split(&rest, '\t', &l->name) ? OK : MALFORMED;
	if (l->kind == DOVECOT_DONE || l->kind == DOVECOT_OTHER)
		return OK;
	if (!take_number(&rest, &l->number))
		return MALFORMED;
	while (bytes_split(&rest, '\t', &field))
		take_parameter(field, l);
	return OK;
}
