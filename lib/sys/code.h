/* The code of a zygote and its children. */
#pragma once

/* Lets a fork take over the page tables of code and constants too, instead of leaving each child to fault them in again: with
 * OpenSSL that is seventy faults a session. Segments that are aligned to 2 MiB go on large pages. Call it before
 * process_confine (it changes protections of code pages and puts others in their place) and in nothing but zygotes. What
 * it can't do it leaves; nothing depends on it. */
void code_copy_at_fork(void);
