/* Inside control sources: from a file's text to the sealed form. */
#pragma once

#include "control/control.h"
#include "control/source.h"

struct decoder {
	struct control_source *source;
	enum control_item item;
	const struct control_schema *schema;
	char file[512];    /* as complaints name it */
	struct bytes rest; /* text not yet read; at null when spent */
	unsigned line;
	bool quiet; /* errors are somebody else's to tell */
	bool failed;
	struct buf *value, *table;
	struct seen *seen;
};

/* Whether the set has the key already; puts it in. Keys are told apart by 64 bits of hash. */
bool seen_before(struct seen *set, struct bytes key);

/* Says what was expected in the current line; the item is refused. */
void decoder_expected(struct decoder *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void decoder_expected_why(struct decoder *d, const struct why *why); /* a text that may begin with "expected " */
void decoder_warn(struct decoder *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a file of the item, from the service's directory or its parent, and makes it the one that complaints name. ABSENT if it
 * is in neither. */
enum result decoder_open(struct decoder *d, const char *file, size_t max, struct buf *text, struct why *why);

/* The next line that counts. False at the end. */
bool decoder_line(struct decoder *d, struct bytes *line);

/* Adds a record to a table; a key is at most CONTROL_KEY_MAX octets. */
void decoder_put(struct decoder *d, struct bytes key, struct bytes data);
void decoder_put_lower(struct decoder *d, struct bytes key, struct bytes data);
void decoder_put_once(struct decoder *d, struct bytes key);  /* no data, and no warning if it is there already */
void decoder_put_line(struct decoder *d, struct bytes line); /* to the value, as a list */

/* A name: labels of letters, digits, - _ and octets above 127. */
bool decoder_is_domain(struct bytes text);

/* A key whose last part is a domain, with that in the form that is looked up: U-labels as A-labels (RFC 5890). */
struct bytes decoder_ascii_key(struct decoder *d, struct bytes key, struct bytes domain, uint8_t room[CONTROL_KEY_MAX]);

/* Octets of the address: 4 or 16; 0 if it is none. */
size_t decoder_parse_address(struct bytes text, uint8_t address[16]);

void decode_text(struct decoder *d);                         /* by the kind of the item */
void decode_assign(struct decoder *d);                       /* users/assign */
void decode_compiled(struct decoder *d, struct bytes image); /* a cdb */

/* decode_routes.c, decode_tls.c: one line each */
void decode_route(struct decoder *d, struct bytes line);
void decode_sender_route(struct decoder *d, struct bytes line);
void decode_domain_ip(struct decoder *d, struct bytes line);
void decode_mechanisms(struct decoder *d, struct bytes line);
void decode_domain_certificate(struct decoder *d, struct bytes line);
void decode_tls_destination(struct decoder *d, struct bytes line);
void decode_dane(struct decoder *d, struct bytes line);

/* variables_source.c */
void decode_variables(struct decoder *d, struct bytes line);
void decoder_tell_variables(struct decoder *d, struct bytes data); /* warns of names that do nothing here */

/* decode_resolve.c */
void decode_forwarder(struct decoder *d, struct bytes line);
void decode_anchor(struct decoder *d, struct bytes line);

/* users_source.c: the records of users. */
