/* The variables of connection rules: what they are, whether a value means something, and what one client's rules say.
 * Trusts variables.def, which the compiler reads; nothing in a name or value.
 * Never guesses what a wrong value was to mean. */
#include "control/variables.h"

#include "control/nearest.h"
#include "control/rules.h"

#include <string.h>

#define VARIABLE(name, kind, least, most, words, services, meaning) \
	[VAR_##name] = { #name, VARIABLE_##kind, least, most, words, services, meaning },
const struct variable_schema variable_schema[N_VARIABLES] = {
#include "../../control/variables.def"
};

_Static_assert(N_VARIABLES <= 64, "a set of variables is 64 bits");

static const struct {
	const char *name;
	enum variable variable;
} aliases[] = {
#define ALIAS(name, variable) { #name, VAR_##variable },
#include "../../control/variables.def"
};

static const struct {
	const char *name, *whose;
} others[] = {
#define OTHER(name, whose) { #name, whose },
#include "../../control/variables.def"
};

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* ---- names ---- */

enum variable
variable_of_name(struct bytes name)
{
	for (unsigned i = 0; i < N_VARIABLES; i++)
		if (name.len > 0 && name.at[0] == (uint8_t)variable_schema[i].name[0] &&
		    bytes_equal(name, bytes_of_string(variable_schema[i].name)))
			return (enum variable)i;
	for (size_t i = 0; i < nitems(aliases); i++)
		if (bytes_equal(name, bytes_of_string(aliases[i].name)))
			return aliases[i].variable;
	return N_VARIABLES;
}

const char *
variable_of_others(struct bytes name)
{
	for (size_t i = 0; i < nitems(others); i++)
		if (bytes_equal(name, bytes_of_string(others[i].name)))
			return others[i].whose;
	return NULL;
}

/* How many letters of a name may be wrong for it to be taken for a misspelled one: a program under sslserver may have a
 * short variable that is like one of ours by chance. */
static size_t
tolerance(struct bytes name)
{
	return name.len < 4 ? 0 : name.len < 8 ? 1 : 2;
}

/* The variable that a misspelled name was to be; N_VARIABLES if it is like none. */
static enum variable
nearest(struct bytes name)
{
	size_t least = tolerance(name) + 1;
	enum variable found = N_VARIABLES;

	for (unsigned i = 0; i < N_VARIABLES; i++) {
		size_t d = nearest_distance(name, bytes_of_string(variable_schema[i].name));

		if (d < least) {
			least = d;
			found = (enum variable)i;
		}
	}
	return found;
}

unsigned
variable_service_of(const char *service)
{
	static const struct {
		const char *service;
		unsigned bits;
	} services[] = {
		{ "smtpd", FOR_SMTP },
		{ "smtps", FOR_SMTP },
		{ "submission", FOR_SMTP },
		{ "inject", FOR_INJECT },
		{ "pop3", FOR_POP3 },
		{ "pop3s", FOR_POP3 },
	};

	for (size_t i = 0; i < nitems(services); i++)
		if (strcmp(service, services[i].service) == 0)
			return services[i].bits;
	return 0;
}

/* ---- values ---- */

static bool
is_word(struct bytes value, const char *words)
{
	struct bytes rest = bytes_of_string(words), word;

	if (value.len == 0)
		return true;
	while (rest.len > 0 && bytes_split(&rest, ' ', &word))
		if (bytes_equal(value, word))
			return true;
	return false;
}

/* Whoever writes one of these means "off", where the variable counts by being there. */
static bool
means_no(struct bytes value)
{
	static const char *const words[] = { "0", "-", "no", "off", "false" };

	for (size_t i = 0; i < nitems(words); i++)
		if (bytes_equal_nocase(value, bytes_of_string(words[i])))
			return true;
	return false;
}

static bool
has_only(struct bytes value, const char *letters)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] == '\0' || strchr(letters, value.at[i]) == NULL)
			return false;
	return true;
}

static bool
is_domain(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_alnum(value.at[i]) && value.at[i] < 0x80 && strchr("-_.", value.at[i]) == NULL)
			return false;
	return bytes_find(value, '.') < value.len && value.at[0] != '.' && value.at[value.len - 1] != '.';
}

static bool
is_file(struct bytes value)
{
	return value.len == 0 || value.at[0] == '/' || bytes_equal(value, BYTES("-"));
}

static bool
are_files(struct bytes value)
{
	struct bytes name;

	while (value.at != NULL && bytes_split(&value, ':', &name))
		if (name.len > 0 && name.at[0] != '/')
			return false;
	return true;
}

static enum result
expected(const struct variable_schema *s, struct bytes value, const char *what, struct why *why)
{
	return why_set(why, MALFORMED, "expected %s as %s, not \"%.*s\"", what, s->name, SHOW(bytes_first(value, 60)));
}

static enum result
check_flag(const struct variable_schema *s, struct bytes value, struct why *why)
{
	if (!means_no(value) || is_word(value, s->words))
		return OK;
	return why_set(
	    why, MALFORMED, "expected no %s at all where it is not wanted: it counts whatever its value is", s->name);
}

static enum result
check_number(const struct variable_schema *s, struct bytes value, struct why *why)
{
	uint64_t n;

	if (value.len == 0 || (bytes_to_number(value, s->most, &n) && n >= s->least))
		return OK;
	return why_set(why, MALFORMED, "expected a number from %llu to %llu as %s, not \"%.*s\"",
	    (unsigned long long)s->least, (unsigned long long)s->most, s->name, SHOW(bytes_first(value, 60)));
}

static enum result
check_word(const struct variable_schema *s, struct bytes value, const char *or_else, struct why *why)
{
	if (is_word(value, s->words))
		return OK;
	return why_set(why, MALFORMED, "expected nothing%s or one of %s as %s, not \"%.*s\"", or_else, s->words,
	    s->name, SHOW(bytes_first(value, 60)));
}

static enum result
check_letters(const struct variable_schema *s, struct bytes value, struct why *why)
{
	if (has_only(value, s->words))
		return OK;
	return why_set(why, MALFORMED, "expected letters out of %s as %s, not \"%.*s\"", s->words, s->name,
	    SHOW(bytes_first(value, 60)));
}

static enum result
check_kind(const struct variable_schema *s, struct bytes value, struct why *why)
{
	switch (s->kind) {
	case VARIABLE_FLAG:
		return check_flag(s, value, why);
	case VARIABLE_NUMBER:
		return check_number(s, value, why);
	case VARIABLE_SUFFIX:
		return value.len == 0 || !ascii_is_alnum(value.at[0])
		    ? OK
		    : expected(s, value, "nothing, or @ and a domain,", why);
	case VARIABLE_WORD:
		return check_word(s, value, "", why);
	case VARIABLE_WORD_OR_DOMAIN:
		return is_domain(value) ? OK : check_word(s, value, ", a domain", why);
	case VARIABLE_LETTERS:
		return check_letters(s, value, why);
	case VARIABLE_FILE:
		return is_file(value) ? OK : expected(s, value, "an absolute path", why);
	case VARIABLE_FILES:
		return are_files(value) ? OK : expected(s, value, "absolute paths", why);
	case VARIABLE_TEXT:
		break;
	}
	return OK;
}

enum result
variable_check(struct bytes name, struct bytes value, struct why *why)
{
	enum variable which = variable_of_name(name);
	const struct variable_schema *s = &variable_schema[which];
	enum result r;

	if (which == N_VARIABLES && (variable_of_others(name) != NULL || nearest(name) == N_VARIABLES))
		return OK;
	if (which == N_VARIABLES)
		return why_set(why, MALFORMED, "expected a variable: %.*s is none; did you mean %s?", SHOW(name),
		    variable_schema[nearest(name)].name);
	r = check_kind(s, value, why);
	if (r == OK && s->kind != VARIABLE_NUMBER && value.len > s->most)
		r = why_set(why, MALFORMED, "expected at most %llu octets as %s", (unsigned long long)s->most, s->name);
	return r;
}

enum result
variables_check(struct bytes data, struct why *why)
{
	struct bytes name, value;
	enum result r = OK;

	while (r == OK && rules_next_variable(&data, &name, &value))
		r = variable_check(name, value, why);
	return r;
}

/* ---- decoded ---- */

static void
decode_one(struct variables *v, enum variable which, struct bytes value, bool is_rule)
{
	const struct variable_schema *s = &variable_schema[which];
	uint64_t n = 0;

	if ((v->set | v->in_rule) >> which & 1)
		return; /* what came first counts */
	if (is_rule)
		v->in_rule |= UINT64_C(1) << which;
	if (s->kind == VARIABLE_NUMBER && !(bytes_to_number(value, s->most, &n) && n >= s->least))
		return; /* empty: the rule wants what holds without it */
	if (s->kind == VARIABLE_NUMBER)
		v->value[which].number = n;
	else
		v->value[which].text = value.at == NULL ? BYTES("") : value;
	v->set |= UINT64_C(1) << which;
}

void
variables_decode(struct variables *v, struct bytes data, bool is_rule)
{
	struct bytes name, value;
	enum variable which;

	while (rules_next_variable(&data, &name, &value))
		if ((which = variable_of_name(name)) != N_VARIABLES)
			decode_one(v, which, value, is_rule);
}

struct bytes
variable_beside(const struct variables *v, enum variable which, enum variable beside)
{
	return variable_is_in_rule(v, which) == variable_is_in_rule(v, beside) ? variable_text(v, which) : BYTES_NONE;
}
