/* postern queue: the administrator's side of the admin door.
 * Trusts `queue`, whose answers it prints, as far as lib/wire and lib/store check them.
 * Never reads or writes the queue directory itself. */
#include "postern/queue.h"

#include "config.h"
#include "postern/door.h"
#include "postern/queue_print.h"
#include "sys/about.h"
#include "sys/fd.h"
#include "wire/door.h"

#include <stdio.h>
#include <string.h>

#define ROWS_AHEAD 256

struct request {
	const char *run;
	bool json, content, held_only;
	const char *verb;
	char **names;
	int n_names;
};

static const char usage_text[] = "usage: postern queue [-R RUNDIR] list [--json] [--held]\n"
				 "       postern queue [-R RUNDIR] show [--json] [--content] ID ...\n"
				 "       postern queue [-R RUNDIR] hold|release|bounce|delete ID ...\n"
				 "       postern queue [-R RUNDIR] retry all | ID ... | DOMAIN ...\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return 100;
}

static enum result
connect_to_queue(const char *run, struct channel *c, struct why *why)
{
	enum result r;
	int door;

	if ((r = admin_door(run, "queue.admin", "send", &door, why)) != OK)
		return r;
	r = door_open(door, &queue_control_protocol, true, c, why);
	fd_close(&door);
	return r;
}

static enum result
tell_end(const struct wire_message *m, struct why *why)
{
	const struct qc_end *end = m->body;

	if (end->result == OK)
		return OK;
	return why_set(why, end->result <= BROKEN ? (enum result)end->result : BROKEN, "%.*s", (int)m->tail.len,
	    (const char *)m->tail.at);
}

/* ---- list ---- */

static enum result
show_row(const struct request *q, const struct wire_message *m, struct why *why)
{
	const struct qc_row *row = m->body;
	struct row_text text;
	struct bytes fields[3];

	if (!wire_take_all(m->tail, fields, 3))
		return why_set(why, MALFORMED, "a row without its fields");
	text = (struct row_text){ fields[0], fields[1], fields[2] };
	if (q->held_only && !row->held)
		return OK;
	if (q->json)
		print_row_json(row, &text);
	else
		print_row(row, &text);
	return OK;
}

static enum result
list(const struct request *q, struct channel *c, struct why *why)
{
	static struct wire_buffer buffer;
	struct qc_list ask = { .n = ROWS_AHEAD };
	struct wire_message m;
	unsigned since = 0;
	enum result r = channel_send(c, QC_LIST, 0, &ask, BYTES_NONE, NULL, why);

	while (r == OK && (r = channel_receive(c, &buffer, &m, why)) == OK) {
		if (m.type == QC_END)
			return tell_end(&m, why);
		r = m.type == QC_ROW ? show_row(q, &m, why)
				     : why_set(why, MALFORMED, "an answer that was not asked for");
		wire_close_fds(&m);
		if (r == OK && ++since == ROWS_AHEAD / 2) {
			ask.n = since;
			since = 0;
			r = channel_send(c, QC_MORE, 0, &ask, BYTES_NONE, NULL, why);
		}
	}
	return r;
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
fill_id(char id[ID_LEN + 1], const char *name, struct why *why)
{
	if (!id_is_valid(bytes_of_string(name)))
		return why_set(why, MALFORMED, "%s is no message's id", name);
	memcpy(id, name, ID_LEN + 1);
	return OK;
}

static enum result
show(const struct request *q, struct channel *c, const char *name, struct why *why)
{
	static struct wire_buffer buffer;
	struct qc_name ask = { .spare = 0 };
	struct wire_message m;
	enum result r;

	if ((r = fill_id(ask.id, name, why)) != OK ||
	    (r = channel_send(c, QC_SHOW, 0, &ask, BYTES_NONE, NULL, why)) != OK ||
	    (r = channel_receive(c, &buffer, &m, why)) != OK)
		return r;
	if (m.type == QC_END)
		r = tell_end(&m, why);
	else
		r = m.type == QC_FILE ? show_file(q, m.fds[0], why)
				      : why_set(why, MALFORMED, "an answer that was not asked for");
	wire_close_fds(&m);
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
	else if ((r = fill_id(ask.id, name, why)) != OK)
		return r;
	if (domain.len > 255)
		return why_set(why, MALFORMED, "%.40s... is no domain", name);
	if ((r = channel_send(c, QC_ACT, 0, &ask, domain, NULL, why)) != OK ||
	    (r = channel_receive(c, &buffer, &m, why)) != OK)
		return r;
	r = m.type == QC_END ? tell_end(&m, why) : why_set(why, MALFORMED, "an answer that was not asked for");
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
		return q->n_names == 0 && !q->content;
	for (unsigned i = 0; i < QC_N_ACTS; i++)
		known |= strcmp(q->verb, qc_act_names[i]) == 0;
	return known && q->n_names > 0 && !q->held_only && (strcmp(q->verb, "show") == 0 || (!q->json && !q->content));
}

/* Options may stand anywhere. */
static bool
parse(int argc, char *argv[], struct request *q)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			q->json = true;
		else if (strcmp(argv[i], "--content") == 0)
			q->content = true;
		else if (strcmp(argv[i], "--held") == 0)
			q->held_only = true;
		else if (strcmp(argv[i], "-R") == 0 && i + 1 < argc)
			q->run = argv[++i];
		else if (argv[i][0] == '-')
			return false;
		else if (q->verb == NULL)
			q->verb = argv[i];
		else
			q->names[q->n_names++] = argv[i];
	}
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
	if ((r = connect_to_queue(q.run, &c, &why)) != OK)
		return complain(r, &why);
	if (q.n_names == 0 && (r = list(&q, &c, &why)) != OK)
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
