/* Reports to senders (RFC 3464), and what becomes of reports that can't be delivered.
 * Trusts queue's answers; a text of the envelope or of another host only as text.
 * Never reports to a null sender: that goes to the postmaster, and once only. */
#include "send/send.h"

#include "mail/date.h"
#include "mail/report.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <unistd.h>

enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4 };

static bool
wants(uint8_t notify, bool failed)
{
	if (failed)
		return notify == 0 || (notify & NOTIFY_FAILURE) != 0;
	return (notify & NOTIFY_SUCCESS) != 0;
}

static const struct task *
task_of(const struct message *m, uint32_t recipient)
{
	for (uint32_t i = 0; i < m->n_tasks; i++)
		if (m->tasks[i]->recipient == recipient)
			return m->tasks[i];
	return NULL;
}

struct finding {
	struct report_recipient who;
	uint8_t room[STORE_NOTE_MAX];
};

/* the last note of a recipient that failed in an earlier attempt: "5.1.1 text" */
static void
read_note(const struct message *m, uint32_t recipient, struct finding *f)
{
	struct store_notes notes;
	struct why why = WHY_NONE;

	f->who.text = BYTES("delivery failed");
	store_notes_begin(&notes, m->fd, &m->store);
	while (store_notes_next(&notes, &why) == OK) {
		if (notes.recipient != recipient || notes.text.len > sizeof f->room)
			continue;
		memcpy(f->room, notes.text.at, notes.text.len);
		f->who.text = bytes_of(f->room, notes.text.len);
	}
	for (size_t i = 0; i < 3; i++)
		f->who.status[i] = (uint8_t)(f->who.text.len > 5 && ascii_is_digit(f->who.text.at[2 * i])
			? f->who.text.at[2 * i] - '0'
			: 0);
	if (f->who.status[0] != 5)
		memcpy(f->who.status, (const uint8_t[3]){ 5, 0, 0 }, 3);
}

/* whether this recipient is to be in the report; fills *f if so */
static bool
find(const struct message *m, const struct store_recipient *r, uint32_t i, enum store_status status, struct finding *f)
{
	const struct task *t = task_of(m, i);
	bool failed = t != NULL ? t->outcome == SD_PERMANENT : status == STORE_FAILED;
	bool delivered = t != NULL && t->outcome == SD_DELIVERED;

	if ((!failed && !delivered) || !wants(r->notify, failed))
		return false;
	f->who = (struct report_recipient){
		.address = r->forward, .orcpt = r->orcpt, .action = failed ? REPORT_FAILED : REPORT_DELIVERED
	};
	if (t == NULL) {
		read_note(m, i, f);
		return true;
	}
	memcpy(f->who.status, t->enhanced, sizeof f->who.status);
	f->who.text = t->text != NULL ? bytes_of_string(t->text)
	    : delivered               ? BYTES("delivered")
				      : BYTES("delivery failed");
	return true;
}

static uint32_t
count_findings(const struct message *m, bool only_failed)
{
	struct store_walk w = store_walk_of(&m->store);
	struct store_recipient r;
	enum store_status status;
	struct finding f;
	uint32_t i, n = 0;

	while (store_walk_next(&w, &r, &i, &status))
		if (find(m, &r, i, status, &f))
			n += !only_failed || f.who.action == REPORT_FAILED;
	return n;
}

static bool
is_report(const struct message *m)
{
	return m->store.reverse.len == 0 || (m->store.flags & (STORE_BOUNCE | STORE_DOUBLE_BOUNCE)) != 0;
}

static void
put_address(struct buf *b, struct bytes local, struct bytes host)
{
	buf_add(b, local);
	if (bytes_find(local, '@') == local.len) {
		buf_add_octet(b, '@');
		buf_add(b, host);
	}
}

static void
put_destination(struct send *s, const struct message *m, struct buf *b)
{
	if (is_report(m))
		put_address(b, s->double_to, s->double_host);
	else
		buf_add(b, m->store.reverse);
}

static void
put_trace(struct send *s, const struct message *m, struct buf *b, size_t *id_at)
{
	buf_add_string(b, "Received: by ");
	buf_add(b, s->me);
	buf_add_string(b, " (Postern send, for a report on ");
	buf_add_string(b, m->id.text);
	buf_add_string(b, ") id ");
	*id_at = b->len;
	buf_add_string(b, ";\r\n\t");
	date_put(b, clock_wall_s());
	buf_add_string(b, "\r\n");
}

static bool
discard(const struct message *m, const char *what)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "bounce-discarded");
	log_text(&l, "msg", m->id.text);
	log_text(&l, "why", what);
	log_end(&l);
	return false;
}

/* never 0, unique among those in use, and in the message's chain */
static uint32_t
new_ref(struct send *s, const struct message *m)
{
	s->last_ref = (s->last_ref + 1) & 0x3fffff;
	return (s->last_ref == 0 ? ++s->last_ref : s->last_ref) * IN_HAND_CHAINS +
	    (uint32_t)(id_number(&m->id) % IN_HAND_CHAINS);
}

static enum result
open_report(struct send *s, struct message *m, struct why *why)
{
	struct pq_open open = { .flags = PQ_COMPLETE | PQ_BOUNCE, .n_recipients = 1, .n_here = 1, .uid = UINT32_MAX };
	uint8_t room[PQ_TAIL_MAX], address[STORE_PATH_MAX + 300], trace[1024];
	struct buf tail = BUF_OVER(room), to = BUF_OVER(address), text = BUF_OVER(trace);
	uint8_t notify = 0;
	size_t id_at;

	if (is_report(m))
		open.flags |= PQ_DOUBLE_BOUNCE;
	if (m->store.flags & STORE_SMTPUTF8)
		open.flags |= PQ_SMTPUTF8 | PQ_8BITMIME;
	if (m->store.flags & STORE_8BITMIME)
		open.flags |= PQ_8BITMIME;
	put_destination(s, m, &to);
	put_trace(s, m, &text, &id_at);
	open.id_at = (uint16_t)id_at;
	wire_put(&tail, BYTES_NONE); /* null sender */
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, buf_bytes(&text));
	wire_put_string(&tail, "send");
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, buf_bytes(&to));
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, bytes_of(&notify, 1));
	if (tail.failed || to.failed || text.failed)
		return why_set(why, EXHAUSTED, "the envelope of a report does not fit");
	m->report_ref = new_ref(s, m);
	return port_send(&s->bounces, PQ_OPEN, m->report_ref, &open, buf_bytes(&tail), NULL, why);
}

bool
bounce_begin(struct send *s, struct message *m)
{
	struct why why = WHY_NONE;
	enum result r;

	if (count_findings(m, is_report(m)) == 0)
		return false;
	if (m->store.flags & STORE_DOUBLE_BOUNCE)
		return discard(m, "triple bounce: a report about a report could not be delivered");
	if (is_report(m) && s->double_to.len == 0)
		return discard(m, "double bounce: doublebounceto is empty");
	r = open_report(s, m, &why);
	if (r == OK)
		return true;
	log_why("bounce", r, &why);
	return false; /* report_ref is set: the message is kept and tried again */
}

static void
fill(struct send *s, const struct message *m, struct report *r, struct buf *from, struct buf *to)
{
	put_address(from, s->bounce_from, s->bounce_host);
	put_destination(s, m, to);
	*r = (struct report){ .host = s->me,
		.from = buf_bytes(from),
		.to = buf_bytes(to),
		.id = bytes_of_string(m->id.text),
		.envid = m->store.envid,
		.arrived_s = m->store.received_us / 1000000,
		.now_s = clock_wall_s(),
		.utf8 = (m->store.flags & STORE_SMTPUTF8) != 0,
		.double_bounce = is_report(m),
		.fd = m->fd,
		.content_at = m->store.content_at,
		.content_len = m->store.content_len,
		.reverse_path = m->store.reverse,
		.trace = m->store.trace,
		.headers_only = (m->store.flags & STORE_RET_HDRS) != 0,
		.max_octets = s->bounce_max };
}

static void
log_report(const struct message *m, const struct report *r, uint32_t n)
{
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "bounce");
	log_text(&l, "msg", m->id.text);
	log_bytes(&l, "to", r->to);
	log_number(&l, "recipients", n);
	log_text(&l, "double", r->double_bounce ? "yes" : "no");
	log_end(&l);
}

static enum result
write_report(struct send *s, struct message *m, int fd, struct why *why)
{
	uint8_t from_room[600], to_room[STORE_PATH_MAX + 300];
	struct buf from = BUF_OVER(from_room), to = BUF_OVER(to_room);
	struct store_walk walk = store_walk_of(&m->store);
	struct store_recipient recipient;
	struct report_writer w;
	struct report r;
	enum store_status status;
	struct finding f;
	uint32_t i, n = 0;
	enum result result;

	fill(s, m, &r, &from, &to);
	report_begin(&w);
	while (store_walk_next(&walk, &recipient, &i, &status))
		if (find(m, &recipient, i, status, &f)) {
			report_add(&w, &r, &f.who);
			n++;
		}
	result = report_finish(&w, &r, fd, &m->report_octets, why);
	report_free(&w);
	if (result == OK)
		log_report(m, &r, n);
	return result;
}

void
bounce_writer(struct send *s, struct message *m, int fd)
{
	struct why why = WHY_NONE;
	struct pq_commit commit;
	enum result r = write_report(s, m, fd, &why);

	(void)close(fd);
	if (r == OK) {
		commit.octets = m->report_octets;
		r = port_send(&s->bounces, PQ_COMMIT, m->report_ref, &commit, BYTES_NONE, NULL, &why);
	} else
		(void)!port_send(&s->bounces, PQ_ABORT, m->report_ref, NULL, BYTES_NONE, NULL, &why);
	if (r == OK)
		return;
	log_why("bounce", r, &why);
	message_reported(s, m, r);
}
