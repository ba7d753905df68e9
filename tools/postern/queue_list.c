/* postern queue list.
 * Trusts `queue` for its rows, as far as lib/wire and lib/store check them; not what is in them: it came from anywhere.
 * Never asks for a file while rows come: one request at a time. */
#include "postern/queue_list.h"

#include "postern/queue_print.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_AHEAD 256

const char *const list_order_names[N_ORDERS] = { "time", "due", "octets", "attempts", "sender", "none" };
const char *const list_state_names[N_STATES] = { "any", "waiting", "deferred", "held" };

struct entry {
	struct qc_row row;
	size_t lens[3];
	uint8_t *fields; /* sender, service, recipient, one behind the other */
};

struct listing {
	const struct list_wanted *wanted;
	struct entry *entries;
	size_t n, size;
	uint64_t now_us;
};

bool
list_duration(const char *text, uint64_t *us)
{
	static const struct {
		uint8_t letter;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct bytes number = bytes_of_string(text);
	uint64_t unit = 1, n;

	for (size_t i = 0; i < nitems(units) && number.len > 0; i++)
		if (number.at[number.len - 1] == units[i].letter) {
			unit = units[i].seconds;
			number.len--;
			break;
		}
	if (!bytes_to_number(number, UINT32_MAX, &n))
		return false;
	*us = n * unit * 1000000;
	return true;
}

/* ---- which ---- */

static enum list_state
state_of(const struct qc_row *row)
{
	return row->held ? STATE_HELD : row->attempts > 0 ? STATE_DEFERRED : STATE_WAITING;
}

static bool
has_part(struct bytes text, const char *part)
{
	struct bytes wanted = bytes_of_string(part);

	for (size_t i = 0; i + wanted.len <= text.len; i++)
		if (bytes_equal_nocase(bytes_first(bytes_skip(text, i), wanted.len), wanted))
			return true;
	return false;
}

/* By what the row itself says; of several recipients it has the first that waits. */
static bool
may_be_wanted(const struct listing *l, const struct qc_row *row, const struct row_text *text)
{
	const struct list_wanted *w = l->wanted;

	return (w->state == STATE_ANY || w->state == state_of(row)) &&
	    (w->older_us == 0 || (l->now_us >= w->older_us && row->received_us <= l->now_us - w->older_us)) &&
	    (w->sender == NULL || has_part(text->sender, w->sender)) &&
	    (w->recipient == NULL || row->n_recipients > 1 || has_part(text->recipient, w->recipient));
}

/* ---- rows ---- */

static struct row_text
text_of(const struct entry *e)
{
	struct bytes sender = bytes_of(e->fields, e->lens[0]);
	struct bytes service = bytes_of(e->fields + e->lens[0], e->lens[1]);

	return (struct row_text){ .sender = sender,
		.service = service,
		.recipient = bytes_of(e->fields + e->lens[0] + e->lens[1], e->lens[2]) };
}

static enum result
keep(struct listing *l, const struct qc_row *row, const struct row_text *text, struct why *why)
{
	struct entry e = { *row, { text->sender.len, text->service.len, text->recipient.len }, NULL };
	struct buf all = buf_growing(8192);

	if (l->n == l->size) {
		size_t size = l->size == 0 ? 1024 : l->size * 2;
		struct entry *more = reallocarray(l->entries, size, sizeof *more);

		if (more == NULL)
			return why_set(why, EXHAUSTED, "no memory for so many messages: --order none needs none");
		l->entries = more;
		l->size = size;
	}
	buf_add(&all, text->sender);
	buf_add(&all, text->service);
	buf_add(&all, text->recipient);
	e.fields = all.len == 0 ? NULL : malloc(all.len);
	if (e.fields != NULL)
		memcpy(e.fields, all.at, all.len);
	else if (all.len > 0 || all.failed) {
		buf_free(&all);
		return why_set(why, EXHAUSTED, "no memory for so many messages: --order none needs none");
	}
	buf_free(&all);
	l->entries[l->n++] = e;
	return OK;
}

static void
print_one(const struct list_wanted *w, const struct qc_row *row, const struct row_text *text)
{
	if (w->json)
		print_row_json(row, text);
	else
		print_row(row, text);
}

static bool
is_streamed(const struct list_wanted *w)
{
	return w->order == ORDER_NONE && !w->reasons && w->recipient == NULL;
}

static enum result
take_row(struct listing *l, const struct wire_message *m, struct why *why)
{
	const struct qc_row *row = m->body;
	struct row_text text = { .reason = BYTES_NONE };
	struct bytes fields[3];

	if (!wire_take_all(m->tail, fields, 3))
		return why_set(why, MALFORMED, "a row without its fields");
	text.sender = fields[0];
	text.service = fields[1];
	text.recipient = fields[2];
	if (!may_be_wanted(l, row, &text))
		return OK;
	if (!is_streamed(l->wanted))
		return keep(l, row, &text, why);
	print_one(l->wanted, row, &text);
	return OK;
}

static enum result
take_rows(struct listing *l, struct channel *c, struct why *why)
{
	static struct wire_buffer buffer;
	struct qc_list ask = { .n = ROWS_AHEAD };
	struct wire_message m;
	unsigned since = 0;
	enum result r = channel_send(c, QC_LIST, 0, &ask, BYTES_NONE, NULL, why);

	while (r == OK && (r = queue_hear(c, &buffer, &m, why)) == OK) {
		if (m.type == QC_END)
			return queue_end(&m, why);
		r = m.type == QC_ROW ? take_row(l, &m, why)
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

/* ---- order ---- */

static int
by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare(const void *a, const void *b, void *order)
{
	const struct entry *x = a, *y = b;
	int sign = 0;

	switch (*(const enum list_order *)order) {
	case ORDER_DUE:
		sign = by_number(x->row.due_at, y->row.due_at);
		break;
	case ORDER_OCTETS:
		sign = by_number(y->row.octets, x->row.octets);
		break;
	case ORDER_ATTEMPTS:
		sign = by_number(y->row.attempts, x->row.attempts);
		break;
	case ORDER_SENDER:
		sign = bytes_compare(text_of(x).sender, text_of(y).sender);
		break;
	default:
		break;
	}
	return sign != 0 ? sign : by_number(x->row.received_us, y->row.received_us);
}

/* ---- what only the file has ---- */

static bool
has_recipient(const struct store_message *m, const char *part)
{
	struct store_walk w = store_walk_of(m);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	while (store_walk_next(&w, &r, &i, &status))
		if (status == STORE_WAITING && has_part(r.forward, part))
			return true;
	return false;
}

static bool
needs_file(const struct list_wanted *w, const struct entry *e)
{
	return (w->recipient != NULL && !has_part(text_of(e).recipient, w->recipient)) ||
	    (w->reasons && e->row.attempts > 0);
}

static void
print_with_file(const struct list_wanted *w, struct channel *c, const struct entry *e)
{
	struct row_text text = text_of(e);
	struct store_message m = { 0 };
	struct why ignored = WHY_NONE;
	bool wanted = true;
	int fd = -1;

	if (needs_file(w, e)) {
		wanted = queue_file(c, e->row.id, &fd, &ignored) == OK && store_read(fd, &m, &ignored) == OK;
		if (wanted && w->recipient != NULL && !has_part(text.recipient, w->recipient))
			wanted = has_recipient(&m, w->recipient);
		if (wanted && w->reasons)
			text.reason = message_reason(fd, &m);
	}
	if (wanted) /* else it has gone meanwhile, or goes to others */
		print_one(w, &e->row, &text);
	store_message_free(&m);
	fd_close(&fd);
}

enum result
queue_list(const struct list_wanted *w, struct channel *c, struct why *why)
{
	struct listing l = { .wanted = w, .now_us = clock_wall_us() };
	enum list_order order = w->order;
	enum result r = take_rows(&l, c, why);

	if (r == OK && order != ORDER_NONE && l.n > 0)
		qsort_r(l.entries, l.n, sizeof l.entries[0], compare, &order);
	for (size_t i = 0; i < l.n; i++) {
		if (r == OK)
			print_with_file(w, c, &l.entries[i]);
		free(l.entries[i].fields);
	}
	free(l.entries);
	return r;
}
