/* Engines by what they are for.
 * Trusts policy and the sealed certificates: nothing here comes from the network.
 * Never keeps more than a fixed number. What is configured wrongly is remembered, so that it is not tried at each connection;
 * want of memory is not, since it passes. */
#include "tls/engines.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <time.h>

#define DAY 86400
#define SOON (14 * DAY) /* as keyring and postern check have it */

static enum result
text_of(const struct engines *all, struct bytes file, struct bytes *text, struct why *why)
{
	*text = BYTES_NONE;
	if (file.len == 0 || rack_find_file(&all->rack, file, text) == OK)
		return OK;
	return why_set(
	    why, ABSENT, "%.*s could not be read when the service started", (int)file.len, (const char *)file.at);
}

/* One with the same CAs, whose store can be shared: the host's takes some megabytes and milliseconds. */
static const struct tls_engine *
like(const struct engines *all, const struct pt_engine *p, const struct bytes fields[PT_N_FIELDS])
{
	struct bytes theirs[PT_N_ENGINE_FIELDS];

	for (size_t i = 0; i < all->n; i++)
		if (all->kept[i].engine != NULL && all->kept[i].options.role == PT_CLIENT && p->role == PT_CLIENT &&
		    wire_take_all(buf_bytes(&all->kept[i].fields), theirs, PT_N_ENGINE_FIELDS) &&
		    bytes_equal(theirs[2], fields[2]) && bytes_equal(theirs[3], fields[3]) &&
		    bytes_equal(theirs[4], fields[4]))
			return all->kept[i].engine;
	return NULL;
}

static enum result
make(struct engines *all, const struct pt_engine *p, const struct bytes fields[PT_N_FIELDS], struct tls_engine **e,
    struct why *why)
{
	struct tls_options o = { .role = p->role == PT_CLIENT ? TLS_CLIENT : TLS_SERVER,
		.verify = p->verify == PT_VERIFY_REQUIRED ? TLS_VERIFY_REQUIRED
		    : p->verify == PT_VERIFY_OPTIONAL     ? TLS_VERIFY_OPTIONAL
							  : TLS_VERIFY_NONE,
		.depth = p->depth,
		.protocol = fields[0],
		.certificates = fields[1],
		.ciphers = fields[5],
		.by_name = p->by_name != 0,
		.trusts_like = like(all, p, fields),
		.rack = &all->rack };
	enum result r;

	if ((r = text_of(all, fields[2], &o.ca, why)) != OK || (r = text_of(all, fields[3], &o.ca_names, why)) != OK ||
	    (r = text_of(all, fields[4], &o.crl, why)) != OK)
		return r;
	return engine_open(e, &o, why);
}

static struct kept *
place(struct engines *all)
{
	struct kept *oldest = &all->kept[0];

	if (all->n < ENGINES_MAX)
		return &all->kept[all->n++];
	for (size_t i = 1; i < all->n; i++)
		if (all->kept[i].used < oldest->used)
			oldest = &all->kept[i];
	engine_close(oldest->engine);
	buf_free(&oldest->fields);
	return oldest;
}

/* The next connection tries it again. */
static void
forget(struct engines *all, struct kept *k)
{
	buf_free(&k->fields);
	*k = all->kept[--all->n];
}

static bool
is_for(const struct kept *k, const struct pt_engine *p, struct bytes fields)
{
	return k->options.role == p->role && k->options.verify == p->verify && k->options.depth == p->depth &&
	    k->options.by_name == p->by_name && bytes_equal(buf_bytes(&k->fields), fields);
}

/* The tail's fields; *options: those that engines are told apart by. */
static bool
take_fields(const struct wire_message *m, struct bytes fields[PT_N_FIELDS], struct bytes *options, struct wanted *w)
{
	const struct pt_session *p = m->body;
	struct bytes own[PT_N_FIELDS + PT_N_DEMAND_FIELDS] = { BYTES_NONE };
	size_t len = 0;

	if (!wire_take_all(m->tail, own, PT_N_FIELDS + (p->demand != PT_BY_ENGINE ? PT_N_DEMAND_FIELDS : 0)))
		return false;
	memcpy(fields, own, PT_N_FIELDS * sizeof *fields);
	for (size_t i = 0; i < PT_N_ENGINE_FIELDS; i++)
		len += 2 + fields[i].len;
	*options = bytes_first(m->tail, len);
	*w = (struct wanted){
		.server = own[PT_N_ENGINE_FIELDS], .names = own[PT_N_FIELDS], .tlsa = own[PT_N_FIELDS + 1]
	};
	return true;
}

/* keyring has told it at the start; a service that runs for months is reminded, once a day while it is used. */
static void
tell_expiry(struct kept *k)
{
	int64_t now = (int64_t)clock_wall_s(), at;
	struct bytes fields[PT_N_ENGINE_FIELDS], file;
	char date[32];
	struct log_line l;
	struct tm tm;
	size_t which;

	if (k->told_day == now / DAY)
		return;
	k->told_day = now / DAY;
	at = engine_expires(k->engine, &which);
	if (at >= now + SOON || !wire_take_all(buf_bytes(&k->fields), fields, PT_N_ENGINE_FIELDS) ||
	    gmtime_r(&at, &tm) == NULL || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return;
	while (wire_take(&fields[1], &file) && which > 0)
		which--;
	log_begin(&l, at < now ? SEVERITY_ERROR : SEVERITY_WARNING, "certificate-expires");
	log_bytes(&l, "file", file);
	log_text(&l, "expires", date);
	log_text(&l, "why", at < now ? "it has expired, and is shown" : "it expires soon");
	log_end(&l);
}

enum result
engines_get(struct engines *all, const struct wire_message *m, struct tls_engine **e, struct wanted *w, struct why *why)
{
	const struct pt_session *p = m->body;
	struct bytes fields[PT_N_FIELDS], options;
	struct kept *k = NULL;
	enum result r = OK;

	if (!take_fields(m, fields, &options, w))
		return why_set(why, MALFORMED, "a session without its fields");
	for (size_t i = 0; i < all->n && k == NULL; i++)
		if (is_for(&all->kept[i], &p->engine, options))
			k = &all->kept[i];
	if (k == NULL) {
		k = place(all);
		*k = (struct kept){ .options = p->engine, .fields = buf_growing(WIRE_MAX) };
		buf_add(&k->fields, options);
		r = make(all, &p->engine, fields, &k->engine, &k->why);
	}
	k->used = ++all->uses;
	*e = k->engine;
	if (k->engine == NULL) {
		(void)why_set(why, BROKEN, "%s", k->why.text);
		if (r == EXHAUSTED)
			forget(all, k);
		return r == OK ? BROKEN : r;
	}
	tell_expiry(k);
	return OK;
}
