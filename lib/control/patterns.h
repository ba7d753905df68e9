/* Wildcards and the lists that use them: badhelo, badmailfrom, badrcptto. */
#pragma once

#include "control/control.h"

/* Whether the whole text fits the pattern: * any octets, ? one, [a-z] one of, [^a-z] one not of, \x x itself. Takes time
 * proportional to the product of both lengths at most. */
bool wildmat(struct bytes text, struct bytes pattern);

/* Whether a line is to be taken as a wildcard rather than a name to look up. `marked`: a leading ? is a mark (badmailfrom). */
bool pattern_is_wild(struct bytes line, bool marked);

/* What a list says. A letter for the log, as s/qmail has it, tells which form decided. */
enum verdict_says { VERDICT_NONE, VERDICT_BAD, VERDICT_EXEMPT };
struct verdict {
	enum verdict_says says;
	char form; /* for a sender: '@' domain, '~' '=' '-' '+' the forms, '*' wildcard, ' ' the address itself */
};

struct peer_name {
	struct bytes host; /* reverse name of the peer; nothing if not known */
	bool relays;       /* may relay */
};

/* Each reads one item. A table that can't be read says nothing about the address: BROKEN. */
enum result pattern_check_helo(const struct control *c, struct bytes name, struct verdict *v);
enum result pattern_check_sender(
    const struct control *c, struct bytes address, const struct peer_name *peer, struct verdict *v);
enum result pattern_check_recipient(const struct control *c, struct bytes address, struct verdict *v);
