/* The code of a zygote and its children. */
#pragma once

/* Lets a fork copy the page tables of code and constants too, instead of leaving each child to fault them in again: with
 * OpenSSL that is sixty faults a session. Call it before process_confine (it changes protections of code pages for a
 * moment) and in nothing but zygotes. What it can't do it leaves; nothing depends on it. */
void code_copy_at_fork(void);
