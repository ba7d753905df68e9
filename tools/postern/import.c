/* postern import: from qmail's directory to control directories, with a word about each file.
 * Trusts the administrator who runs it; takes files as they are, whose content postern check judges.
 * Never changes what is in qmail's directory, never writes over a file that differs unless told to. */
#include "postern/import.h"

#include "config.h"
#include "control/schema.h"
#include "postern/import_host.h"
#include "postern/import_place.h"
#include "postern/import_successors.h"
#include "sys/about.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_LEFT 1
#define EXIT_USAGE 100
#define EXIT_TROUBLE 111

/* Rules of a service, in the names that s/qmail's and other run scripts use, and who has items of its own beside them. */
static const struct {
	const char *file, *service;
	bool is_smtp;
} rules[] = {
	{ "rules.smtpd.txt", "smtpd", true },
	{ "rules.smtpd", "smtpd", true },
	{ "rules.smtpsd.txt", "smtps", true },
	{ "rules.smtps.txt", "smtps", true },
	{ "rules.smtpsub.txt", "submission", true },
	{ "rules.submission.txt", "submission", true },
	{ "rules.pop3d.txt", "pop3", false },
	{ "rules.pop3.txt", "pop3", false },
	{ "rules.pop3sd.txt", "pop3s", false },
	{ "rules.pop3s.txt", "pop3s", false },
};

/* Files of qmail's and s/qmail's that have no item here. */
static const struct {
	const char *file, *why;
} others[] = {
	{ "control/aliasempty", "the default delivery is the item defaultdelivery" },
	{ "control/badloadertypes", "contents are not looked at" },
	{ "control/badloadertypes.cdb", "contents are not looked at" },
	{ "control/badmimetypes", "contents are not looked at" },
	{ "control/badmimetypes.cdb", "contents are not looked at" },
	{ "control/bigtodo", "the queue has no such limit" },
	{ "control/concurrencyincomingsub", "say it in submission/concurrencyincoming" },
	{ "control/dh1024.pem", "parameters for a key exchange that is not offered; ECDHE needs none" },
	{ "control/dh2048.pem", "parameters for a key exchange that is not offered; ECDHE needs none" },
	{ "control/dh4096.pem", "parameters for a key exchange that is not offered; ECDHE needs none" },
	{ "control/dh512.pem", "parameters for a key exchange that is not offered; ECDHE needs none" },
	{ "control/dkimdomains", "mail is not signed" },
	{ "control/rsa512.pem", "keys of this size are not used" },
	{ "control/rsa2048.pem", "keys for a key exchange that is not offered; ECDHE needs none" },
	{ "control/signatures", "contents are not looked at" },
	{ "control/tlsclientciphers", "say it in send/tlsdestinations" },
	{ "control/tlsclients",
	    "who relays by a certificate is said by UCSPITLS=\"?\" and LOCALMFCHECK=\"?\" in rules" },
	{ "control/qmqpservers", "mail goes to the queue of this host" },
	{ "control/srsdomains", "senders are not rewritten" },
	{ "control/tlshosts", "say it in tlsdestinations" },
	{ "users/append", "made for qmail-pw2u; what it made is in users/assign" },
	{ "users/exclude", "made for qmail-pw2u; what it made is in users/assign" },
	{ "users/include", "made for qmail-pw2u; what it made is in users/assign" },
	{ "users/mailnames", "made for qmail-pw2u; what it made is in users/assign" },
	{ "users/subusers", "made for qmail-pw2u; what it made is in users/assign" },
};

static const char *
why_not(const char *file)
{
	for (size_t i = 0; i < nitems(others); i++)
		if (strcmp(others[i].file, file) == 0)
			return others[i].why;
	return NULL;
}

static const char *
service_of_rules(const char *name)
{
	for (size_t i = 0; i < nitems(rules); i++)
		if (strcmp(rules[i].file, name) == 0)
			return rules[i].service;
	return NULL;
}

/* ---- where an item goes ---- */

#define RECEIVING (BY_WARDEN | BY_LISTEN | BY_SMTPD | BY_POLICY | BY_AUTHRUN)
#define DELIVERING (BY_QUEUE | BY_SEND | BY_LSPAWN | BY_LOCAL)

void
import_for_reception(struct import *im, const char *from, const char *item)
{
	char to[300];

	(void)snprintf(to, sizeof to, "smtpd/%s", item);
	import_place(im, from, to);
	for (size_t i = 0; i < nitems(rules); i++) {
		char path[300];

		(void)snprintf(path, sizeof path, "control/%s", rules[i].file);
		if (!rules[i].is_smtp || strcmp(rules[i].service, "smtpd") == 0 || !import_has(im, path))
			continue;
		(void)snprintf(to, sizeof to, "%s/%s", rules[i].service, item);
		import_place(im, from, to);
	}
}

static void
place_item(struct import *im, const char *from, enum control_item item, bool compiled)
{
	unsigned readers = control_schema[item].readers;
	const char *name = compiled ? control_compiled_file(item) : control_schema[item].file;
	char to[300];

	if ((readers & ~(unsigned)RECEIVING) == 0)
		import_for_reception(im, from, name);
	else {
		(void)snprintf(to, sizeof to, "%s%s", (readers & ~(unsigned)DELIVERING) == 0 ? "send/" : "", name);
		import_place(im, from, to);
	}
}

/* A compiled file is not taken where its text is. */
static bool
has_text(struct import *im, const char *directory, enum control_item item)
{
	char path[300];

	(void)snprintf(path, sizeof path, "%s/%s", directory, control_schema[item].file);
	return import_has(im, strncmp(control_schema[item].file, "users/", 6) == 0 ? control_schema[item].file : path);
}

static bool
is_compiled_rules(struct import *im, const char *name)
{
	size_t len = strlen(name);
	char text[300];

	if (strncmp(name, "rules.", 6) != 0 || len < 5 || strcmp(name + len - 4, ".cdb") != 0)
		return false;
	(void)snprintf(text, sizeof text, "control/%.*s.txt", (int)(len - 4), name);
	if (import_has(im, text))
		return true;
	(void)snprintf(text, sizeof text, "control/%.*s", (int)(len - 4), name);
	return import_has(im, text);
}

static void
take_control_file(struct import *im, const char *name)
{
	const char *service = service_of_rules(name);
	enum control_item item;
	bool compiled;
	char from[300], to[300];

	(void)snprintf(from, sizeof from, "control/%s", name);
	if (service != NULL) {
		(void)snprintf(to, sizeof to, "%s/rules", service);
		import_place(im, from, to);
	} else if (is_compiled_rules(im, name))
		import_say(im, from, "not needed: made from the text beside it");
	else if (why_not(from) != NULL)
		import_leave(im, from, why_not(from));
	else if (!control_item_of_file(bytes_of_string(name), &item, &compiled)) {
		if (!import_successor(im, name))
			import_leave(im, from, "there is no such item");
	} else if (compiled && has_text(im, "control", item))
		import_say(im, from, "not needed: made from the text beside it");
	else
		place_item(im, from, item, compiled);
}

static void
take_users_file(struct import *im, const char *name)
{
	size_t len = strlen(name);
	enum control_item item;
	bool compiled;
	char from[300];

	(void)snprintf(from, sizeof from, "users/%s", name);
	if (control_item_of_file(bytes_of_string(from), &item, &compiled)) {
		if (compiled && has_text(im, "users", item))
			import_say(im, from, "not needed: made from the text beside it");
		else
			import_place(im, from, from);
	} else if (why_not(from) != NULL)
		import_leave(im, from, why_not(from));
	else if (strcmp(name, "recipients") == 0 || (len > 4 && strcmp(name + len - 4, ".cdb") == 0))
		import_place(im, from, from); /* tables that control/recipients names */
	else
		import_leave(im, from, "nothing reads it");
}

/* ---- the rest ---- */

/* With qmail's user alias its files are read where they are. Without, .qmail-postmaster with one address is the item postmaster. */
static void
take_alias(struct import *im, const char *name)
{
	char from[300], address[400];

	if (strncmp(name, ".qmail", 6) != 0)
		return;
	(void)snprintf(from, sizeof from, "alias/%s", name);
	if (import_host_has_alias(im))
		import_say(im, from, "read where it is: the item aliasuser names the user alias");
	else if (strcmp(name, ".qmail-postmaster") == 0 && import_single_address(im, from, address, sizeof address))
		import_write(im, from, "postmaster", address);
	else
		import_leave(im, from,
		    "the host has no user alias: make one with this directory as its home, and name it in aliasuser");
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of their names, so that two runs say the same. */
static void
each_file(struct import *im, const char *directory, void (*take)(struct import *im, const char *name))
{
	char path[4200];
	char **names = NULL;
	size_t n = 0;
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/%s", im->from, directory);
	dir = opendir(path);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char **more;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		more = reallocarray(names, n + 1, sizeof *names);
		if (more == NULL || (more[n] = strdup(e->d_name)) == NULL) {
			im->trouble = true;
			names = more != NULL ? more : names;
			break;
		}
		names = more;
		n++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	if (n > 0)
		qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++) {
		take(im, names[i]);
		free(names[i]);
	}
	free(names);
}

static void
count_message(struct import *im, const char *name)
{
	(void)name;
	im->n_messages++;
}

/* What waits is qmail's to deliver: its queue has another form. */
static void
look_at_queue(struct import *im)
{
	for (unsigned i = 0; i < 1000; i++) {
		char directory[40];

		(void)snprintf(directory, sizeof directory, "queue/mess/%u", i);
		if (i > 0 && !import_has(im, directory))
			break;
		each_file(im, directory, count_message);
	}
	if (im->n_messages > 0)
		import_leave(
		    im, "queue", "messages wait in it: let qmail-send deliver them while Postern takes the new ones");
}

static void
look_at_differences(struct import *im)
{
	if (!import_has(im, "control/rcpthosts"))
		import_say(im, "control/rcpthosts",
		    "is not there: qmail would take mail for every domain, Postern for those in locals");
	if (!import_has(im, "control/locals"))
		import_say(im, "control/locals", "is not there: me counts, as with qmail");
}

static const char usage_text[] = "usage: postern import [-f] [-n] [-r ROOT] DIRECTORY [CONTROL]\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return EXIT_USAGE;
}

int
import_main(int argc, char *argv[])
{
	static struct import im;
	int c;

	about(argc, argv, "postern import", usage_text);
	im.to = POSTERN_CONTROLDIR;
	im.root = "";
	while ((c = getopt(argc, argv, "fnr:")) != -1)
		if (c == 'f')
			im.replaces = true;
		else if (c == 'n')
			im.only_says = true;
		else if (c == 'r')
			im.root = optarg;
		else
			return usage();
	if (argc - optind < 1 || argc - optind > 2)
		return usage();
	im.from = argv[optind];
	if (argc - optind == 2)
		im.to = argv[optind + 1];
	if (!import_has(&im, "control/me")) {
		(void)fprintf(
		    stderr, "postern import: %s/control/me is not there: this is no directory of qmail's\n", im.from);
		return EXIT_USAGE;
	}
	each_file(&im, "control", take_control_file);
	each_file(&im, "users", take_users_file);
	each_file(&im, "alias", take_alias);
	if (import_has(&im, "alias") && import_host_has_alias(&im))
		import_write(&im, "alias", "aliasuser", "alias");
	import_variables(&im);
	import_host(&im);
	look_at_differences(&im);
	look_at_queue(&im);
	if (fflush(stdout) != 0)
		im.trouble = true;
	return im.trouble ? EXIT_TROUBLE : im.n_left > 0 ? EXIT_LEFT : 0;
}
