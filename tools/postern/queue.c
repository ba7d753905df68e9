/* postern queue: the administrator's side of the admin door.
 * Trusts `queue`, whose answers it prints, as far as lib/wire and lib/store check them.
 * Never reads or writes the queue directory itself. */
#include "postern/queue.h"

#include "config.h"
#include "postern/queue_list.h"
#include "postern/queue_print.h"
#include "sys/about.h"
#include "sys/fd.h"

#include <stdio.h>
#include <string.h>

struct request {
	const char *run;
	bool json, content;
	bool is_list_only; /* an option was given that only list has */
	bool brief, has_order;
	struct list_wanted wanted;
	const char *verb;
	char **names;
	int n_names;
};

static const char usage_text[] =
    "usage: postern queue [-R RUNDIR] list [--json] [--reason | --brief] [--order WHAT] [--state WHAT] [--held]\n"
    "               [--older TIME] [--sender PART] [--recipient PART]\n"
    "       postern queue [-R RUNDIR] show [--json] [--content] ID ...\n"
    "       postern queue [-R RUNDIR] hold|release|bounce|delete ID ...\n"
    "       postern queue [-R RUNDIR] retry all | ID ... | DOMAIN ...\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return 100;
}

/* ---- show ---- */

static enum result
show_file(const struct request *q, int fd, struct why *why)
{
	struct store_message m;
	enum result r = store_read(fd, &m, why);

	if (r != OK)
		return r;
	if (q->content)
		r = print_content(fd, &m, why);
	else
		r = q->json ? print_message_json(fd, &m, why) : print_message(fd, &m, why);
	store_message_free(&m);
	return r;
}

static enum result
show(const struct request *q, struct channel *c, const char *name, struct why *why)
{
	int fd = -1;
	enum result r = queue_file(c, name, &fd, why);

	if (r == OK)
		r = show_file(q, fd, why);
	fd_close(&fd);
	return r;
}

/* ---- acts ---- */

static enum result
act(struct channel *c, enum qc_what what, const char *name, struct why *why)
{
	static struct wire_buffer buffer;
	struct qc_act ask = { .what = (uint32_t)what };
	struct bytes domain = BYTES_NONE;
	struct wire_message m;
	enum result r;

	if (what == QC_RETRY && !id_is_valid(bytes_of_string(name)))
		domain = strcmp(name, "all") == 0 ? BYTES_NONE : bytes_of_string(name);
	else if (!id_is_valid(bytes_of_string(name)))
		return why_set(why, MALFORMED, "%s is no message's id", name);
	else
		memcpy(ask.id, name, ID_LEN + 1);
	if (domain.len > 255)
		return why_set(why, MALFORMED, "%.40s... is no domain", name);
	if ((r = channel_send(c, QC_ACT, 0, &ask, domain, NULL, why)) != OK ||
	    (r = queue_hear(c, &buffer, &m, why)) != OK)
		return r;
	r = m.type == QC_END ? queue_end(&m, why) : why_set(why, MALFORMED, "an answer that was not asked for");
	if (r == OK && domain.len > 0 && ((const struct qc_end *)m.body)->n == 0)
		r = why_set(why, ABSENT, "nothing waits for mail to %s: expected a domain, an id, or all", name);
	wire_close_fds(&m);
	return r;
}

static enum result
do_one(const struct request *q, struct channel *c, const char *name, struct why *why)
{
	if (strcmp(q->verb, "show") == 0)
		return show(q, c, name, why);
	for (unsigned i = 0; i < QC_N_ACTS; i++)
		if (strcmp(q->verb, qc_act_names[i]) == 0)
			return act(c, (enum qc_what)i, name, why);
	return BROKEN;
}

static int
complain(enum result r, const struct why *why)
{
	(void)fprintf(stderr, "postern queue: %s\n", why->text[0] != '\0' ? why->text : result_meaning(r)->name);
	return result_meaning(r)->exit_status;
}

static bool
verb_is_known(const struct request *q)
{
	bool known = strcmp(q->verb, "show") == 0;

	if (strcmp(q->verb, "list") == 0)
		return q->n_names == 0 && !q->content && !(q->brief && q->wanted.reasons);
	for (unsigned i = 0; i < QC_N_ACTS; i++)
		known |= strcmp(q->verb, qc_act_names[i]) == 0;
	return known && q->n_names > 0 && !q->is_list_only &&
	    (strcmp(q->verb, "show") == 0 || (!q->json && !q->content));
}

/* The place of a word in a list of N; false if it is not there. */
static bool
find_word(const char *word, const char *const words[], unsigned n, unsigned *at)
{
	for (*at = 0; *at < n; ++*at)
		if (strcmp(word, words[*at]) == 0)
			return true;
	return false;
}

/* An option of list that has a value. */
static bool
take_value(struct list_wanted *w, const char *option, const char *value, bool *has_order)
{
	unsigned at;

	if (strcmp(option, "--sender") == 0)
		w->sender = value;
	else if (strcmp(option, "--recipient") == 0)
		w->recipient = value;
	else if (strcmp(option, "--older") == 0)
		return list_duration(value, &w->older_us);
	else if (strcmp(option, "--order") == 0 && find_word(value, list_order_names, N_ORDERS, &at)) {
		w->order = (enum list_order)at;
		*has_order = true;
	} else if (strcmp(option, "--state") == 0 && find_word(value, list_state_names, N_STATES, &at))
		w->state = (enum list_state)at;
	else
		return false;
	return true;
}

static bool
take_flag(struct request *q, const char *option)
{
	if (strcmp(option, "--json") == 0)
		q->json = true;
	else if (strcmp(option, "--content") == 0)
		q->content = true;
	else {
		q->is_list_only = true;
		if (strcmp(option, "--held") == 0)
			q->wanted.state = STATE_HELD;
		else if (strcmp(option, "--reason") == 0)
			q->wanted.reasons = true;
		else if (strcmp(option, "--brief") == 0)
			q->brief = true;
		else
			return false;
	}
	return true;
}

/* Options may stand anywhere. */
static bool
parse(int argc, char *argv[], struct request *q)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-R") == 0 && i + 1 < argc)
			q->run = argv[++i];
		else if (argv[i][0] == '-' && take_flag(q, argv[i]))
			continue;
		else if (argv[i][0] == '-') {
			if (i + 1 == argc || !take_value(&q->wanted, argv[i], argv[i + 1], &q->has_order))
				return false;
			i++;
		} else if (q->verb == NULL)
			q->verb = argv[i];
		else
			q->names[q->n_names++] = argv[i];
	}
	/* people want to read, programs to have each row at once */
	if (!q->json && !q->brief)
		q->wanted.reasons = true;
	if (q->json && !q->has_order)
		q->wanted.order = ORDER_NONE;
	q->wanted.json = q->json;
	return q->verb != NULL && verb_is_known(q);
}

int
queue_main(int argc, char *argv[])
{
	/* names are gathered at the front of argv, behind what was read already */
	struct request q = { .run = POSTERN_RUNDIR, .names = argv };
	struct channel c = { .fd = -1 };
	struct why why = WHY_NONE;
	int status = 0;
	enum result r;

	about(argc, argv, "postern queue", usage_text);
	if (!parse(argc, argv, &q))
		return usage();
	if ((r = queue_connect(q.run, &c, &why)) != OK)
		return complain(r, &why);
	if (q.n_names == 0 && (r = queue_list(&q.wanted, &c, &why)) != OK)
		status = complain(r, &why);
	for (int i = 0; i < q.n_names; i++) {
		why = WHY_NONE;
		if ((r = do_one(&q, &c, q.names[i], &why)) != OK)
			status = complain(r, &why);
	}
	channel_close(&c);
	if (fflush(stdout) != 0 || ferror(stdout))
		return 111;
	return status;
}
