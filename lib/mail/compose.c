/* Completing of headers.
 * Trusts its caller for host names; the text is whatever somebody piped in.
 * Never lets a Bcc out, never makes two of a field that may be there once. */
#include "mail/compose.h"

#include "mail/address.h"
#include "mail/author.h"
#include "mail/date.h"

#include <string.h>

#define COMPOSED_MAX (2 * COMPOSE_HEADER_MAX) /* domains and fields that are put in need room, too */

enum seen {
	SEEN_DATE = 1 << 0,
	SEEN_FROM = 1 << 1,
	SEEN_ID = 1 << 2,
	SEEN_TO = 1 << 3,
	SEEN_RESENT = 1 << 4,
	SEEN_RESENT_DATE = 1 << 5,
	SEEN_RESENT_ID = 1 << 6,
	SEEN_RESENT_FROM = 1 << 7,
	SEEN_FOLLOWUP = 1 << 8,
};

enum kind { PLAIN, DROP, ADDRESSES, SENDER };

static const struct {
	const char *name;
	enum kind kind;
	bool to; /* names recipients */
	unsigned seen;
} fields[] = {
	{ "Bcc", DROP, true, SEEN_TO },
	{ "Resent-Bcc", DROP, true, SEEN_RESENT },
	{ "Return-Path", SENDER, false, 0 },
	{ "Content-Length", DROP, false, 0 },
	{ "To", ADDRESSES, true, SEEN_TO },
	{ "Cc", ADDRESSES, true, SEEN_TO },
	{ "Apparently-To", ADDRESSES, true, SEEN_TO },
	{ "Resent-To", ADDRESSES, true, SEEN_RESENT },
	{ "Resent-Cc", ADDRESSES, true, SEEN_RESENT },
	{ "From", ADDRESSES, false, SEEN_FROM },
	{ "Sender", ADDRESSES, false, 0 },
	{ "Reply-To", ADDRESSES, false, 0 },
	{ "Mail-Reply-To", ADDRESSES, false, 0 },
	{ "Mail-Followup-To", ADDRESSES, false, SEEN_FOLLOWUP },
	{ "Resent-From", ADDRESSES, false, SEEN_RESENT | SEEN_RESENT_FROM },
	{ "Resent-Sender", ADDRESSES, false, SEEN_RESENT },
	{ "Date", PLAIN, false, SEEN_DATE },
	{ "Message-ID", PLAIN, false, SEEN_ID },
	{ "Resent-Date", PLAIN, false, SEEN_RESENT | SEEN_RESENT_DATE },
	{ "Resent-Message-ID", PLAIN, false, SEEN_RESENT | SEEN_RESENT_ID },
};

/* what must be put behind an address to make it whole */
static void
put_missing(const struct compose *c, struct bytes address, bool has_domain, struct buf *into)
{
	struct bytes domain = bytes_skip(address, bytes_find_last(address, '@') + 1);

	if (!has_domain) {
		buf_add_octet(into, '@');
		buf_add(into, c->default_host);
		domain = c->default_host;
	} else if (domain.len > 0 && domain.at[domain.len - 1] == '+') {
		buf_add_octet(into, '.'); /* the caller drops the + */
		buf_add(into, c->plus_domain);
		return;
	}
	if (domain.len > 0 && domain.at[0] != '[' && bytes_find(domain, '.') == domain.len) {
		buf_add_octet(into, '.');
		buf_add(into, c->default_domain);
	}
}

static bool
ends_with_plus(struct bytes address, bool has_domain)
{
	return has_domain && address.len > 0 && address.at[address.len - 1] == '+';
}

void
compose_qualify(const struct compose *c, struct bytes address, struct buf *into)
{
	size_t at = bytes_find_last(address, '@');
	bool has_domain = at < address.len && (address.at[address.len - 1] != '"');

	buf_add(into, ends_with_plus(address, has_domain) ? bytes_first(address, address.len - 1) : address);
	put_missing(c, address, has_domain, into);
}

enum result
compose_recipient(struct compose *c, struct bytes address, struct why *why)
{
	if (c->n_recipients == COMPOSE_RECIPIENTS_MAX)
		return why_set(why, REFUSED, "more than %u recipients", COMPOSE_RECIPIENTS_MAX);
	compose_qualify(c, address, &c->recipients);
	buf_add_octet(&c->recipients, '\0');
	c->n_recipients++;
	return c->recipients.failed ? why_set(why, EXHAUSTED, "too many recipients") : OK;
}

struct rewriting {
	struct compose *c;
	struct bytes value;
	size_t done; /* of the value is in the header */
	bool drop, recipients, follow;
};

static bool
is_list(const struct compose *c, struct bytes address)
{
	struct bytes rest = c->lists, line;

	while (bytes_split(&rest, '\n', &line))
		if (bytes_trim(line).len > 0 && bytes_equal_nocase(bytes_trim(line), address))
			return true;
	return false;
}

static void
follow(struct compose *c, struct bytes address)
{
	size_t from;

	if (c->followers.len > 0)
		buf_add_string(&c->followers, ",\n ");
	from = c->followers.len;
	compose_qualify(c, address, &c->followers);
	c->to_list |= is_list(c, bytes_skip(buf_bytes(&c->followers), from));
}

static enum result
rewrite(void *ctx, const struct address *a, struct why *why)
{
	struct rewriting *w = ctx;
	bool plus = ends_with_plus(a->text, a->has_domain);

	if (!w->drop) {
		buf_add(&w->c->header, bytes_first(bytes_skip(w->value, w->done), a->end - w->done - (plus ? 1 : 0)));
		put_missing(w->c, a->text, a->has_domain, &w->c->header);
		w->done = a->end;
	}
	if (w->follow)
		follow(w->c, a->text);
	return w->recipients ? compose_recipient(w->c, a->text, why) : OK;
}

static enum result
take_addresses(struct rewriting *w, struct bytes field, size_t colon, struct why *why)
{
	struct buf *header = &w->c->header;
	size_t before = header->len;
	struct why unread = WHY_NONE;
	enum result r;

	if (!w->drop)
		buf_add(header, bytes_first(field, colon + 1));
	r = address_list(w->value, rewrite, w, &unread);
	if (r == MALFORMED && !w->recipients) { /* its reader may make something of it; nobody is left out */
		if (w->follow)
			w->c->lists = BYTES_NONE;
		header->len = before;
		buf_add(header, field);
		return OK;
	}
	if (r != OK)
		return why_set(why, r, "%.*s: %s", (int)bytes_first(bytes_trim(bytes_first(field, colon)), 40).len,
		    (const char *)field.at, unread.text);
	if (!w->drop)
		buf_add(header, bytes_skip(w->value, w->done));
	return OK;
}

static enum result
note_sender(void *ctx, const struct address *a, struct why *why)
{
	struct compose *c = ctx;

	(void)why;
	buf_clear(&c->sender);
	compose_qualify(c, a->text, &c->sender);
	c->has_sender = true;
	return OK;
}

/* One that can't be read is nobody's address: then the sender is who calls. */
static void
take_sender(struct compose *c, struct bytes value)
{
	struct why unread = WHY_NONE;

	if (!c->take_sender)
		return;
	if (bytes_equal(bytes_trim(bytes_first(value, bytes_find(value, '\n'))), BYTES("<>"))) {
		buf_clear(&c->sender);
		c->has_sender = true;
	} else if (address_list(value, note_sender, c, &unread) != OK)
		c->has_sender = false;
}

/* name: without the colon. A field's value may have several lines; it ends with LF */
static enum result
take_field(struct compose *c, struct bytes field, unsigned *seen, bool resent, struct why *why)
{
	size_t colon = bytes_find(field, ':');
	struct bytes name = bytes_trim(bytes_first(field, colon));
	struct rewriting w = { .c = c, .value = bytes_skip(field, colon + 1) };

	for (size_t i = 0; i < nitems(fields); i++) {
		if (!bytes_equal_nocase(name, bytes_of_string(fields[i].name)))
			continue;
		if ((c->own_from && fields[i].seen == SEEN_FROM) || (c->own_id && fields[i].seen == SEEN_ID))
			return OK;
		*seen |= fields[i].seen;
		if (fields[i].kind == SENDER) {
			take_sender(c, w.value);
			return OK;
		}
		w.drop = fields[i].kind == DROP;
		w.follow = fields[i].seen == SEEN_TO && !w.drop && c->lists.len > 0;
		w.recipients = fields[i].to && c->take_recipients && resent == ((fields[i].seen & SEEN_RESENT) != 0);
		if (fields[i].kind == PLAIN || (w.drop && !w.recipients))
			break;
		return take_addresses(&w, field, colon, why);
	}
	if (!w.drop)
		buf_add(&c->header, field);
	return OK;
}

/* the next field with its continuation lines */
static struct bytes
next_field(struct bytes *rest)
{
	size_t n = 0;
	struct bytes field;

	do {
		n += bytes_find(bytes_skip(*rest, n), '\n');
		if (n < rest->len)
			n++;
	} while (n < rest->len && (rest->at[n] == ' ' || rest->at[n] == '\t'));
	field = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return field;
}

static bool
has_resent(struct bytes header)
{
	while (header.len > 0)
		if (bytes_starts_nocase(next_field(&header), BYTES("Resent-")))
			return true;
	return false;
}

static void
add_missing(struct compose *c, unsigned seen)
{
	const char *prefix = seen & SEEN_RESENT ? "Resent-" : "";
	unsigned date = seen & SEEN_RESENT ? SEEN_RESENT_DATE : SEEN_DATE,
		 id = seen & SEEN_RESENT ? SEEN_RESENT_ID : SEEN_ID;
	unsigned from = seen & SEEN_RESENT ? SEEN_RESENT_FROM : SEEN_FROM;

	if (!(seen & date)) {
		buf_format(&c->header, "%sDate: ", prefix);
		date_put(&c->header, c->now_s);
		buf_add_octet(&c->header, '\n');
	}
	if (!(seen & id)) {
		buf_format(&c->header, "%sMessage-ID: <%llu.%llx@", prefix, (unsigned long long)c->now_s,
		    (unsigned long long)c->unique);
		buf_add(&c->header, c->id_host);
		buf_add_string(&c->header, ">\n");
	}
	if (!(seen & from)) {
		buf_format(&c->header, "%sFrom: ", prefix);
		(c->comments ? author_put_commented : author_put)(&c->header, c->name, c->from);
		buf_add_octet(&c->header, '\n');
	}
	if (!(seen & (SEEN_TO | SEEN_RESENT)))
		buf_add_string(&c->header, "To: undisclosed-recipients:;\n");
	if (c->to_list && c->lists.len > 0 && !(seen & SEEN_FOLLOWUP)) {
		buf_add_string(&c->header, "Mail-Followup-To: ");
		buf_add(&c->header, buf_bytes(&c->followers));
		buf_add_octet(&c->header, '\n');
	}
}

/* Whether it failed at its bound, and not for want of memory: no field is longer than half the bound. */
static bool
is_full(const struct buf *b)
{
	return b->failed && b->len > b->max / 2;
}

enum result
compose_header(struct compose *c, struct bytes header, struct why *why)
{
	bool resent = has_resent(header);
	unsigned seen = 0;
	enum result r;

	c->header = buf_growing(COMPOSED_MAX);
	c->recipients = buf_growing(COMPOSE_HEADER_MAX);
	c->sender = buf_growing(2 * ADDRESS_MAX);
	c->followers = buf_growing(COMPOSED_MAX);
	if (bytes_starts(header, BYTES("From ")) || bytes_starts(header, BYTES(">From ")))
		(void)next_field(&header);
	while (header.len > 0) {
		struct bytes field = next_field(&header);

		if (bytes_find(field, ':') == field.len)
			return why_set(why, MALFORMED, "expected header fields, found a line without a colon");
		if ((r = take_field(c, field, &seen, resent, why)) != OK)
			return r;
	}
	if (c->header.len > 0 && c->header.at[c->header.len - 1] != '\n')
		buf_add_octet(&c->header, '\n');
	add_missing(c, seen);
	if (is_full(&c->header) || is_full(&c->followers))
		return why_set(
		    why, MALFORMED, "the header, with what is missing put in, is larger than %u octets", COMPOSED_MAX);
	return c->header.failed || c->followers.failed || c->sender.failed
	    ? why_set(why, EXHAUSTED, "no memory for the header")
	    : OK;
}

void
compose_free(struct compose *c)
{
	buf_free(&c->header);
	buf_free(&c->recipients);
	buf_free(&c->sender);
	buf_free(&c->followers);
}
