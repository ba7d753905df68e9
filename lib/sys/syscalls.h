/* The sets of system calls, and the filter made of them. Only lib/sys/confine.c uses this. */
#pragma once

#include "base/result.h"
#include "sys/privileges.h"

/* Loads the filter for the or-ed sets into the calling thread; it can't be taken off. REFUSED if the kernel won't. */
enum result syscalls_filter(uint64_t sets, struct why *why);

/* The same for MAY_RUN_PROGRAMS: a filter that programs of others inherit, so it names what they may not do. With MAY_BECOME it
 * lets ids be changed: it is that of who starts such a process as its user. */
enum result syscalls_filter_programs(uint64_t sets, struct why *why);
void syscalls_list_programs(
    uint64_t sets, void (*each)(const char *call, const char *set, const char *reason, void *context), void *context);

/* For `postern plan`: calls each for every system call of the sets, with its reason. */
void syscalls_list(
    uint64_t sets, void (*each)(const char *call, const char *set, const char *reason, void *context), void *context);
