/* From domaincerts, tlsdestinations and cafile to the files that a client's engines need.
 * Trusts root's control files, which were checked for their form.
 * Never opens a file, and leaves no passphrase behind in memory. */
#include "house/client_certificates.h"

#include "base/secret.h"
#include "control/control.h"
#include "control/decode.h"
#include "control/tls_policy.h"
#include "wire/wire.h"

#include <stdlib.h>

#define NAMES_MAX (1u << 20) /* octets */

static enum result
name_cas(struct buf *cas, const struct control_source *s)
{
	struct bytes table = buf_bytes(&s->items[ITEM_TLSDESTINATIONS].table);
	struct seen seen = { .slots = NULL };
	struct tls_policy p;

	while (tls_policy_next(&table, &p))
		if (p.ca.len > 0 && !seen_before(&seen, p.ca))
			wire_put(cas, p.ca);
	free(seen.slots);
	return buf_result(cas);
}

/* certificate|key|passphrase; a passphrase may have | in it */
static enum result
name_pairs(struct buf *pairs, const struct control_source *s)
{
	struct bytes lines = buf_bytes(&s->items[ITEM_DOMAINCERTS].value), line;

	while (control_next_line(&lines, &line))
		for (unsigned i = 0; i < 3; i++) {
			size_t n = i < 2 ? bytes_find(line, '|') : line.len;

			wire_put(pairs, bytes_first(line, n));
			line = bytes_skip(line, n + 1);
		}
	return buf_result(pairs);
}

enum result
client_certificates_name(
    struct client_certificates *c, const struct control_source *s, struct certificates_named *named, struct why *why)
{
	*c = (struct client_certificates){ buf_growing(NAMES_MAX), buf_growing(NAMES_MAX) };
	if (name_cas(&c->cas, s) != OK || name_pairs(&c->pairs, s) != OK)
		return why_set(why, EXHAUSTED, "too many files are named in tlsdestinations or domaincerts");
	named->system_ca = buf_bytes(&s->items[ITEM_CAFILE].value);
	named->cas = buf_bytes(&c->cas);
	named->pairs = buf_bytes(&c->pairs);
	return OK;
}

void
client_certificates_forget(struct client_certificates *c)
{
	if (c->pairs.at != NULL)
		secret_wipe(c->pairs.at, c->pairs.len);
	buf_free(&c->cas);
	buf_free(&c->pairs);
}
