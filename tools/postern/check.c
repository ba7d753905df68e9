/* postern check: reads control directories as warden does, says what a start would say, and warns of what would surprise.
 * Trusts its caller, with whose rights it reads.
 * Never starts or changes anything; asks a resolver for this host's name, and connects to nothing else. */
#include "postern/check.h"

#include "config.h"
#include "control/users_build.h"
#include "crypt/provider.h"
#include "crypt/version.h"
#include "house/house.h"
#include "postern/check_certificates.h"
#include "postern/check_findings.h"
#include "postern/check_house.h"
#include "postern/check_mail.h"
#include "postern/check_remote.h"
#include "postern/check_users.h"
#include "sys/about.h"
#include "sys/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_REFUSED 100
#define EXIT_TROUBLE 111
#define SERVICES_MAX 64

/* ---- the checks ---- */

#define BY_ANYBODY (~0u)
#define NEEDS(...) \
	(const enum control_item[]){ __VA_ARGS__ }, \
	    sizeof((const enum control_item[]){ __VA_ARGS__ }) / sizeof(enum control_item)

/* What is looked at besides the items themselves. A check is left out where an item that it needs is refused already. */
static const struct check {
	const char *name, *looks_at;
	unsigned readers; /* it is made for services with one of these */
	void (*look)(struct look *l);
	const enum control_item *needs;
	size_t n_needs;
} checks[] = {
	{ "house-users", "whether each process has a user", BY_ANYBODY, check_house_users, NEEDS(ITEM_CHECKPASSWORD) },
	{ "kernel", "whether the kernel has what processes are confined with", BY_ANYBODY, check_kernel,
	    NEEDS(ITEM_LENIENT) },
	{ "directories", "owner and mode of the run directory and those in it, and of the queue", BY_ANYBODY,
	    check_directories, NULL, 0 },
	{ "queue", "owners and modes of all that is in the queue, room on its disk", BY_QUEUE, check_queue,
	    NEEDS(ITEM_QUEUEFREE) },
	{ "addresses", "whether the addresses to listen on are this host's and free", BY_LISTEN, check_addresses,
	    NEEDS(ITEM_LISTEN) },
	{ "host-name", "whether the name of this host is whole and resolves", BY_POLICY | BY_SEND, check_host_name,
	    NEEDS(ITEM_ME) },
	{ "postmaster", "who gets the mail of postmaster and root", BY_SEND, check_postmaster,
	    NEEDS(ITEM_POSTMASTER, ITEM_USERS_ASSIGN, ITEM_LOCALS, ITEM_VIRTUALUSERS, ITEM_ENVNOATHOST) },
	{ "assignments", "whether users of users/assign can get mail", BY_SEND, check_assignments,
	    NEEDS(ITEM_MINUID, ITEM_DEFAULTDELIVERY) },
	{ "virtualuser", "whether the owner of virtual mailboxes can get mail", BY_SEND, check_virtual_user,
	    NEEDS(ITEM_VIRTUALUSER, ITEM_MINUID) },
	{ "open-relay", "whether anybody may relay", BY_LISTEN, check_open_relay, NEEDS(ITEM_RULES, ITEM_VARIABLES) },
	{ "our-domains", "whether domains of ours are in rcpthosts", BY_LISTEN, check_our_domains,
	    NEEDS(ITEM_RCPTHOSTS, ITEM_MORERCPTHOSTS, ITEM_LOCALS, ITEM_VIRTUALDOMAINS, ITEM_VIRTUALUSERS) },
	{ "mechanisms", "whether mechanisms to log in are known", BY_POLICY, check_mechanisms, NEEDS(ITEM_MECHANISMS) },
	{ "certificates", "certificates, keys, CAs and ciphers of variables and rules", BY_POLICY, check_certificates,
	    NEEDS(ITEM_RULES, ITEM_VARIABLES) },
	{ "remote", "relays, TLS policies and client certificates of mail to other hosts", BY_SEND, check_remote,
	    NEEDS(ITEM_SMTPROUTES, ITEM_AUTHSENDERS, ITEM_DOMAINIPS, ITEM_TLSDESTINATIONS, ITEM_DOMAINCERTS) },
};

static bool
is_spoilt(const struct check *c, const struct control_source *s)
{
	for (size_t i = 0; i < c->n_needs; i++)
		if (s->items[c->needs[i]].refused)
			return true;
	return false;
}

static void
make_checks(struct look *l)
{
	for (size_t i = 0; i < nitems(checks); i++) {
		const struct check *c = &checks[i];

		if (!(c->readers & l->source->from.readers) || is_spoilt(c, l->source))
			continue;
		findings_begin(l->all);
		c->look(l);
		findings_end(l->all, c->name);
	}
}

static int
list_checks(void)
{
	for (size_t i = 0; i < nitems(checks); i++)
		(void)printf("%-12s  %s\n", checks[i].name, checks[i].looks_at);
	return 0;
}

/* ---- one service ---- */

static unsigned
readers_of(const char *service)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(service, members);
	unsigned readers = n == 0 ? 0 : BY_WARDEN;

	for (size_t i = 0; i < n; i++)
		readers |= control_reader_of(members[i]);
	if (strcmp(service, "inject") == 0)
		readers |= BY_INJECT; /* the programs that use it read its directory themselves */
	return readers;
}

struct run {
	struct findings findings;
	struct instance instance;
	bool has_own_places;
};

/* policy and send have the items that the checks look up; of other services each check reads the source. */
static int
look_closer(struct run *run, const struct control_source *s)
{
	const char *process = s->from.readers & BY_POLICY ? "policy" : s->from.readers & BY_SEND ? "send" : "resolve";
	struct control c = CONTROL_NONE;
	struct look l = { &run->findings, &run->instance, s, &c, run->has_own_places };
	struct user_bounds bounds = users_bounds_of(s);
	struct why why = WHY_NONE;
	enum result r;
	int fd = -1;

	r = control_seal(s, process, &fd, &why);
	if (r == OK)
		r = control_open(&c, fd, process, &why);
	instance_add_own(&run->instance, &bounds);
	if (r == OK)
		r = users_build_for(s, &bounds, &c, &why);
	if (r == OK)
		make_checks(&l);
	else
		(void)fprintf(stderr, "postern check: %s/%s: %s\n", run->instance.control, s->from.service, why.text);
	control_close(&c);
	fd_close(&fd);
	return r == OK ? 0 : EXIT_TROUBLE;
}

static bool
has_items(const char *directory)
{
	DIR *dir = opendir(directory);
	enum control_item item;
	bool compiled, found = false;
	struct dirent *e;

	while (dir != NULL && !found && (e = readdir(dir)) != NULL)
		found = control_item_of_file(bytes_of_string(e->d_name), &item, &compiled);
	if (dir != NULL)
		(void)closedir(dir);
	return found;
}

/* A directory of keys, say, is nobody's mistake; one of items is. */
static int
check_stranger(struct run *run, const char *service)
{
	struct look l = { .all = &run->findings, .instance = &run->instance };
	char path[PATH_MAX];
	struct place at;

	(void)snprintf(path, sizeof path, "%s/%s", run->instance.control, service);
	at = place_of_file(path);
	if (has_items(path))
		find(&l, SEVERITY_WARNING, &at,
		    "its items are read by nobody; services are smtpd, smtps, submission, inject, send, resolve, pop3 "
		    "and pop3s",
		    "is no service of Postern");
	return 0;
}

static int
check_service(struct run *run, const char *service)
{
	struct control_from from = { run->instance.control, service, readers_of(service), findings_complain,
		&run->findings };
	static struct control_source source;
	static char keys[PATH_MAX];
	struct why why = WHY_NONE;
	enum result r;
	int status;

	if (from.readers == 0)
		return check_stranger(run, service);
	(void)snprintf(keys, sizeof keys, "%s/%s.keys", run->instance.run, service);
	run->instance.service = service;
	run->instance.keys = keys;
	findings_begin(&run->findings);
	r = control_read(&source, &from, &why);
	findings_end(&run->findings, "items");
	status = r == OK ? 0 : r == MALFORMED ? EXIT_REFUSED : EXIT_TROUBLE;
	if (r == OK || r == MALFORMED) {
		int closer = look_closer(run, &source);

		status = closer > status ? closer : status;
	} else
		(void)fprintf(stderr, "postern check: %s\n", why.text);
	control_forget(&source);
	return status;
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
check_openssl(struct run *run)
{
	struct look l = { .all = &run->findings, .instance = &run->instance };
	char path[PATH_MAX];
	int fd = open_engine(path);
	struct place at = place_of_file(path);
	struct stat st;
	struct bytes built;
	const char *here;
	void *image;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0 &&
	    (image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED) {
		if (openssl_is_another(bytes_of(image, (size_t)st.st_size), &built, &here))
			find(&l, SEVERITY_WARNING, &at, "build and install Postern again, and restart it",
			    "has another OpenSSL in it (%.*s) than the system has now (%s)", (int)built.len,
			    (const char *)built.at, here);
		(void)munmap(image, (size_t)st.st_size);
	}
	(void)close(fd);
}

/* ---- the directories ---- */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The subdirectories that are services: all but users. */
static int
check_all(struct run *run)
{
	DIR *dir = opendir(run->instance.control);
	char *services[SERVICES_MAX];
	size_t n = 0;
	struct dirent *e;
	struct stat st;
	int status = 0;

	if (dir == NULL) {
		(void)fprintf(stderr, "postern check: opening %s: %m\n", run->instance.control);
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
		(void)printf(
		    "%s: warning: has no service: postern-setup makes what is needed\n", run->instance.control);
	for (size_t i = 0; i < n; i++) {
		int one = check_service(run, services[i]);

		status = one > status ? one : status;
		free(services[i]);
	}
	return status;
}

static const char usage_text[] = "usage: postern check [-l] [-q QUEUE] [-R RUN] [DIR [SERVICE ...]]\n";

/* False: called in a wrong way. The queue and the run directory belong to the control directory that is the default, unless
 * they are named. */
static bool
parse(struct run *run, int argc, char *argv[], bool *list)
{
	static char empty[PATH_MAX];
	int c;

	run->instance = (struct instance){
		.control = POSTERN_CONTROLDIR, .run = POSTERN_RUNDIR, .queue = POSTERN_QUEUEDIR
	};
	while ((c = getopt(argc, argv, "lq:R:")) != -1)
		if (c == 'l')
			*list = true;
		else if (c == 'q' || c == 'R') {
			*(c == 'q' ? &run->instance.queue : &run->instance.run) = optarg;
			run->has_own_places = true;
		} else
			return false;
	if (optind < argc)
		run->instance.control = argv[optind];
	run->has_own_places |= strcmp(run->instance.control, POSTERN_CONTROLDIR) == 0;
	(void)snprintf(empty, sizeof empty, "%s/empty", run->instance.run);
	run->instance.empty = empty;
	return true;
}

int
check_main(int argc, char *argv[])
{
	struct run run = { 0 };
	struct why why = WHY_NONE;
	bool list = false;
	int status = 0;

	about(argc, argv, "postern check", usage_text);
	if (!parse(&run, argc, argv, &list)) {
		(void)fputs(usage_text, stderr);
		return EXIT_REFUSED;
	}
	if (list)
		return list_checks();
	if (provider_open(&why) != OK)
		(void)fprintf(stderr, "postern check: certificates can't be looked at: %s\n", why.text);
	check_openssl(&run);
	if (argc - optind <= 1)
		status = check_all(&run);
	for (int i = optind + 1; i < argc; i++) {
		int one = check_service(&run, argv[i]);

		status = one > status ? one : status;
	}
	check_house_users_end(&(struct look){ .all = &run.findings, .instance = &run.instance });
	if (status == 0 && run.findings.n_errors > 0)
		status = EXIT_REFUSED;
	(void)printf("%u errors, %u warnings\n", run.findings.n_errors, run.findings.n_warnings);
	findings_forget(&run.findings);
	return status;
}
