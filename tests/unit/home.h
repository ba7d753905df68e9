/* A private directory for tests of deliveries; it is the working directory, as the home is local's. */
#pragma once

#include "base/bytes.h"

int enter_home(void **state); /* of a group of tests */
int leave_home(void **state);
void remove_tree(const char *path);
unsigned count_files(const char *path); /* names in a directory */
int memory_with(struct bytes what);     /* a memory file that holds this */
