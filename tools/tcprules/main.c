/* tcprules: compiles connection rules from standard input into a cdb.
 * Trusts whoever runs it, with whose rights it writes; no line of its input.
 * Never touches the old cdb until the new one is whole and on disk. */
#include "control/cdb_replace.h"
#include "control/rules.h"
#include "sys/about.h"

#define EXIT_USAGE 100
#define EXIT_SYNTAX 101
#define EXIT_TROUBLE 111

static enum result
put(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	static const char nothing[] = "";

	if (cdb_make_add(ctx, key.at == NULL ? (const uint8_t *)nothing : key.at, (unsigned)key.len,
		data.at == NULL ? (const uint8_t *)nothing : data.at, (unsigned)data.len) != 0)
		return why_errno(why, BROKEN, "writing the cdb");
	return OK;
}

static enum result
add_rule(struct cdb_make *made, struct bytes line, struct why *why)
{
	return rules_compile(line, put, made, why);
}

static const char usage[] = "usage: tcprules rules.cdb rules.tmp < rules\n";

int
main(int argc, char *argv[])
{
	struct why why = WHY_NONE;
	enum result r;

	about(argc, argv, "tcprules", usage);
	if (argc != 3) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if ((r = cdb_replace(argv[1], argv[2], stdin, add_rule, &why)) == OK)
		return 0;
	(void)fprintf(stderr, "tcprules: fatal: %s\n", why.text);
	return r == MALFORMED ? EXIT_SYNTAX : EXIT_TROUBLE;
}
