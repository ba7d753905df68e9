/* Forwards: all addresses of a .qmail file get one new message, by way of queue, as one that comes in does.
 * Trusts no address: what a user wrote becomes an envelope only if it is a mailbox (RFC 5321 4.1.2).
 * Never says that a message was forwarded before queue has it on disk. */
#include "send/send.h"

#include "base/crc32c.h"
#include "mail/date.h"
#include "mail/verp.h"
#include "net/mailbox.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORWARDS_MAX 16u            /* on their way into queue; more wait */
#define REF_BIT (UINT64_C(1) << 63) /* of refs of forwards: reports have lower ones */
#define PIECE 65536u
#define PIECES_A_TURN 8               /* before others have their turn */
#define TAIL_ROOM (PQ_TAIL_MAX - 700) /* until a tail is full: a recipient has MAILBOX_MAX octets, and ten around it */

struct forward {
	struct task *task; /* null: free */
	uint64_t ref;
	int fd; /* that the content goes into; -1: not yet, or not any more */
	uint64_t done;
	uint32_t sum, n; /* recipients */
	char bad[200];   /* an address that is none; "": all are */
};

static struct forward forwards[FORWARDS_MAX];
static struct task *first_waiting, *last_waiting;
static uint64_t last_number;

/* ---- its recipients ---- */

/* False: it is empty, which is nobody, or no address, which f->bad has then. */
static bool
parse(const struct send *s, struct forward *f, struct bytes text, struct mailbox *m)
{
	text = bytes_trim(text);
	if (text.len == 0)
		return false;
	if (mailbox_parse(text, true, m, NULL) != OK || m->local_len == 0) {
		if (f->bad[0] == '\0')
			(void)snprintf(f->bad, sizeof f->bad, "%.*s", (int)text.len, (const char *)text.at);
		return false;
	}
	if (m->domain_len == 0) {
		struct bytes host = control_text(s->control, ITEM_ENVNOATHOST);

		memcpy(m->domain, host.at, host.len);
		m->domain_len = (uint16_t)host.len;
	}
	return true;
}

static bool
next_recipient(const struct send *s, struct forward *f, size_t *at, struct mailbox *m)
{
	struct bytes text;

	while (instructions_next_address(f->task, at, &text))
		if (parse(s, f, text, m))
			return true;
	return false;
}

static void
count(const struct send *s, struct forward *f, bool *utf8)
{
	static struct mailbox m;
	size_t at = 0;

	f->n = 0;
	for (*utf8 = false; next_recipient(s, f, &at, &m); f->n++)
		*utf8 |= m.utf8;
}

/* Who asked for no report at all gets none of this host's; whose message it has become decides otherwise. */
static uint8_t
notify_of(const struct task *t)
{
	return instructions_keep_sender(t) && (t->notify & NOTIFY_NEVER) != 0 ? NOTIFY_NEVER : 0;
}

static void
put_recipient(struct buf *tail, const struct mailbox *m, uint8_t notify)
{
	uint8_t room[MAILBOX_MAX];
	struct buf address = BUF_OVER(room);

	mailbox_print(m, &address);
	tail->failed |= address.failed;
	wire_put(tail, buf_bytes(&address));
	wire_put(tail, BYTES_NONE);
	wire_put(tail, bytes_of(&notify, 1));
}

/* As many as there is room for; *at and *left move on. */
static uint32_t
put_recipients(const struct send *s, struct forward *f, size_t *at, uint32_t *left, struct buf *tail)
{
	static struct mailbox m;
	uint32_t n = 0;

	while (*left > 0 && tail->len < TAIL_ROOM && next_recipient(s, f, at, &m)) {
		put_recipient(tail, &m, notify_of(f->task));
		n++;
		--*left;
	}
	return n;
}

/* ---- its envelope ---- */

static void
put_trace(const struct send *s, const struct task *t, struct buf *b, size_t *id_at)
{
	buf_add_string(b, "Received: by ");
	buf_add(b, s->me);
	buf_add_string(b, " (Postern send, forwarded from ");
	buf_add_string(b, t->message->id.text);
	buf_add_string(b, ") id ");
	*id_at = b->len;
	buf_add_string(b, ";\r\n\t");
	date_put(b, t->message->now_s);
	buf_add_string(b, "\r\nDelivered-To: ");
	buf_add(b, t->address);
	buf_add_string(b, "\r\n");
}

static uint32_t
flags_of(const struct task *t, bool utf8)
{
	static const struct {
		uint32_t store, pq;
	} pairs[] = { { STORE_8BITMIME, PQ_8BITMIME }, { STORE_SMTPUTF8, PQ_SMTPUTF8 }, { STORE_BOUNCE, PQ_BOUNCE },
		{ STORE_DOUBLE_BOUNCE, PQ_DOUBLE_BOUNCE } };
	uint32_t flags = utf8 ? PQ_SMTPUTF8 : 0;

	for (size_t i = 0; i < nitems(pairs); i++)
		if ((t->message->store.flags & pairs[i].store) != 0)
			flags |= pairs[i].pq;
	return flags;
}

static bool
is_double_bounce(const struct task *t)
{
	return (t->message->store.flags & STORE_DOUBLE_BOUNCE) != 0;
}

static void
put_head(const struct send *s, const struct task *t, struct buf *tail, struct pq_open *open)
{
	uint8_t sender_room[4096], trace_room[PQ_TRACE_MAX];
	struct buf sender = BUF_OVER(sender_room), trace = BUF_OVER(trace_room);
	struct bytes reverse;
	size_t id_at;

	if (!is_double_bounce(t))
		instructions_put_newsender(t, &sender);
	reverse = buf_bytes(&sender);
	if (verp_take_mark(&reverse))
		open->flags |= PQ_VERP;
	put_trace(s, t, &trace, &id_at);
	open->id_at = (uint16_t)id_at;
	wire_put(tail, reverse);
	wire_put(tail, BYTES_NONE);
	wire_put(tail, buf_bytes(&trace));
	wire_put_string(tail, "send");
	wire_put(tail, BYTES_NONE);
	tail->failed |= sender.failed || trace.failed;
}

static enum result
send_more(struct send *s, struct forward *f, size_t at, uint32_t left, struct why *why)
{
	enum result r = OK;

	while (left > 0 && r == OK) {
		uint8_t room[PQ_TAIL_MAX];
		struct buf tail = BUF_OVER(room);
		struct pq_more more = { .n_here = put_recipients(s, f, &at, &left, &tail) };

		more.flags = left == 0 ? PQ_COMPLETE : 0;
		r = tail.failed || more.n_here == 0
		    ? why_set(why, EXHAUSTED, "the recipients of a forward do not fit")
		    : port_send(&s->bounces, PQ_MORE, f->ref, &more, buf_bytes(&tail), NULL, why);
	}
	return r;
}

static enum result
open_message(struct send *s, struct forward *f, bool utf8, struct why *why)
{
	const struct store_message *m = &f->task->message->store;
	struct pq_open open = { .octets = m->trace.len + m->content_len,
		.flags = flags_of(f->task, utf8),
		.n_recipients = f->n,
		.uid = UINT32_MAX };
	uint8_t room[PQ_TAIL_MAX];
	struct buf tail = BUF_OVER(room);
	uint32_t left = f->n;
	size_t at = 0;
	enum result r;

	put_head(s, f->task, &tail, &open);
	open.n_here = put_recipients(s, f, &at, &left, &tail);
	if (left == 0)
		open.flags |= PQ_COMPLETE;
	if (tail.failed)
		return why_set(why, EXHAUSTED, "the envelope of a forward does not fit");
	f->ref = REF_BIT | ++last_number << 4 | (uint64_t)(f - forwards);
	r = port_send(&s->bounces, PQ_OPEN, f->ref, &open, buf_bytes(&tail), NULL, why);
	return r == OK ? send_more(s, f, at, left, why) : r;
}

/* ---- its end ---- */

static void begin_next(struct send *s);

static void
settle(struct send *s, struct forward *f, enum sd_outcome outcome, const char *text)
{
	static const uint16_t fine[3] = { 2, 0, 0 }, here[3] = { 4, 3, 0 }, no_address[3] = { 5, 1, 3 };
	struct task *t = f->task;
	char more[WHY_MAX];

	fd_close(&f->fd);
	f->task = NULL;
	if (outcome != SD_DELIVERED)
		instructions_forwarded(s, t, outcome, here, bytes_of_string(text));
	else if (f->bad[0] == '\0')
		instructions_forwarded(s, t, outcome, fine, BYTES("forwarded"));
	else { /* all others have it */
		(void)snprintf(more, sizeof more, "the .qmail file forwards to what is no address: %s", f->bad);
		instructions_forwarded(s, t, SD_PERMANENT, no_address, bytes_of_string(more));
	}
}

static void
fail(struct send *s, struct forward *f, enum result r, const struct why *why)
{
	log_why("forward", r, why);
	settle(s, f, SD_TEMPORARY, "the message can't be forwarded now");
}

/* ---- its content ---- */

/* The next piece: of the trace fields, which were not in the content before, or of the content. */
static enum result
copy_piece(struct forward *f, struct why *why)
{
	static uint8_t room[PIECE];
	const struct message *m = f->task->message;
	struct bytes piece = bytes_skip(
	    m->store.trace, f->done < m->store.trace.len ? (size_t)f->done : m->store.trace.len);
	uint64_t at = f->done - m->store.trace.len, left;
	size_t n;
	enum result r;

	if (piece.len == 0) {
		left = m->store.content_len - at;
		if (fd_pread_all(m->fd, room, left < PIECE ? (size_t)left : PIECE, (off_t)(m->store.content_at + at),
			&n) != OK ||
		    n == 0)
			return why_set(why, BROKEN, "the message in the queue can't be read");
		piece = bytes_of(room, n);
	}
	if ((r = fd_write_all(f->fd, piece)) != OK)
		return why_errno(why, r, "writing a message to be forwarded");
	f->sum = crc32c_add(f->sum, piece);
	f->done += piece.len;
	return OK;
}

static void
copy_some(struct send *s, struct forward *f)
{
	const struct store_message *m = &f->task->message->store;
	struct pq_commit commit = { .octets = m->trace.len + m->content_len };
	struct why why = WHY_NONE;
	enum result r = OK;

	for (int i = 0; i < PIECES_A_TURN && f->done < commit.octets && r == OK; i++)
		r = copy_piece(f, &why);
	if (r == OK && f->done < commit.octets)
		return;
	fd_close(&f->fd);
	commit.sum = f->sum;
	if (r == OK)
		r = port_send(&s->bounces, PQ_COMMIT, f->ref, &commit, BYTES_NONE, NULL, &why);
	else
		(void)!port_send(&s->bounces, PQ_ABORT, f->ref, NULL, BYTES_NONE, NULL, &why);
	if (r != OK) {
		fail(s, f, r, &why);
		begin_next(s);
	}
}

void
forwards_go_on(struct send *s)
{
	for (struct forward *f = forwards; f < forwards + FORWARDS_MAX; f++) {
		if (f->task == NULL || f->fd < 0)
			continue;
		copy_some(s, f);
		s->loop.hurry |= f->task != NULL && f->fd >= 0;
	}
}

/* ---- its beginning ---- */

static void
begin(struct send *s, struct forward *f, struct task *t)
{
	struct why why = WHY_NONE;
	bool utf8;
	enum result r;

	*f = (struct forward){ .task = t, .fd = -1 };
	count(s, f, &utf8);
	if (f->n == 0) {
		settle(s, f, SD_DELIVERED, "");
		return;
	}
	if ((r = open_message(s, f, utf8, &why)) != OK)
		fail(s, f, r, &why);
}

/* Settling one may add others to those that wait. */
static void
begin_next(struct send *s)
{
	for (struct forward *f = forwards; f < forwards + FORWARDS_MAX && first_waiting != NULL; f++) {
		while (f->task == NULL && first_waiting != NULL) {
			struct task *t = first_waiting;

			first_waiting = t->next;
			if (first_waiting == NULL)
				last_waiting = NULL;
			begin(s, f, t);
		}
	}
}

void
forward_begin(struct send *s, struct task *t)
{
	t->next = NULL;
	*(last_waiting != NULL ? &last_waiting->next : &first_waiting) = t;
	last_waiting = t;
	begin_next(s);
}

static struct forward *
find(uint64_t ref)
{
	struct forward *f = &forwards[ref % FORWARDS_MAX];

	return (ref & REF_BIT) != 0 && f->task != NULL && f->ref == ref ? f : NULL;
}

bool
forwards_answered(struct send *s, struct wire_message *m)
{
	struct forward *f = find(m->ref);
	char text[WHY_MAX];

	if (f == NULL)
		return (m->ref & REF_BIT) != 0; /* we gave it up */
	switch (m->type) {
	case PQ_WRITER:
		f->fd = m->fds[0];
		m->fds[0] = -1;
		return true; /* forwards_go_on writes, in this turn */
	case PQ_COMMITTED:
		settle(s, f, SD_DELIVERED, "");
		break;
	case PQ_FAILED:
		(void)snprintf(text, sizeof text, "the message can't be forwarded now: %.*s", (int)m->tail.len,
		    (const char *)m->tail.at);
		settle(s, f, SD_TEMPORARY, text);
		break;
	default:
		return false;
	}
	begin_next(s);
	return true;
}
