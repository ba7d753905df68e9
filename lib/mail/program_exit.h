/* What the end of a program of a .qmail line means (qmail-command(8)). */
#pragma once

#include "base/bytes.h"

#include <stdint.h>

enum program_verdict {
	PROGRAM_DONE, /* on to the next line */
	PROGRAM_STOP, /* done, and the lines behind it are not carried out */
	PROGRAM_NEVER,
	PROGRAM_LATER,
};

/* 0 done, 99 stop; 100, 112, and of sysexits.h 64, 65, 70, 76, 77, 78 never; everything else later. */
enum program_verdict program_verdict_of(uint32_t exit_status);

/* The status that a text names as qmail's programs do, `(#5.1.1)`, if it is of that class; else status is left alone. */
void program_status_in(struct bytes text, uint16_t class, uint16_t status[3]);
