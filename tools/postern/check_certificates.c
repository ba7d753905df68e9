/* What is wrong with certificates and keys before anything is started.
 * Trusts its caller, with whose rights it reads; keys are wiped from memory as soon as they were looked at.
 * Never changes a file. */
#include "postern/check_certificates.h"

#include "base/le.h"
#include "base/secret.h"
#include "control/variables.h"
#include "crypt/engine.h"
#include "crypt/pair.h"
#include "crypt/pem.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "wire/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400
#define SOON_DAYS 14
#define CA_FILE_MAX (8u << 20) /* as keyring has it */
#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* Who names the files: an item, or variables in rules and variables. */
struct named {
	const struct look *look;
	bool by_variables;
	enum control_item item;
	struct bytes directory; /* that has the file, where only that is named */
	char last[1024];        /* a pair that several rules name is looked at once */
};

static __attribute__((format(printf, 4, 5))) void
tell(const struct named *n, struct bytes file, const char *remedy, const char *format, ...)
{
	struct bytes needle = n->directory.len > 0 ? n->directory : file;
	struct place at = n->by_variables ? place_of_variable(n->look, needle)
					  : place_of_item(n->look, n->item, needle);
	char text[800];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	find(n->look, SEVERITY_WARNING, &at, remedy, "%s", text);
}

static int
open_file(const char *path, struct stat *st)
{
	int fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)))
		fd_close(&fd);
	return fd;
}

/* Of a key, too: whether others can read it. */
static bool
read_file(const struct named *l, struct bytes name, size_t max, bool secret, struct buf *text)
{
	char path[1024];
	struct stat st;
	uint8_t *room;
	size_t n = 0;
	int fd;

	*text = buf_growing(max + 1);
	(void)snprintf(path, sizeof path, "%.*s", SHOW(name));
	fd = open_file(path, &st);
	if (fd < 0 || (room = buf_room(text, max + 1)) == NULL || fd_pread_all(fd, room, max + 1, 0, &n) != OK) {
		tell(l, name, path[0] == '/' ? "put a file there, or name another" : "name the whole path of a file",
		    "%s can't be read", path);
		fd_close(&fd);
		return false;
	}
	fd_close(&fd);
	text->len = n;
	if (n > max)
		tell(l, name, "name a file of that kind", "%s is larger than %zu octets", path, max);
	if (secret && (st.st_mode & 077) != 0)
		tell(l, name, "chmod 600", "%s holds a private key, and others may read it (mode %03o)", path,
		    (unsigned)(st.st_mode & 0777));
	return n <= max;
}

static bool
has_name(const struct pair *p, struct bytes me)
{
	struct bytes at = buf_bytes(&p->names), name, parent = bytes_skip(me, bytes_find(me, '.'));

	while (wire_take(&at, &name))
		if (bytes_equal_nocase(name, me) ||
		    (name.len > 1 && name.at[0] == '*' && bytes_equal_nocase(bytes_skip(name, 1), parent)))
			return true;
	return false;
}

static void
judge(const struct named *l, struct bytes file, const struct pair *p, bool named)
{
	int64_t now = (int64_t)clock_wall_s();
	const char *fault = pair_chain_fault(buf_bytes(&p->chain), now);

	if (fault != NULL)
		tell(l, file, "put the issuers' certificates behind it, each followed by its issuer's", "%.*s: %s",
		    SHOW(file), fault);
	if (p->not_after < now)
		tell(l, file, "have it renewed", "%.*s has expired, %lld days ago", SHOW(file),
		    (long long)((now - p->not_after) / DAY));
	else if (p->not_after < now + SOON_DAYS * DAY)
		tell(l, file, "have it renewed", "%.*s expires in %lld days", SHOW(file),
		    (long long)((p->not_after - now) / DAY));
	if (p->not_before > now)
		tell(l, file, "look at this host's clock", "%.*s is not valid yet", SHOW(file));
	if (named && !has_name(p, control_text(l->look->control, ITEM_ME)))
		tell(l, file, "peers that verify it will refuse it; have one made for that name",
		    "%.*s is not for %.*s", SHOW(file), SHOW(control_text(l->look->control, ITEM_ME)));
}

/* passphrase: what is in its file, to the end of its first line */
static void
look_at_texts(
    const struct named *l, struct bytes certificate, const struct buf *texts, struct bytes passphrase, bool named)
{
	struct why why = WHY_NONE;
	struct pair p;

	if (pair_read(&p, buf_bytes(&texts[0]), buf_bytes(&texts[1]), passphrase, &why) != OK)
		tell(l, certificate, "without a pair that can be used there is no TLS", "%.*s: %s", SHOW(certificate),
		    why.text);
	else
		judge(l, certificate, &p, named);
	pair_close(&p);
}

static void
forget(struct buf *text)
{
	if (text->at != NULL)
		secret_wipe(text->at, text->len);
	buf_free(text);
}

static void
look_at_pair(const struct named *l, struct bytes certificate, struct bytes key, struct bytes passphrase, bool named)
{
	struct buf texts[2] = { { .failed = true }, { .failed = true } };
	bool readable = read_file(l, certificate, PAIR_FILE_MAX, bytes_equal(certificate, key), &texts[0]);

	readable = read_file(l, key, PAIR_FILE_MAX, !bytes_equal(certificate, key), &texts[1]) && readable;
	if (readable)
		look_at_texts(l, certificate, texts, passphrase, named);
	forget(&texts[0]);
	forget(&texts[1]);
}

static void
look_at_pair_of_variables(
    const struct named *l, struct bytes certificate, struct bytes key, struct bytes passphrase_file, bool named)
{
	struct buf passphrase = { .failed = true };

	if (passphrase_file.len == 0)
		look_at_pair(l, certificate, key, BYTES_NONE, named);
	else if (read_file(l, passphrase_file, PAIR_FILE_MAX, true, &passphrase))
		look_at_pair(l, certificate, key,
		    bytes_first(buf_bytes(&passphrase), bytes_find(buf_bytes(&passphrase), '\n')), named);
	forget(&passphrase);
}

static void
look_at_blocks(const struct named *l, struct bytes name, enum pem_kind kind)
{
	static const char *const none[] = { "has no certificate in PEM form", "has no revocation list in PEM form" };
	static const char *const remedies[] = { "convert it (openssl x509 -inform DER)",
		"convert it (openssl crl -inform DER)" };
	struct why why = WHY_NONE;
	struct buf text;
	unsigned n = 0;

	if (read_file(l, name, CA_FILE_MAX, false, &text)) {
		if (pem_check(buf_bytes(&text), kind, &n, &why) != OK)
			tell(l, name, "put a whole file there: until then nothing that it is for is verified",
			    "%.*s: %s", SHOW(name), why.text);
		else if (n == 0 && l->directory.len == 0) /* others lie beside those that count */
			tell(l, name, remedies[kind], "%.*s %s", SHOW(name), none[kind]);
	}
	buf_free(&text);
}

static void
look_at_cas(const struct named *l, struct bytes name)
{
	look_at_blocks(l, name, PEM_CERTIFICATES);
}

static bool
ends(const char *name, const char *suffix)
{
	size_t a = strlen(name), b = strlen(suffix);

	return a > b && strcmp(name + a - b, suffix) == 0;
}

/* As warden takes them: NAME.pem or NAME.crt, with the key in NAME.key or with it. */
static void
look_at_pairs_in(const struct named *l, struct bytes dir)
{
	char path[1024], key[1024];
	struct dirent *e;
	struct named within = *l;
	struct stat st;
	DIR *d;

	within.directory = dir;
	(void)snprintf(path, sizeof path, "%.*s", SHOW(dir));
	if ((d = opendir(path)) == NULL) {
		tell(l, dir, "make that directory, or name another", "%s can't be read", path);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		int n = snprintf(path, sizeof path, "%.*s/%s", SHOW(dir), e->d_name);

		if (n >= (int)sizeof path || e->d_name[0] == '.' || (!ends(path, ".pem") && !ends(path, ".crt")))
			continue;
		(void)snprintf(key, sizeof key, "%.*s.key", n - 4, path);
		look_at_pair(&within, bytes_of_string(path), bytes_of_string(stat(key, &st) == 0 ? key : path),
		    BYTES_NONE, false);
	}
	(void)closedir(d);
}

/* As warden takes them: each file that is none of the hidden ones. */
static void
look_at_ca_directory(const struct named *l, struct bytes name)
{
	char path[1024];
	struct named within = *l;
	struct dirent *e;
	unsigned n = 0;
	struct stat st;
	DIR *dir;

	within.directory = name;
	(void)snprintf(path, sizeof path, "%.*s", SHOW(name));
	if ((dir = opendir(path)) == NULL) {
		tell(l, name, "make that directory, or name another", "%s can't be read", path);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%.*s/%s", SHOW(name), e->d_name) >= (int)sizeof path ||
		    (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
			continue;
		look_at_cas(&within, bytes_of_string(path));
		n++;
	}
	(void)closedir(dir);
	if (n == 0)
		tell(l, name, "put CAs there, a file each", "%.*s has no file", SHOW(name));
}

static void
look_at_place(struct named *l, struct bytes data, bool named)
{
	static const enum variable files[] = { VAR_CAFILE, VAR_CCAFILE };
	struct bytes certificates, keys, passphrase, certificate, key, value;
	struct variables v = { 0 };

	variables_decode(&v, data, false);
	certificates = variable_text(&v, VAR_CERTFILE);
	keys = variable_text(&v, VAR_KEYFILE);
	passphrase = variable_text(&v, VAR_KEYPASSFILE);
	while (certificates.at != NULL && bytes_split(&certificates, ':', &certificate)) {
		if (keys.at == NULL || !bytes_split(&keys, ':', &key) || key.len == 0)
			key = certificate;
		if (bytes_equal(certificate, bytes_of_string(l->last)))
			continue;
		(void)snprintf(l->last, sizeof l->last, "%.*s", SHOW(certificate));
		look_at_pair_of_variables(l, certificate, key, passphrase, named);
	}
	if (variable_text(&v, VAR_CERTDIR).len > 0)
		look_at_pairs_in(l, variable_text(&v, VAR_CERTDIR));
	for (size_t i = 0; i < nitems(files); i++) {
		value = variable_text(&v, files[i]);
		if (value.len > 0 && !bytes_equal(value, BYTES("-")))
			look_at_cas(l, value);
	}
	value = variable_text(&v, VAR_CRLFILE);
	if (value.len > 0 && !bytes_equal(value, BYTES("-")))
		look_at_blocks(l, value, PEM_CRLS);
	if (variable_text(&v, VAR_CADIR).len > 0)
		look_at_ca_directory(l, variable_text(&v, VAR_CADIR));
}

/* Those that people log in to. */
static bool
needs_tls(const char *service)
{
	return strncmp(service, "pop3", 4) == 0 || strcmp(service, "submission") == 0 || strcmp(service, "smtps") == 0;
}

static bool
names_certificate(struct bytes data)
{
	struct variables v = { 0 };

	variables_decode(&v, data, false);
	return variable_text(&v, VAR_CERTFILE).len > 0 || variable_text(&v, VAR_CERTDIR).len > 0;
}

static void
check_ciphers(const struct named *l, struct bytes data)
{
	struct variables v = { 0 };
	struct why why = WHY_NONE;
	struct bytes list;

	variables_decode(&v, data, false);
	list = variable_text(&v, VAR_CIPHERS);
	if (list.len > 0 && engine_check_ciphers(list, &why) != OK)
		tell(l, BYTES("CIPHERS"), "openssl ciphers shows what a list has", "%s", why.text);
}

void
check_certificates(struct look *look)
{
	struct bytes at = buf_bytes(&look->source->items[ITEM_RULES].table);
	struct named l = { .look = look, .by_variables = true };
	struct bytes all = buf_bytes(&look->source->items[ITEM_VARIABLES].value);
	bool any = names_certificate(all);

	look_at_place(&l, all, true);
	check_ciphers(&l, all);
	while (at.len >= 8) {
		size_t key_len = le32_get(at.at), data_len = le32_get(at.at + 4);
		struct bytes data = bytes_first(bytes_skip(at, 8 + key_len), data_len);

		any = any || names_certificate(data);
		look_at_place(&l, data, false);
		check_ciphers(&l, data);
		at = bytes_skip(at, 8 + key_len + data_len);
	}
	if (!any && needs_tls(look->instance->service))
		tell(&l, BYTES_NONE, "CERTFILE=/PATH here names one",
		    "there is no CERTFILE: without TLS nobody can log in to %s", look->instance->service);
}

void
check_pair(const struct look *look, enum control_item item, struct bytes certificate, struct bytes key,
    struct bytes passphrase)
{
	struct named l = { .look = look, .item = item };

	look_at_pair(&l, certificate, key, passphrase, false);
}

void
check_cas(const struct look *look, enum control_item item, struct bytes name)
{
	struct named l = { .look = look, .item = item };

	if (name.len > 0 && name.at[name.len - 1] == '/')
		look_at_ca_directory(&l, name);
	else
		look_at_cas(&l, name);
}
