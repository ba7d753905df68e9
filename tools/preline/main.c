/* preline: hands a message to a program with the lines From_, Return-Path and Delivered-To in front. For lines of .qmail files.
 * Trusts the delivery for its variables, the author of the line for the program.
 * Never holds the message in memory. */
#include "mail/forward.h"
#include "mail/local_mail.h"
#include "sys/about.h"
#include "sys/feed.h"

#include <stdio.h>
#include <unistd.h>

static const char usage[] = "usage: preline [-frdFRD] PROGRAM [ARGUMENT…] <message\n"
			    "  -f, -r, -d: without the line From_, Return-Path, Delivered-To; -F, -R, -D: with it\n";
static const struct {
	char without, with;
	const char *variable;
} lines[] = { { 'f', 'F', "UFLINE" }, { 'r', 'R', "RPLINE" }, { 'd', 'D', "DTLINE" } };

int
main(int argc, char *argv[])
{
	const char *in_front[4] = { NULL };
	bool left_out[3] = { false };
	struct why why = WHY_NONE;
	unsigned n = 0;
	int c;

	about(argc, argv, "preline", usage);
	while ((c = getopt(argc, argv, "+frdFRD")) != -1) {
		if (c == '?') {
			(void)fputs(usage, stderr);
			return 100;
		}
		for (unsigned i = 0; i < 3; i++)
			if (c == lines[i].without || c == lines[i].with)
				left_out[i] = c == lines[i].without;
	}
	if (optind == argc) {
		(void)fputs(usage, stderr);
		return 100;
	}
	for (unsigned i = 0; i < 3; i++) {
		enum result r = left_out[i] ? OK : forward_variable(lines[i].variable, &in_front[n], &why);

		if (r != OK)
			return local_mail_exit("preline", r, &why);
		n += !left_out[i];
	}
	return feed_program("preline", in_front, argv + optind);
}
