/* postern: what an administrator runs. Each word of the table is a file of its own.
 * Trusts the administrator who runs it; of what it reads, what each file says.
 * Never changes anything that its word does not say. */
#include "postern/check.h"
#include "postern/explain.h"
#include "postern/import.h"
#include "postern/passwd.h"
#include "postern/plan.h"
#include "postern/queue.h"
#include "postern/reload.h"
#include "postern/recipients.h"
#include "sys/about.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	int (*run)(int argc, char *argv[]);
	const char *meaning;
} words[] = {
	{ "check", check_main, "what a start would say of the control directories" },
	{ "explain", explain_main, "where mail for an address would go, under which policies, and why" },
	{ "import", import_main, "splits qmail's directory into control directories" },
	{ "passwd", passwd_main, "sets, removes, disables and lists login names and their passwords" },
	{ "plan", plan_main, "what each process may do; with --live, compared with those that run" },
	{ "recipients", recipients_main, "makes a table of those who get mail" },
	{ "reload", reload_main,
	    "makes running services take the installed version and their control items as they are now" },
	{ "queue", queue_main, "lists, shows, holds, releases, retries, bounces and deletes messages" },
};

static void
print_words(FILE *f)
{
	(void)fputs("usage: postern WORD …\n       postern WORD --help | --help | --version\n", f);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		(void)fprintf(f, "  %-10s %s\n", words[i].word, words[i].meaning);
}

int
main(int argc, char *argv[])
{
	for (size_t i = 0; argc > 1 && i < sizeof words / sizeof words[0]; i++)
		if (strcmp(argv[1], words[i].word) == 0)
			return words[i].run(argc - 1, argv + 1);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_words(stdout);
		return 0;
	}
	about(argc, argv, "postern", "");
	print_words(stderr);
	return 100;
}
