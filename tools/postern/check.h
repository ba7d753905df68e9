/* postern check: what would be said of control directories at a start. */
#pragma once

/* argv[0] is "check"; then perhaps the directory and services. Prints to standard output; returns the exit status:
 * 0 nothing would be refused (there may be warnings), 100 something would, 111 it could not be found out. */
int check_main(int argc, char *argv[]);
