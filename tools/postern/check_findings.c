/* The findings of postern check.
 * Trusts its caller, with whose rights it reads files again to find a line.
 * Never says the same thing twice. */
#include "postern/check_findings.h"

#include "control/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- saying ---- */

static void
say(struct findings *all, enum severity severity, const char *line)
{
	if (severity == SEVERITY_ERROR)
		all->n_errors++;
	else
		all->n_warnings++;
	if (all->n_shown == FINDINGS_OF_A_KIND)
		all->n_hidden++;
	else {
		all->n_shown++;
		(void)puts(line);
	}
}

/* Each thing once: by its place and text, and by its line if the same text may be right about several. */
static void
say_once(struct findings *all, enum severity severity, const struct place *at, bool line_matters, const char *text)
{
	char number[16] = "", whole[PATH_MAX + 1200];

	if (at->line > 0)
		(void)snprintf(number, sizeof number, ":%u", at->line);
	(void)snprintf(whole, sizeof whole, "%s%s: %s", at->file, line_matters ? number : "", text);
	all->n_of_kind++;
	if (seen_before(&all->told, bytes_of_string(whole)))
		return;
	(void)snprintf(
	    whole, sizeof whole, "%s%s: %s%s", at->file, number, severity == SEVERITY_ERROR ? "" : "warning: ", text);
	say(all, severity, whole);
}

void
find(const struct look *l, enum severity severity, const struct place *at, const char *remedy, const char *format, ...)
{
	char what[800], text[1100];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof what, format, ap);
	va_end(ap);
	(void)snprintf(text, sizeof text, "%s: %s", what, remedy);
	say_once(l->all, severity, at, false, text);
}

void
findings_complain(void *findings, const struct control_complaint *c)
{
	struct place at = place_of_file(c->file);

	at.line = c->line;
	say_once(findings, c->severity, &at, true, c->text);
}

void
findings_begin(struct findings *all)
{
	all->n_of_kind = all->n_shown = all->n_hidden = 0;
}

void
findings_end(struct findings *all, const char *check)
{
	if (all->n_hidden > 0)
		(void)printf("%u more of this kind (%s) are not shown\n", all->n_hidden, check);
	findings_begin(all);
}

void
findings_forget(struct findings *all)
{
	free(all->told.slots);
}

/* ---- places ---- */

static bool
is_of_word(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c >= 0x80;
}

/* Whether the line has it with nothing before and behind that would make another word of it. */
static bool
has_word(struct bytes line, struct bytes needle)
{
	for (size_t i = 0; i + needle.len <= line.len; i++)
		if (bytes_equal_nocase(bytes_first(bytes_skip(line, i), needle.len), needle) &&
		    (i == 0 || !is_of_word(line.at[i - 1]) || !is_of_word(needle.at[0])) &&
		    (i + needle.len == line.len || !is_of_word(line.at[i + needle.len])))
			return true;
	return false;
}

static unsigned
line_with(const char *file, struct bytes needle)
{
	FILE *in = needle.len == 0 ? NULL : fopen(file, "re");
	unsigned number = 0, found = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (in != NULL && found == 0 && (n = getline(&line, &size, in)) >= 0) {
		number++;
		if (line[0] != '#' && has_word(bytes_of(line, (size_t)n), needle))
			found = number;
	}
	free(line);
	if (in != NULL)
		(void)fclose(in);
	return found;
}

struct place
place_of_item(const struct look *l, enum control_item item, struct bytes needle)
{
	const char *file = control_schema[item].file, *compiled = control_compiled_file(item);
	const char *etc = l->instance->control, *service = l->instance->service;
	const char *const names[] = { file, compiled };
	struct place p = { .line = 0 };

	for (size_t i = 0; i < nitems(names); i++) {
		if (names[i] == NULL)
			continue;
		(void)snprintf(p.file, sizeof p.file, "%s/%s/%s", etc, service == NULL ? "." : service, names[i]);
		if (service != NULL && access(p.file, F_OK) == 0)
			break;
		(void)snprintf(p.file, sizeof p.file, "%s/%s", etc, names[i]);
		if (access(p.file, F_OK) == 0)
			break;
	}
	if (access(p.file, F_OK) != 0)
		(void)snprintf(p.file, sizeof p.file, "%s/%s", etc, file); /* it would be one for all services */
	if (l->all->n_of_kind < FINDINGS_OF_A_KIND)                        /* a line is looked for in the whole file */
		p.line = line_with(p.file, needle);
	return p;
}

struct place
place_of_variable(const struct look *l, struct bytes needle)
{
	struct place p = place_of_item(l, ITEM_VARIABLES, needle), in_rules;

	if (p.line > 0 || needle.len == 0)
		return p;
	in_rules = place_of_item(l, ITEM_RULES, needle);
	return in_rules.line > 0 ? in_rules : p;
}

struct place
place_of_file(const char *file)
{
	struct place p = { .line = 0 };

	(void)snprintf(p.file, sizeof p.file, "%s", file);
	return p;
}
