/* The variables that connection rules set, as data and decoded: made from control/variables.def. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

enum variable_kind {
	VARIABLE_FLAG,           /* set or not: any value but those that look like "no" */
	VARIABLE_NUMBER,         /* decimal; the empty value counts as none */
	VARIABLE_TEXT,           /* anything */
	VARIABLE_SUFFIX,         /* empty, or what can be put behind a domain */
	VARIABLE_WORD,           /* empty, or one of the words */
	VARIABLE_WORD_OR_DOMAIN, /* the same, or a domain */
	VARIABLE_LETTERS,        /* any of the letters, each once or more */
	VARIABLE_FILE,           /* empty, - or an absolute path */
	VARIABLE_FILES,          /* such paths with colons between, some perhaps empty */
};

/* Who looks at a variable. */
enum variable_service {
	FOR_SMTP = 1 << 0, /* smtpd, smtps, submission */
	FOR_INJECT = 1 << 1,
	FOR_POP3 = 1 << 2, /* pop3, pop3s */
	FOR_SSLSERVER = 1 << 3,
	FOR_TCPSERVER = 1 << 4,
};

#define VARIABLE(name, kind, least, most, words, services, meaning) VAR_##name,
enum variable {
#include "../../control/variables.def"
	N_VARIABLES
};

struct variable_schema {
	const char *name;
	enum variable_kind kind;
	uint64_t least, most; /* of a number's value, or of octets */
	const char *words;
	unsigned services; /* enum variable_service, or-ed */
	const char *meaning;
};

extern const struct variable_schema variable_schema[N_VARIABLES];

/* The variable of that name, or whose older name it is; N_VARIABLES if there is none. */
enum variable variable_of_name(struct bytes name);

/* Whose variable it is, if other programs than Postern are known to look at it ("s/qmail"); else null. */
const char *variable_of_others(struct bytes name);

/* Whether a rule may say NAME=value. OK: it may; names that are nobody's are for the programs under sslserver or
 * tcpserver. MALFORMED: what was expected, for a value that means nothing, or for a name that is nearly one of ours. */
enum result variable_check(struct bytes name, struct bytes value, struct why *why);

/* The same for all variables of a rule's data (control/rules.h); for the first that is wrong. */
enum result variables_check(struct bytes data, struct why *why);

/* Which services look at a variable in that service's directory ("smtpd"); 0 for those that have no rules. */
unsigned variable_service_of(const char *service);

/* What rules say of one client, decoded. Views into the rules' data; zeroed, it says nothing. */
struct variables {
	uint64_t set;     /* 1 << enum variable, or-ed */
	uint64_t in_rule; /* the same: of those, what the client's own rule says */
	union {
		uint64_t number;   /* of a NUMBER */
		struct bytes text; /* of all others; at is never null where it is set */
	} value[N_VARIABLES];
};

/* Adds what a rule's data says of variables that are not set yet. is_rule: the data is the client's own rule's. */
void variables_decode(struct variables *v, struct bytes data, bool is_rule);

static inline bool
variable_is_set(const struct variables *v, enum variable which)
{
	return (v->set >> which & 1) != 0;
}

static inline bool
variable_is_in_rule(const struct variables *v, enum variable which)
{
	return (v->in_rule >> which & 1) != 0;
}

/* The value of any but a NUMBER; at is null if it is not set. */
static inline struct bytes
variable_text(const struct variables *v, enum variable which)
{
	return v->value[which].text;
}

static inline bool
variable_is(const struct variables *v, enum variable which, const char *value)
{
	return variable_is_set(v, which) && bytes_equal(v->value[which].text, bytes_of_string(value));
}

/* The same, but only if it was said in the same place as `beside`: a key is named together with its certificate. */
struct bytes variable_beside(const struct variables *v, enum variable which, enum variable beside);

/* The value of a NUMBER; `otherwise` if it is not set. */
static inline uint64_t
variable_number(const struct variables *v, enum variable which, uint64_t otherwise)
{
	return variable_is_set(v, which) ? v->value[which].number : otherwise;
}
