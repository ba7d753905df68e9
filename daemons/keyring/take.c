/* Pairs and files from the administrator to the engine and the signer.
 * Trusts root's files to be meant well, not to be right: what does not fit together is told and left out.
 * Never puts anything private on the rack. */
#include "keyring/take.h"

#include "base/secret.h"
#include "crypt/pair.h"
#include "crypt/pem.h"
#include "keyring/keep.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/warden_keyring.h"

#include <string.h>
#include <time.h>

#define NAMES_MAX 4096 /* DNS names of all pairs */
#define FILES_MAX 256
#define FILE_MAX (8u << 20)
#define SOON (14 * 86400)

struct named { /* a DNS name, or a file that comes in parts, and what there is for it */
	struct buf key, value;
	bool damaged; /* a part of it is */
};

struct taker {
	struct rack_maker rack;
	struct named names[NAMES_MAX], files[FILES_MAX];
	size_t n_names, n_files;
	struct buf staple;
};

/* The one of that name, made if it is not there; null if there are too many. */
static struct named *
named_of(struct named *all, size_t *n, size_t max, struct bytes key, size_t value_max)
{
	for (size_t i = 0; i < *n; i++)
		if (bytes_equal(buf_bytes(&all[i].key), key))
			return &all[i];
	if (*n == max)
		return NULL;
	all[*n] = (struct named){ .key = buf_growing(RACK_NAME_MAX), .value = buf_growing(value_max) };
	buf_add(&all[*n].key, key);
	return &all[(*n)++];
}

static enum result
read_whole(int fd, size_t max, struct buf *text, struct why *why)
{
	uint8_t *room;
	size_t n;
	enum result r;

	*text = buf_growing(max + 1);
	if ((room = buf_room(text, max + 1)) == NULL)
		return why_set(why, EXHAUSTED, "no memory");
	if ((r = fd_pread_all(fd, room, max + 1, 0, &n)) != OK)
		return why_errno(why, r, "reading");
	text->len = n;
	return n > max ? why_set(why, EXHAUSTED, "larger than %zu octets", max) : OK;
}

static void
forget(struct buf *text)
{
	if (text->at != NULL)
		secret_wipe(text->at, text->size);
	buf_free(text);
}

/* ---- the log ---- */

static void
log_pair(enum severity severity, const char *event, struct bytes name, const struct pair *p, const char *text)
{
	char hex[2 * FINGERPRINT_LEN + 1];
	struct log_line l;

	log_begin(&l, severity, event);
	log_bytes(&l, "file", name);
	if (p != NULL && p->not_after != 0) {
		time_t at = (time_t)p->not_after;
		char date[32];
		struct tm tm;

		signer_key_name(p->fingerprint, hex);
		log_text(&l, "fingerprint", hex);
		if (gmtime_r(&at, &tm) != NULL && strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
			log_text(&l, "expires", date);
	}
	log_text(&l, "why", text);
	log_end(&l);
}

/* ---- pairs ---- */

static enum result
shelve(
    struct taker *t, struct bytes name, struct bytes chain, const uint8_t spki[SPKI_LEN], bool by_name, struct why *why)
{
	struct buf record = buf_growing(PAIR_FILE_MAX + (64u << 10)), names = buf_growing(64u << 10);
	struct named *files;
	struct bytes at, one;
	enum result r;

	wire_put(&record, buf_bytes(&t->staple));
	buf_add(&record, chain);
	r = record.failed ? EXHAUSTED : rack_put(&t->rack, 'p', name, buf_bytes(&record));
	if (r == OK)
		r = rack_put(&t->rack, 's', name, bytes_of(spki, SPKI_LEN));
	if (r == OK && by_name)
		r = keep_chosen(spki, why);
	if (r == OK && by_name && (r = pair_names(chain, &names, why)) == OK)
		for (at = buf_bytes(&names); wire_take(&at, &one);)
			if ((files = named_of(t->names, &t->n_names, NAMES_MAX, one, 8192)) != NULL)
				wire_put(&files->value, name);
	buf_free(&record);
	buf_free(&names);
	buf_free(&t->staple);
	t->staple = buf_growing(60000);
	return r;
}

/* The new one is not good: what was good before goes on, if there is such a thing. */
static enum result
shelve_old(struct taker *t, struct bytes name, bool by_name, const char *fault, const struct pair *new, struct why *why)
{
	struct buf chain = buf_growing(PAIR_FILE_MAX);
	struct pair old = { 0 };
	uint8_t spki[SPKI_LEN];
	int64_t not_after;
	enum result r = OK;

	log_pair(SEVERITY_ERROR, "certificate-refused", name, new, fault);
	if (keep_find(name, &chain, spki, &not_after) == OK) {
		old.not_after = not_after;
		if (pair_fingerprint(buf_bytes(&chain), old.fingerprint) == OK)
			log_pair(SEVERITY_WARNING, "certificate-stays", name, &old, "the last good pair is used on");
		r = shelve(t, name, buf_bytes(&chain), spki, by_name, why);
	}
	buf_free(&chain);
	return r;
}

/* Whether the pair is good now; else what is wrong with it. */
static const char *
fault_of_dates(const struct pair *p)
{
	int64_t now = (int64_t)clock_wall_s();

	return p->not_after < now ? "it has expired" : p->not_before > now ? "it is not valid yet" : NULL;
}

static enum result
take_good(struct taker *t, struct bytes name, const struct pair *p, bool by_name, struct why *why)
{
	enum result r = keep_pair(name, p, why);

	if (r == OK)
		r = shelve(t, name, buf_bytes(&p->chain), p->spki, by_name, why);
	if (r == OK)
		log_pair(p->not_after - SOON < (int64_t)clock_wall_s() ? SEVERITY_WARNING : SEVERITY_INFO,
		    "certificate", name, p, p->not_after - SOON < (int64_t)clock_wall_s() ? "it expires soon" : NULL);
	return r;
}

static enum result
take_texts(struct taker *t, struct bytes name, const struct buf texts[3], bool locked, bool by_name, struct why *why)
{
	struct bytes passphrase = buf_bytes(&texts[2]);
	struct buf chain = buf_growing(PAIR_FILE_MAX);
	struct why fault = WHY_NONE;
	const char *dates;
	uint8_t spki[SPKI_LEN];
	int64_t not_after;
	struct pair p;
	enum result r;

	passphrase = bytes_first(passphrase, bytes_find(passphrase, '\n'));
	r = pair_read(&p, buf_bytes(&texts[0]), buf_bytes(&texts[1]), locked ? passphrase : BYTES_NONE, &fault);
	dates = r == OK ? fault_of_dates(&p) : NULL;
	if (r != OK)
		r = shelve_old(t, name, by_name, fault.text, &p, why);
	else if (dates != NULL && keep_find(name, &chain, spki, &not_after) == OK && not_after > p.not_after)
		r = shelve_old(t, name, by_name, dates, &p, why);
	else {
		if (dates != NULL)
			log_pair(SEVERITY_ERROR, "certificate-bad", name, &p, dates); /* there is no better one */
		r = take_good(t, name, &p, by_name, why);
	}
	buf_free(&chain);
	pair_close(&p);
	return r;
}

static enum result
take_pair(struct taker *t, const struct wire_message *m, struct why *why)
{
	const struct wk_pair *body = m->body;
	struct buf texts[3] = { { .failed = true }, { .failed = true }, { .failed = true } };
	struct why fault = WHY_NONE;
	enum result r = OK;

	for (unsigned i = 0; i < m->n_fds && r == OK; i++)
		r = read_whole(m->fds[i], PAIR_FILE_MAX, &texts[i], &fault);
	if (r == OK)
		r = take_texts(t, m->tail, texts, m->type == WK_LOCKED_PAIR, body->by_name != 0, why);
	else
		r = shelve_old(t, m->tail, body->by_name != 0, fault.text, NULL, why);
	for (unsigned i = 0; i < 3; i++)
		forget(&texts[i]);
	return r;
}

static enum result
take_missing(struct taker *t, const struct wire_message *m, struct why *why)
{
	const struct wk_pair *body = m->body;

	return shelve_old(
	    t, m->tail, body->by_name != 0, "the certificate, its key or its passphrase can't be opened", NULL, why);
}

/* ---- files ---- */

/* A file of CAs or CRLs is read whole or not at all: a shorter one could lack the very list that names a peer. Of a directory,
 * files without either are nobody's concern. */
static enum result
check_file(struct bytes text, bool is_alone, struct why *fault)
{
	unsigned n_cas = 0, n_crls = 0;
	enum result r;

	if ((r = pem_check(text, PEM_CERTIFICATES, &n_cas, fault)) != OK ||
	    (r = pem_check(text, PEM_CRLS, &n_crls, fault)) != OK)
		return r;
	return is_alone && n_cas + n_crls == 0
	    ? why_set(fault, MALFORMED, "no certificate or revocation list in the file (PEM was expected)")
	    : OK;
}

static void
refuse_file(struct named *f, struct bytes path, const char *fault)
{
	log_pair(SEVERITY_ERROR, "ca-file-refused", path, NULL, f == NULL ? "too many files" : fault);
	if (f != NULL)
		f->damaged = true;
}

static enum result
take_file(struct taker *t, const struct wire_message *m, struct why *why)
{
	struct bytes fields[2]; /* the name under which it is looked for, and its path */
	struct why fault = WHY_NONE;
	struct named *f;
	struct buf text;
	enum result r;

	if (!wire_take_all(m->tail, fields, 2))
		return why_set(why, MALFORMED, "a file without its name");
	f = named_of(t->files, &t->n_files, FILES_MAX, fields[0], FILE_MAX);
	if (f == NULL || m->n_fds == 0) {
		refuse_file(f, fields[1], "it can't be opened");
		return OK;
	}
	r = read_whole(m->fds[0], FILE_MAX, &text, &fault);
	if (r == OK && memmem(text.at, text.len, "PRIVATE KEY", 11) != NULL)
		log_pair(SEVERITY_ERROR, "ca-file-refused", fields[1], NULL, "it has a private key in it");
	else if (r != OK || check_file(buf_bytes(&text), bytes_equal(fields[0], fields[1]), &fault) != OK)
		refuse_file(f, fields[1], fault.text);
	else {
		buf_add(&f->value, buf_bytes(&text));
		buf_add_octet(&f->value, '\n');
	}
	forget(&text);
	return OK;
}

/* What is whole is kept for the next time; in place of what is not comes what was whole before, or nothing. */
static enum result
settle_file(struct taker *t, struct named *f, struct why *why)
{
	struct bytes name = buf_bytes(&f->key);
	struct why ignored = WHY_NONE;

	if (f->damaged) {
		buf_clear(&f->value);
		if (keep_find_text(name, &f->value) != OK)
			return OK; /* who needs it fails, and says so */
		log_pair(SEVERITY_WARNING, "ca-file-stays", name, NULL, "the last good content is used on");
	} else if (f->value.len == 0)
		return OK;
	else if (keep_text(name, buf_bytes(&f->value), &ignored) != OK)
		log_pair(SEVERITY_WARNING, "ca-file-not-kept", name, NULL, ignored.text);
	if (f->value.failed)
		return why_set(why, EXHAUSTED, "no memory for CAs");
	return rack_put(&t->rack, 'f', name, buf_bytes(&f->value));
}

static enum result
take_staple(struct taker *t, const struct wire_message *m, struct why *why)
{
	buf_free(&t->staple);
	if (read_whole(m->fds[0], 60000, &t->staple, why) != OK || !pair_staple_is_fresh(buf_bytes(&t->staple))) {
		log_pair(SEVERITY_WARNING, "staple-refused", m->tail, NULL,
		    "the OCSP response can't be used, or is not fresh");
		buf_free(&t->staple);
		t->staple = buf_growing(1);
	}
	return OK;
}

static enum result
finish(struct taker *t, struct why *why)
{
	enum result r = OK;

	for (size_t i = 0; i < t->n_names && r == OK; i++)
		r = rack_put(&t->rack, 'n', buf_bytes(&t->names[i].key), buf_bytes(&t->names[i].value));
	for (size_t i = 0; i < t->n_files && r == OK; i++)
		r = settle_file(t, &t->files[i], why);
	return r == OK ? rack_finish(&t->rack, why) : why_set(why, r, "no memory for certificates");
}

enum result
take_all(struct channel *warden, struct why *why)
{
	static struct wire_buffer buffer;
	static struct taker t;
	struct wire_message m = { .type = WK_END };
	enum result r = channel_receive(warden, &buffer, &m, why);

	if (r == OK)
		r = m.type == WK_RACK ? rack_begin(&t.rack, m.fds[0], why)
				      : why_set(why, MALFORMED, "warden gave no file to fill");
	t.staple = buf_growing(60000);
	while (r == OK && (r = channel_receive(warden, &buffer, &m, why)) == OK && m.type != WK_END) {
		r = m.type == WK_FILE || m.type == WK_NO_FILE ? take_file(&t, &m, why)
		    : m.type == WK_STAPLE                     ? take_staple(&t, &m, why)
		    : m.type == WK_MISSING                    ? take_missing(&t, &m, why)
							      : take_pair(&t, &m, why);
		wire_close_fds(&m);
	}
	return r == OK ? finish(&t, why) : r;
}
