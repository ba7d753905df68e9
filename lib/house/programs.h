/* The executables of a service, held open. What a warden starts comes from these descriptors, not from names: a new version
 * that is installed beside a running service changes nothing until the service is told to reload, and a process that has
 * to be replaced meanwhile is of the same version as those that it talks to. */
#pragma once

#include "house/instance.h"

#define PROGRAMS_MAX 24

struct programs {
	struct program {
		char name[24];
		int fd;
	} at[PROGRAMS_MAX];
	size_t n;
};

/* Opens in->libexec/NAME for each member of in->service, for what these execute, and for keyring. ABSENT names a missing one.
 * On failure nothing stays open. */
enum result programs_hold(struct programs *p, const struct instance *in, struct why *why);
void programs_release(struct programs *p);

/* The descriptor of that program; -1: it is not held. */
int programs_find(const struct programs *p, const char *name);

/* Asks each held program for its version, which must be this program's. REFUSED names the one that has another version or can't
 * be executed. Starts a process for each; the caller must not ignore SIGCHLD. */
enum result programs_check_versions(const struct programs *p, struct why *why);
