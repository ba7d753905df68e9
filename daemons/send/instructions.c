/* A recipient's .qmail file, carried out instruction by instruction.
 * Trusts the user's own processes for what is done with the user's own mail, and for nothing else; addresses to forward to are checked
 * where they become an envelope.
 * Never begins an instruction before the one before it is over and its end is recorded; never carries out twice what is recorded as
 * done, unless the file has changed. */
#include "send/lines.h"

#include "base/enhanced.h"
#include "mail/dotqmail.h"
#include "mail/header_loop.h"
#include "mail/program_exit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_OCTETS_MAX (2 * DOTQMAIL_FILE_MAX + 3 * DOTQMAIL_ITEMS_MAX)

struct instructions {
	struct buf items; /* each: kind (one octet), length (two), text */
	uint32_t n, done; /* instructions; those that are over */
	size_t at;        /* of the one that is next */
	uint32_t n_forwards;
	bool stopped;
	uint8_t owner; /* enum si_owner */
	bool has_default;
	uint16_t rest_len;
	uint32_t limit_s;
	uint64_t fingerprint;
	uint8_t rest[1400]; /* what DEFAULT is set to */
};

/* ---- what instruct says ---- */

static enum result
add_item(struct instructions *l, struct bytes kind, struct bytes text)
{
	if (kind.len != 1 || kind.at[0] >= DOTQMAIL_N_KINDS || text.len > DOTQMAIL_LINE_MAX ||
	    l->n == DOTQMAIL_ITEMS_MAX)
		return MALFORMED;
	buf_add_octet(&l->items, kind.at[0]);
	buf_add_octet(&l->items, (uint8_t)text.len);
	buf_add_octet(&l->items, (uint8_t)(text.len >> 8));
	buf_add(&l->items, text);
	l->n++;
	return OK;
}

static struct instructions *
list_of(struct task *t)
{
	if (t->list == NULL && (t->list = calloc(1, sizeof *t->list)) != NULL)
		t->list->items = buf_growing(ITEMS_OCTETS_MAX);
	return t->list;
}

static enum result
take_items(struct instructions *l, const struct wire_message *m)
{
	const struct si_items *body = m->body;
	struct bytes tail = m->tail, kind, text;

	for (uint32_t i = 0; i < body->n; i++)
		if (!wire_take(&tail, &kind) || !wire_take(&tail, &text) || add_item(l, kind, text) != OK)
			return MALFORMED;
	return tail.len == 0 ? AGAIN : MALFORMED;
}

static enum result
take_answer(struct instructions *l, const struct wire_message *m)
{
	const struct si_answer *a = m->body;
	struct bytes fields[2];

	if (!wire_take_all(m->tail, fields, 2) || a->result > SI_LATER || a->owner > SI_VERP ||
	    !enhanced_is_valid(a->enhanced) || fields[1].len > sizeof l->rest)
		return MALFORMED;
	if (l == NULL)
		return OK; /* no memory: instructions_begin defers it */
	if (a->result != SI_LATER && a->n_items != l->n)
		return MALFORMED;
	l->owner = a->owner;
	l->fingerprint = a->fingerprint;
	l->has_default = a->has_default != 0;
	if (fields[1].len > 0)
		memcpy(l->rest, fields[1].at, fields[1].len);
	l->rest_len = (uint16_t)fields[1].len;
	return OK;
}

enum result
instructions_take(struct task *t, const struct wire_message *m, struct why *why)
{
	struct instructions *l = list_of(t);

	(void)why;
	if (m->type == SI_ANSWER)
		return take_answer(l, m);
	return l != NULL ? take_items(l, m) : AGAIN;
}

void
instructions_free(struct task *t)
{
	if (t->list == NULL)
		return;
	buf_free(&t->list->items);
	free(t->list);
	t->list = NULL;
}

/* ---- what is next ---- */

static bool
item_at(const struct instructions *l, size_t at, enum dotqmail_kind *kind, struct bytes *text)
{
	struct bytes rest = bytes_skip(buf_bytes(&l->items), at);

	if (rest.len < 3)
		return false;
	*kind = (enum dotqmail_kind)rest.at[0];
	*text = bytes_of(rest.at + 3, (size_t)(rest.at[1] | rest.at[2] << 8));
	return true;
}

static void
step(struct instructions *l)
{
	enum dotqmail_kind kind;
	struct bytes text;

	if (!item_at(l, l->at, &kind, &text))
		return;
	l->n_forwards += kind == DOTQMAIL_FORWARD;
	l->at += 3 + text.len;
	l->done++;
}

/* Below the home: what begins with it, or with "./", without that. */
static struct bytes
path_below(const struct task *t, struct bytes text)
{
	struct bytes home = lines_home(t);

	if (bytes_starts(text, home) && text.len > home.len && text.at[home.len] == '/')
		text = bytes_skip(text, home.len + 1);
	while (bytes_starts(text, BYTES("./")))
		text = bytes_skip(text, 2);
	return text.len > 0 ? text : BYTES(".");
}

struct bytes
instructions_path(const struct task *t, uint32_t *flags)
{
	enum dotqmail_kind kind;
	struct bytes text;

	if (!item_at(t->list, t->list->at, &kind, &text) || kind == DOTQMAIL_DEFAULT)
		return t->maildir;
	if (kind == DOTQMAIL_MBOX)
		*flags |= SD_MBOX;
	return kind == DOTQMAIL_PROGRAM ? text : path_below(t, text);
}

bool
instructions_next_address(const struct task *t, size_t *at, struct bytes *address)
{
	enum dotqmail_kind kind;

	while (*at < t->list->at && item_at(t->list, *at, &kind, address)) {
		*at += 3 + address->len;
		if (kind == DOTQMAIL_FORWARD)
			return true;
	}
	return false;
}

/* ---- addresses ---- */

static void
put_sender(const struct task *t, struct buf *b)
{
	if ((t->message->store.flags & STORE_DOUBLE_BOUNCE) != 0)
		buf_add_string(b, "#@[]");
	else
		task_put_sender(t, b);
}

bool
instructions_keep_sender(const struct task *t)
{
	return t->list->owner == SI_SAME;
}

void
instructions_put_newsender(const struct task *t, struct buf *b)
{
	size_t at = bytes_find_last(t->address, '@');
	bool verp = t->list->owner == SI_VERP;

	if (instructions_keep_sender(t)) {
		put_sender(t, b);
		return;
	}
	buf_add(b, bytes_first(t->address, at));
	buf_add_string(b, verp ? "-owner-" : "-owner");
	buf_add(b, bytes_skip(t->address, at));
	buf_add_string(b, verp ? "-@[]" : "");
}

void
instructions_put_senders(const struct task *t, struct buf *tail)
{
	uint8_t room[2][4096];
	struct buf one = BUF_OVER(room[0]), other = BUF_OVER(room[1]);

	put_sender(t, &one);
	instructions_put_newsender(t, &other);
	tail->failed |= one.failed || other.failed;
	wire_put(tail, buf_bytes(&one));
	wire_put(tail, buf_bytes(&other));
}

bool
instructions_default(const struct task *t, struct bytes *value)
{
	*value = bytes_of(t->list->rest, t->list->rest_len);
	return t->list->has_default;
}

uint32_t
instructions_limit_s(const struct task *t)
{
	return t->list->limit_s;
}

/* ---- how far it has come, in the queue file ---- */

/* Not flushed, as statuses are: what a power cut takes back is done again. */
static void
record(struct send *s, const struct task *t)
{
	struct qs_status body = { .recipient = t->recipient, .status = STORE_WAITING };
	uint8_t room[100];
	struct buf note = BUF_OVER(room);

	buf_format(&note, NOTE_STATE "%016llx %u%s", (unsigned long long)t->list->fingerprint, t->list->done,
	    t->list->stopped ? " stop" : "");
	tell_queue(s, QS_STATUS, &t->message->id, &body, buf_bytes(&note));
}

/* A record of this very list; false: it is something else. */
static bool
read_record(const struct instructions *l, struct bytes text, uint64_t *done, bool *stopped)
{
	uint8_t room[40];
	struct buf begins = BUF_OVER(room);
	struct bytes word;

	buf_format(&begins, NOTE_STATE "%016llx ", (unsigned long long)l->fingerprint);
	if (!bytes_starts(text, buf_bytes(&begins)))
		return false;
	text = bytes_skip(text, begins.len);
	*stopped = bytes_ends_nocase(text, BYTES(" stop"));
	return bytes_split(&text, ' ', &word) && bytes_to_number(word, l->n, done);
}

static void
recall(struct task *t)
{
	static struct store_notes notes;
	struct instructions *l = t->list;
	struct why why = WHY_NONE;
	uint64_t done = 0, n;
	bool stopped = false, stop;

	if (l->n < 2)
		return; /* nothing was recorded between the first and the last */
	store_notes_begin(&notes, t->message->fd, &t->message->store);
	while (store_notes_next(&notes, &why) == OK)
		if (notes.recipient == t->recipient && read_record(l, notes.text, &n, &stop)) {
			done = n;
			stopped = stop;
		}
	while (l->done < done)
		step(l);
	l->stopped = stopped;
}

/* ---- carrying it out ---- */

static void
wait_for(struct send *s, struct task *t, struct bytes text)
{
	uint16_t status[3] = { 4, 3, 0 };

	program_status_in(text, 4, status);
	lines_settle(s, t, SD_TEMPORARY, status, text);
}

static void
end(struct send *s, struct task *t)
{
	static const uint16_t done[3] = { 2, 0, 0 };

	if (t->list->n_forwards > 0)
		forward_begin(s, t);
	else
		lines_settle(s, t, SD_DELIVERED, done, BYTES("delivered"));
}

static void
go_on(struct send *s, struct task *t)
{
	struct instructions *l = t->list;
	enum dotqmail_kind kind = DOTQMAIL_FORWARD;
	struct bytes text = BYTES_NONE;

	while (!l->stopped && item_at(l, l->at, &kind, &text) && kind == DOTQMAIL_FORWARD)
		step(l);
	if (l->stopped || !item_at(l, l->at, &kind, &text)) {
		end(s, t);
		return;
	}
	switch (kind) {
	case DOTQMAIL_PROGRAM:
		lines_pass(s, t, LINE_PIPE);
		return;
	case DOTQMAIL_MAILDIR:
	case DOTQMAIL_MBOX:
		if (path_below(t, text).at[0] == '/')
			wait_for(s, t,
			    BYTES(
				"a .qmail line names a file outside of the home, where nothing is delivered (#4.7.0)"));
		else
			lines_pass(s, t, LINE_LOCAL);
		return;
	case DOTQMAIL_DEFAULT:
		lines_pass(s, t, LINE_LOCAL);
		return;
	default: /* DOTQMAIL_ERROR */
		wait_for(s, t, text);
		return;
	}
}

void
instructions_went(
    struct send *s, struct task *t, enum sd_outcome outcome, bool stop, const uint16_t enhanced[3], struct bytes text)
{
	struct instructions *l = t->list;

	if (outcome != SD_DELIVERED) {
		lines_settle(s, t, outcome, enhanced, text);
		return;
	}
	step(l);
	l->stopped = stop;
	if (l->n_forwards > 0 || (!stop && l->done < l->n))
		record(s, t);
	go_on(s, t);
}

void
instructions_forwarded(
    struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text)
{
	lines_settle(s, t, outcome, enhanced, text);
}

/* No file, or an empty one: as if there were no instructions. */
static void
by_default(struct send *s, struct task *t, bool no_file)
{
	if (no_file)
		lines_uninstructed(t);
	instructions_free(t);
	t->look_first = false;
	lines_pass(s, t, LINE_LOCAL);
}

static void
begin_list(struct send *s, struct task *t)
{
	static const uint16_t loop[3] = { 5, 4, 6 };
	const struct store_message *m = &t->message->store;
	enum result r = header_finds_loop(t->message->fd, m->content_at, m->content_len, t->address);

	if (r == OK) {
		lines_settle(s, t, SD_PERMANENT, loop,
		    BYTES("this message is going in circles: it was delivered to this address before"));
		return;
	}
	if (r == BROKEN) {
		lines_defer(s, t, "the message in the queue can't be read");
		return;
	}
	t->list->limit_s = s->program_limit_s;
	t->message->weight += t->list->items.size;
	s->weight += t->list->items.size;
	recall(t);
	go_on(s, t);
}

void
instructions_begin(struct send *s, struct task *t, const struct wire_message *m)
{
	static const uint16_t nobody[3] = { 5, 1, 1 };
	const struct si_answer *a = m->body;
	struct bytes fields[2] = { BYTES_NONE, BYTES_NONE };

	(void)wire_take_all(m->tail, fields, 2);
	if (a->result == SI_LATER)
		lines_settle(s, t, SD_TEMPORARY, a->enhanced, fields[0]);
	else if (a->result == SI_NOBODY)
		lines_settle(s, t, SD_PERMANENT, nobody, BYTES("there is no mailbox here by that name"));
	else if (a->result == SI_NO_FILE)
		by_default(s, t, true);
	else if (t->list == NULL || buf_result(&t->list->items) != OK)
		lines_defer(s, t, "no memory for the instructions of its .qmail file");
	else
		begin_list(s, t);
}
