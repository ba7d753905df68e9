/* postern explain --checks: the checks that a client of a service passes, in the order in which they judge, and what of its rule and
 * of the control items says how.
 * Trusts the control directory, and the table that policy runs by.
 * Never asks DNS nor a program, and never says what a check would find. */
#include "postern/explain.h"

#include "control/checks.h"
#include "control/rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

static void
put_items(const struct control *c, const bool given[], struct bytes names, struct buf *text)
{
	struct bytes name;
	enum control_item item;
	bool compiled;

	while (bytes_split(&names, ' ', &name)) {
		if (!control_item_of_file(name, &item, &compiled))
			continue;
		buf_format(text, " %.*s ", SHOW(name));
		if (control_schema[item].kind == KIND_NUMBER || control_schema[item].kind == KIND_BOOL)
			buf_format(text, "%llu;", (unsigned long long)control_number(c, item));
		else
			buf_add_string(text, given[item] ? "is there;" : "is not there;");
	}
}

static void
put_variables(const struct variables *says, struct bytes names, struct buf *text)
{
	struct bytes name;

	while (bytes_split(&names, ' ', &name)) {
		enum variable v = variable_of_name(name);

		if (v == N_VARIABLES)
			continue;
		buf_format(text, " %.*s", SHOW(name));
		if (!variable_is_set(says, v)) {
			buf_add_string(text, " is not set;");
			continue;
		}
		if (variable_schema[v].kind == VARIABLE_NUMBER)
			buf_format(text, "=%llu", (unsigned long long)says->value[v].number);
		else
			buf_format(text, "=\"%.*s\"", SHOW(variable_text(says, v)));
		buf_add_string(text, variable_is_in_rule(says, v) ? " by its rule;" : " by the item variables;");
	}
}

static void
say_check(const struct control *c, const bool given[], const struct variables *says, const struct check_row *row)
{
	uint8_t room[1500];
	struct buf text = BUF_OVER(room);

	buf_format(&text, "%s", check_stage_names[row->runs]);
	if (row->due != row->runs)
		buf_format(&text, ", for the answer to %s", check_stage_names[row->due]);
	buf_format(&text, ": %s", row->finding);
	for (unsigned i = 0; i < N_CHECKS; i++)
		if (row->needs & 1u << i)
			buf_format(&text, "; after %s", check_rows[i].name);
	buf_add_octet(&text, '.');
	put_items(c, given, bytes_of_string(row->items), &text);
	put_variables(says, bytes_of_string(row->variables), &text);
	explain_row(row->name, "%.*s", SHOW(buf_bytes(&text)));
}

int
explain_checks(const struct control *c, const bool given[], const char *client)
{
	uint8_t address[16];
	bool v4 = inet_pton(AF_INET, client, address) == 1;
	struct rules_query q = { .address = address, .address_len = v4 ? 4 : 16 };
	struct variables says = { 0 };
	struct bytes rule = BYTES_NONE;
	enum result r;

	if (!v4 && inet_pton(AF_INET6, client, address) != 1) {
		(void)fprintf(stderr, "postern explain: %s: expected the address of a client\n", client);
		return EXPLAIN_RETURNED;
	}
	r = rules_find_in(c, &q, &rule);
	(void)printf("%s\n", client);
	if (r != OK && r != ABSENT) {
		explain_row("so", "it would be told to come again: the rules can't be read");
		return EXPLAIN_WAITS;
	}
	if (r == OK && rules_denies(rule)) {
		explain_row("so", "its rule refuses the connection");
		return EXPLAIN_RETURNED;
	}
	variables_decode(&says, rule, true);
	variables_decode(&says, control_text(c, ITEM_VARIABLES), false);
	explain_row("relays",
	    variable_is_set(&says, VAR_RELAYCLIENT)
		? "yes, by RELAYCLIENT: what is found out of strangers is not asked for"
		: "no, unless it logs in");
	for (const struct check_row *row = check_rows; row < check_rows + N_CHECKS; row++)
		say_check(c, given, &says, row);
	return 0;
}
