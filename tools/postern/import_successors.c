/* Control files of patched qmails (netqmail with TLS, SPF, DNS lists, the tarpit) that have another name or form here.
 * Trusts the administrator who runs it; a file's content only as far as it fits what it becomes.
 * Never takes half of a file over. */
#include "postern/import_successors.h"

#include "base/buf.h"
#include "control/dnslist.h"
#include "control/variables.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

struct successor;
typedef void take(struct import *im, const struct successor *s, const char *from);

struct successor {
	const char *name; /* below control/ */
	take *take;
	const char *to; /* an item, or a variable */
};

static bool
is_comment(struct bytes line)
{
	return line.len == 0 || line.at[0] == '#';
}

static struct bytes
first_line(const struct buf *content)
{
	struct bytes rest = buf_bytes(content), line;

	while (rest.len > 0 && bytes_split(&rest, '\n', &line))
		if (!is_comment(bytes_trim(line)))
			return bytes_trim(line);
	return BYTES("");
}

/* ---- variables ---- */

static void
gather(struct import *im, const char *from, const char *name, struct bytes value)
{
	struct why why = WHY_NONE;

	if (variable_check(bytes_of_string(name), value, &why) != OK)
		import_leave(im, from, why.text);
	else if (im->n_gathered == IMPORT_GATHERED_MAX ||
	    snprintf(im->gathered[im->n_gathered].line, sizeof im->gathered[0].line, "%s=%.*s", name, SHOW(value)) >=
		(int)sizeof im->gathered[0].line)
		import_leave(im, from, "it is too long for a variable");
	else
		(void)snprintf(im->gathered[im->n_gathered++].from, sizeof im->gathered[0].from, "%s", from);
}

/* The first line is the value. */
static void
take_value(struct import *im, const struct successor *s, const char *from)
{
	struct buf content = import_read(im, from);

	gather(im, from, s->to, first_line(&content));
	buf_free(&content);
}

/* 0 or nothing: off. */
static void
take_flag(struct import *im, const struct successor *s, const char *from)
{
	struct buf content = import_read(im, from);
	struct bytes line = first_line(&content);

	if (line.len == 0 || bytes_equal(line, BYTES("0")))
		import_say(im, from, "not needed: it says 0, which is what holds without it");
	else
		gather(im, from, s->to, BYTES("1"));
	buf_free(&content);
}

/* The control directory's whole path; *room is the caller's. */
static const char *
whole_path(const struct import *im, char room[PATH_MAX])
{
	size_t len;

	if (realpath(im->to, room) != NULL)
		return room;
	if (im->to[0] == '/' || getcwd(room, PATH_MAX) == NULL) /* with -n nothing was made */
		return im->to;
	len = strlen(room);
	(void)snprintf(room + len, PATH_MAX - len, "/%s", im->to);
	return room;
}

/* A file that the variable names by its path: below the control directory, for its owner alone. */
static void
take_file(struct import *im, const struct successor *s, const char *from)
{
	char to[300], path[PATH_MAX + 400], room[PATH_MAX];

	(void)snprintf(to, sizeof to, "tls/%s", s->name);
	import_place_secret(im, from, to);
	(void)snprintf(path, sizeof path, "%s/%s", whole_path(im, room), to);
	gather(im, from, s->to, bytes_of_string(path));
}

void
import_variables(struct import *im)
{
	struct buf all = buf_growing(65536);
	char what[400];

	for (size_t i = 0; i < im->n_gathered; i++)
		buf_format(&all, "%s\n", im->gathered[i].line);
	if (im->n_gathered > 0)
		import_put(im, "variables", buf_bytes(&all), what, sizeof what);
	for (size_t i = 0; i < im->n_gathered; i++) {
		char text[1400];

		(void)snprintf(text, sizeof text, "%s, as %s", what, im->gathered[i].line);
		import_say(im, im->gathered[i].from, text);
	}
	buf_free(&all);
}

/* ---- items ---- */

static bool
is_there_too(struct import *im, const char *from, const char *item)
{
	char path[300], why[400];

	(void)snprintf(path, sizeof path, "control/%s", item);
	if (!import_has(im, path))
		return false;
	(void)snprintf(why, sizeof why, "say it in %s, which is there as well", item);
	import_leave(im, from, why);
	return true;
}

static void
take_item(struct import *im, const struct successor *s, const char *from)
{
	if (!is_there_too(im, from, s->to))
		import_for_reception(im, from, s->to);
}

static bool
are_zones(struct bytes rest, struct why *why)
{
	struct dnslist list;
	struct bytes line;

	while (rest.len > 0 && bytes_split(&rest, '\n', &line))
		if (!is_comment(bytes_trim(line)) && dnslist_parse(bytes_trim(line), &list, why) != OK)
			return false;
	return true;
}

static void
take_zones(struct import *im, const struct successor *s, const char *from)
{
	struct buf content = import_read(im, from);
	struct why why = WHY_NONE;
	char text[600];

	(void)snprintf(text, sizeof text, "a line has another form: say it in %s", s->to);
	if (are_zones(buf_bytes(&content), &why))
		take_item(im, s, from);
	else
		import_leave(im, from, text);
	buf_free(&content);
}

/* One address for all mail that goes out. */
static void
take_address(struct import *im, const struct successor *s, const char *from)
{
	struct buf content = import_read(im, from);
	struct bytes line = first_line(&content);
	char text[200];

	(void)snprintf(text, sizeof text, "*:%.*s", SHOW(bytes_first(line, 100)));
	if (line.len > 0 && !is_there_too(im, from, "domainips"))
		import_write(im, from, s->to, text);
	buf_free(&content);
}

static void
take_client_certificate(struct import *im, const struct successor *s, const char *from)
{
	char line[PATH_MAX + 400], to[300], room[PATH_MAX];

	if (is_there_too(im, from, "domaincerts"))
		return;
	(void)snprintf(to, sizeof to, "tls/%s", s->name);
	import_place_secret(im, from, to);
	(void)snprintf(line, sizeof line, "*:%s/%s", whole_path(im, room), to);
	import_write(im, from, s->to, line);
}

static const struct successor successors[] = {
	{ "badmailto", take_item, "badrcptto" },
	{ "clientca.pem", take_file, "CCAFILE" },
	{ "clientcert.pem", take_client_certificate, "send/domaincerts" },
	{ "clientcrl.pem", take_file, "CRLFILE" },
	{ "dnsbllist", take_zones, "dnslists" },
	{ "maxrecipients", take_value, "MAXRECIPIENTS" },
	{ "mfcheck", take_flag, "MFDNSCHECK" },
	{ "outgoingip", take_address, "send/domainips" },
	{ "rblhosts", take_zones, "dnslists" },
	{ "servercert.pem", take_file, "CERTFILE" },
	{ "spfbehavior", take_value, "SPF" },
	{ "spfexp", take_item, "spfexplain" },
	{ "spfrules", take_item, "spflocalrules" },
	{ "tarpitcount", take_value, "TARPITCOUNT" },
	{ "tarpitdelay", take_value, "TARPITDELAY" },
	{ "tlsserverciphers", take_value, "CIPHERS" },
};

bool
import_successor(struct import *im, const char *name)
{
	char from[300];

	(void)snprintf(from, sizeof from, "control/%s", name);
	for (size_t i = 0; i < nitems(successors); i++)
		if (strcmp(successors[i].name, name) == 0) {
			successors[i].take(im, &successors[i], from);
			return true;
		}
	return false;
}
