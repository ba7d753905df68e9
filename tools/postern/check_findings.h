/* What `postern check` has to say: each finding once, with its place and what to do about it. */
#pragma once

#include "base/buf.h"
#include "control/control.h"
#include "control/source.h"
#include "house/instance.h"

#include <limits.h>

#define FINDINGS_OF_A_KIND 50 /* more of one check are only counted */

struct findings {
	unsigned n_errors, n_warnings;
	unsigned n_of_kind, n_shown,
	    n_hidden; /* by the check that is looking now: found, again or not; said; only counted */
	struct seen told;
};

/* What one check looks at. */
struct look {
	struct findings *all;
	const struct instance *instance;     /* with the service; null in it: the host as a whole */
	const struct control_source *source; /* null for the host as a whole */
	const struct control *control;       /* the same items, opened as policy, send, … has them */
	bool has_own_places;                 /* the queue and run directories are this control directory's */
};

/* Where a finding is. line 0: the file as a whole. */
struct place {
	char file[PATH_MAX];
	unsigned line;
};

/* The file of an item, in the service's directory or the one for all, and the first line in it that has `needle` as a word;
 * an empty needle, or when more was found than is shown: the file as a whole. */
struct place place_of_item(const struct look *l, enum control_item item, struct bytes needle);

/* The same of the variables: the item variables if that has the needle, else rules. */
struct place place_of_variable(const struct look *l, struct bytes needle);

struct place place_of_file(const char *file);

/* Says what is wrong at that place (format), and what to do about it. What was said before is not said again. */
void find(const struct look *l, enum severity severity, const struct place *at, const char *remedy, const char *format,
    ...) __attribute__((format(printf, 5, 6)));

/* A complaint of control_read. */
void findings_complain(void *findings, const struct control_complaint *c);

/* How many more of its kind a check had than were printed is said when it is done. */
void findings_begin(struct findings *all);
void findings_end(struct findings *all, const char *check);

void findings_forget(struct findings *all);
