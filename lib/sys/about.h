/* What a program says of itself when it is asked. */
#pragma once

/* If the command line is --version or --help alone: prints "NAME (Postern) VERSION", or usage, on standard output, and
 * ends the program with status 0. Else it returns. usage ends with a line end. */
void about(int argc, char *const argv[], const char *name, const char *usage);
