/* postern check: reads control directories as warden does, says what it thinks, and warns of what would surprise.
 * Trusts its caller, with whose rights it reads.
 * Never starts, changes or connects to anything but a resolver. */
#include "postern/check.h"

#include "config.h"
#include "control/rules.h"
#include "control/source.h"
#include "control/users.h"
#include "control/variables.h"
#include "crypt/provider.h"
#include "crypt/version.h"
#include "postern/check_certificates.h"
#include "postern/check_remote.h"
#include "sys/about.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_REFUSED 100
#define EXIT_TROUBLE 111
#define SERVICES_MAX 64

struct check {
	const char *etc;
	unsigned n_errors, n_warnings;
	bool name_checked, postmaster_checked; /* one answer about each is enough */
};

static const struct {
	const char *service, *process;
} members[] = {
#define MEMBER(service, process) { #service, #process },
#include "census.def"
};

static unsigned
readers_of(const char *service)
{
	unsigned readers = 0;

	for (size_t i = 0; i < nitems(members); i++)
		if (strcmp(members[i].service, service) == 0)
			readers |= control_reader_of(members[i].process) | BY_WARDEN;
	if (strcmp(service, "inject") == 0)
		readers |= BY_INJECT; /* the programs that use it read its directory themselves */
	return readers;
}

static void
print_complaint(void *ctx, const struct control_complaint *c)
{
	struct check *k = ctx;

	if (c->severity == SEVERITY_ERROR)
		k->n_errors++;
	else
		k->n_warnings++;
	(void)printf("%s:", c->file);
	if (c->line > 0)
		(void)printf("%u:", c->line);
	(void)printf(" %s%s\n", c->severity == SEVERITY_ERROR ? "" : "warning: ", c->text);
}

static __attribute__((format(printf, 4, 5))) void
warn(struct check *k, const char *service, enum control_item item, const char *format, ...)
{
	const char *file = control_schema[item].file;
	char path[PATH_MAX];
	bool is_own; /* else it is, or would be, one for all services */
	va_list ap;

	(void)snprintf(path, sizeof path, "%s/%s/%s", k->etc, service, file);
	is_own = access(path, F_OK) == 0;
	k->n_warnings++;
	(void)printf("%s/%s%s%s: warning: ", k->etc, is_own ? service : "", is_own ? "/" : "", file);
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)putchar('\n');
}

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* ---- what would surprise ---- */

static void
check_name(struct check *k, const char *service, const struct control *c)
{
	struct bytes me = control_text(c, ITEM_ME);
	struct addrinfo *found = NULL;
	char name[256];
	int error;

	if (me.len >= sizeof name || k->name_checked)
		return;
	k->name_checked = true;
	memcpy(name, me.at, me.len);
	name[me.len] = '\0';
	error = getaddrinfo(name, NULL, NULL, &found);
	if (error != 0)
		warn(k, service, ITEM_ME, "%s does not resolve (%s): peers may refuse its mail", name,
		    gai_strerror(error));
	else
		freeaddrinfo(found);
	if (bytes_find(me, '.') == me.len)
		warn(k, service, ITEM_ME, "%s is not a full name: it has no dot", name);
}

/* Mail that is sent on to the domain that it came for is this host's again: nobody's. */
static bool
is_nobody(const struct control *c, const char *local)
{
	struct bytes domain = control_text(c, ITEM_ENVNOATHOST);
	struct destination d;
	uint8_t room[300];
	struct buf address = BUF_OVER(room);
	enum result r;

	buf_format(&address, "%s@", local);
	buf_add(&address, domain);
	r = users_route(c, buf_bytes(&address), &d);
	return r == ABSENT || (r == OK && d.route == ROUTE_REMOTE && bytes_equal_nocase(d.domain, domain));
}

static void
check_postmaster(struct check *k, const char *service, const struct control *c)
{
	if (k->postmaster_checked || strcmp(service, "resolve") == 0 || strncmp(service, "pop3", 4) == 0)
		return;
	k->postmaster_checked = true;
	if (is_nobody(c, "postmaster"))
		warn(k, service, ITEM_POSTMASTER,
		    "nobody gets the mail of postmaster, which every host must take: name a user here");
	if (control_number(c, ITEM_SYSTEMUSERS) != 0 && is_nobody(c, "root"))
		warn(k, service, ITEM_USERS_ASSIGN,
		    "nobody gets the mail of root, to whom cron writes: =root:USER:UID:GID:HOME::: here gives it to a "
		    "user");
}

static void
check_open_relay(struct check *k, const char *service, const struct control *c)
{
	static const uint8_t anybody[4] = { 192, 0, 2, 1 }; /* nobody's: RFC 5737 */
	struct rules_query q = { .address = anybody, .address_len = sizeof anybody };
	struct variables says = { 0 };
	struct bytes data;
	enum result r = rules_find_in(c, &q, &data);

	if (r == OK && rules_denies(data))
		return;
	if (r == OK)
		variables_decode(&says, data, true);
	variables_decode(&says, control_text(c, ITEM_VARIABLES), false);
	if (variable_is_set(&says, VAR_RELAYCLIENT))
		warn(k, service, ITEM_RULES, "RELAYCLIENT is given to everybody: this host would be an open relay");
}

static void
check_virtual_user(struct check *k, const char *service, const struct control *c)
{
	struct control_owner owner;

	if (control_owner(c, ITEM_VIRTUALUSER, &owner) && owner.uid < control_number(c, ITEM_MINUID))
		warn(k, service, ITEM_VIRTUALUSER, "uid %u is below minuid: nothing would be delivered", owner.uid);
}

/* A domain in locals that no rcpthosts has gets no mail from outside. */
static void
check_locals(struct check *k, const struct control_source *s, const struct control *c)
{
	struct bytes at = buf_bytes(&s->items[ITEM_LOCALS].table);

	while (at.len > 8) {
		size_t key_len = (size_t)(at.at[0] | at.at[1] << 8), data_len = (size_t)(at.at[4] | at.at[5] << 8);
		struct bytes domain = bytes_first(bytes_skip(at, 8), key_len);

		if (control_find_domain(c, ITEM_RCPTHOSTS, domain) == ABSENT &&
		    control_find_domain(c, ITEM_MORERCPTHOSTS, domain) == ABSENT)
			warn(k, s->from.service, ITEM_RCPTHOSTS,
			    "%.*s is in locals, not here: nobody else can send mail to it", SHOW(domain));
		at = bytes_skip(at, 8 + key_len + data_len);
	}
}

struct told {
	struct check *k;
	const char *service;
};

static void
warn_of_certificate(void *ctx, const char *text)
{
	const struct told *t = ctx;

	warn(t->k, t->service, ITEM_VARIABLES, "%s", text);
}

/* Those that people log in to. */
static bool
needs_tls(const char *service)
{
	return strncmp(service, "pop3", 4) == 0 || strcmp(service, "submission") == 0 || strcmp(service, "smtps") == 0;
}

static bool
names(const struct control_source *s, enum control_item item, const char *variable)
{
	struct bytes value = buf_bytes(&s->items[item].value), table = buf_bytes(&s->items[item].table);
	size_t len = strlen(variable);

	return (value.len > 0 && memmem(value.at, value.len, variable, len) != NULL) ||
	    (table.len > 0 && memmem(table.at, table.len, variable, len) != NULL);
}

static void
check_tls(struct check *k, const struct control_source *s, const struct control *c)
{
	struct told t = { k, s->from.service };
	struct why why = WHY_NONE;

	if (needs_tls(t.service) && !names(s, ITEM_VARIABLES, "CERTFILE") && !names(s, ITEM_VARIABLES, "CERTDIR") &&
	    !names(s, ITEM_RULES, "CERTFILE") && !names(s, ITEM_RULES, "CERTDIR"))
		warn(k, t.service, ITEM_VARIABLES, "there is no CERTFILE: without TLS nobody can log in to %s",
		    t.service);
	if (provider_open(&why) == OK)
		check_certificates(s, control_text(c, ITEM_ME), warn_of_certificate, &t);
	else
		warn(k, s->from.service, ITEM_VARIABLES, "certificates were not looked at: %s", why.text);
}

static void
warn_of_remote(void *ctx, enum control_item item, const char *text)
{
	const struct told *t = ctx;

	warn(t->k, t->service, item, "%s", text);
}

static void
check_surprises(struct check *k, const struct control_source *s)
{
	const char *process = s->from.readers & BY_POLICY ? "policy" : "send";
	struct control c = CONTROL_NONE;
	struct why why = WHY_NONE;
	int fd = -1;

	if (control_seal(s, process, &fd, &why) != OK || control_open(&c, fd, process, &why) != OK) {
		(void)printf("%s/%s: %s\n", k->etc, s->from.service, why.text);
		k->n_errors++;
	} else {
		check_name(k, s->from.service, &c);
		check_postmaster(k, s->from.service, &c);
		check_virtual_user(k, s->from.service, &c);
		if (s->from.readers & BY_POLICY) {
			check_open_relay(k, s->from.service, &c);
			check_locals(k, s, &c);
			check_tls(k, s, &c);
		} else if (s->from.readers & BY_SEND)
			check_remote(s, &c, warn_of_remote, &(struct told){ k, s->from.service });
		control_close(&c);
	}
	if (fd >= 0)
		(void)close(fd);
}

/* ---- the programs ---- */

/* Where this program is, or where it would be installed. */
static int
open_engine(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 8);
	char *slash;
	int fd = -1;

	path[n > 0 ? n : 0] = '\0';
	if ((slash = strrchr(path, '/')) != NULL) {
		memcpy(slash + 1, "tls", 4);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		(void)snprintf(path, PATH_MAX, "%s/tls", POSTERN_LIBEXECDIR);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

/* OpenSSL is linked into tls and keyload: an update of the system's library does not reach them. */
static void
check_openssl(struct check *k)
{
	char path[PATH_MAX];
	int fd = open_engine(path);
	struct stat st;
	struct bytes built;
	const char *here;
	void *image;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0 &&
	    (image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED) {
		if (openssl_is_another(bytes_of(image, (size_t)st.st_size), &built, &here)) {
			k->n_warnings++;
			(void)printf(
			    "%s: warning: has another OpenSSL in it (%.*s) than the system has now (%s): build and "
			    "install Postern again, and restart it\n",
			    path, SHOW(built), here);
		}
		(void)munmap(image, (size_t)st.st_size);
	}
	(void)close(fd);
}

/* ---- the directories ---- */

static int
check_service(struct check *k, const char *service)
{
	struct control_from from = { k->etc, service, readers_of(service), print_complaint, k };
	static struct control_source source;
	struct why why = WHY_NONE;
	enum result r;

	if (from.readers == 0) {
		(void)printf("%s/%s: warning: is no service of Postern\n", k->etc, service);
		k->n_warnings++;
		return 0;
	}
	r = control_read(&source, &from, &why);
	if (r == OK)
		check_surprises(k, &source);
	else if (r != MALFORMED)
		(void)fprintf(stderr, "postern check: %s\n", why.text);
	control_forget(&source);
	return r == OK ? 0 : r == MALFORMED ? EXIT_REFUSED : EXIT_TROUBLE;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The subdirectories that are services: all but users. */
static int
check_all(struct check *k)
{
	DIR *dir = opendir(k->etc);
	char *services[SERVICES_MAX];
	size_t n = 0;
	struct dirent *e;
	struct stat st;
	int status = 0;

	if (dir == NULL) {
		(void)fprintf(stderr, "postern check: opening %s: %m\n", k->etc);
		return EXIT_TROUBLE;
	}
	while ((e = readdir(dir)) != NULL && n < SERVICES_MAX)
		if (e->d_name[0] != '.' && strcmp(e->d_name, "users") != 0 &&
		    fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode) &&
		    (services[n] = strdup(e->d_name)) != NULL)
			n++;
	(void)closedir(dir);
	qsort(services, n, sizeof services[0], compare);
	if (n == 0)
		(void)printf("%s: warning: has no service\n", k->etc);
	for (size_t i = 0; i < n; i++) {
		int one = check_service(k, services[i]);

		status = one > status ? one : status;
		free(services[i]);
	}
	return status;
}

static const char usage_text[] = "usage: postern check [DIR [SERVICE ...]]\n";

int
check_main(int argc, char *argv[])
{
	struct check k = { .etc = POSTERN_CONTROLDIR };
	int status = 0;

	about(argc, argv, "postern check", usage_text);
	if (argc > 1 && argv[1][0] == '-') {
		(void)fputs(usage_text, stderr);
		return EXIT_REFUSED;
	}
	if (argc > 1)
		k.etc = argv[1];
	check_openssl(&k);
	if (argc <= 2)
		status = check_all(&k);
	for (int i = 2; i < argc; i++) {
		int one = check_service(&k, argv[i]);

		status = one > status ? one : status;
	}
	(void)printf("%u errors, %u warnings\n", k.n_errors, k.n_warnings);
	return status;
}
