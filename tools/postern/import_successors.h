/* Control files of patched qmails that have another name or form here. */
#pragma once

#include "postern/import_place.h"

/* Takes control/NAME over if it has a successor; false if it has none. Variables are gathered in *im. */
bool import_successor(struct import *im, const char *name);

/* Writes the variables that were gathered into the item variables of all services, and says so of each file. */
void import_variables(struct import *im);
