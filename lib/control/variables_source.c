/* Variables in control directories: the item variables, and what is said of names in it and in rules.
 * Trusts nothing in the text.
 * Never refuses a name only because it is not Postern's: rules may be shared with programs under sslserver. */
#include "control/decode.h"

#include "control/rules.h"
#include "control/variables.h"

#include <string.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* Whether the file is the service's own, not one for all services. */
static bool
is_own(const struct decoder *d)
{
	struct bytes rest = bytes_skip(bytes_of_string(d->file), strlen(d->source->from.etc) + 1);

	return bytes_starts(rest, bytes_of_string(d->source->from.service)) &&
	    bytes_starts(bytes_skip(rest, strlen(d->source->from.service)), BYTES("/"));
}

/* Once for each name in a file. */
static bool
is_told(struct decoder *d, struct bytes name)
{
	uint8_t room[300];
	struct buf key = BUF_OVER(room);

	buf_add_octet(&key, (uint8_t)d->item);
	buf_add(&key, bytes_first(name, sizeof room - 1));
	return seen_before(&d->source->told, buf_bytes(&key));
}

static void
tell_name(struct decoder *d, struct bytes name)
{
	unsigned service = variable_service_of(d->source->from.service);
	enum variable which = variable_of_name(name);
	const char *whose = variable_of_others(name);

	if (service == 0 || is_told(d, name))
		return;
	if (which == N_VARIABLES && whose != NULL)
		decoder_warn(d, "%.*s is a variable of %s that Postern does not look at: it does nothing here",
		    SHOW(name), whose);
	else if (which == N_VARIABLES)
		decoder_warn(d, "%.*s is no variable of Postern's: it does nothing here", SHOW(name));
	else if (is_own(d) && !(variable_schema[which].services & service))
		decoder_warn(d, "%.*s does nothing in the service %s", SHOW(name), d->source->from.service);
}

void
decoder_tell_variables(struct decoder *d, struct bytes data)
{
	struct bytes name, value;

	while (rules_next_variable(&data, &name, &value))
		tell_name(d, name);
}

static void
put_variable(struct decoder *d, struct bytes line, struct bytes name)
{
	if (seen_before(d->seen, name)) {
		decoder_warn(d, "%.*s is there twice; what came first counts", SHOW(name));
		return;
	}
	tell_name(d, name);
	buf_add_octet(d->value, '+'); /* as in a rule's data */
	buf_add(d->value, line);
	buf_add_octet(d->value, '\0');
}

void
decode_variables(struct decoder *d, struct bytes line)
{
	size_t equals = bytes_find(line, '=');
	struct bytes name = bytes_first(line, equals);
	struct why why = WHY_NONE;

	if (equals == 0 || equals == line.len)
		decoder_expected(d, "NAME=value");
	else if (variable_check(name, bytes_skip(line, equals + 1), &why) != OK)
		decoder_expected_why(d, &why);
	else
		put_variable(d, line, name);
}
