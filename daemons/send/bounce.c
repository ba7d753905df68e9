/* Reports to senders (RFC 3464), and what becomes of reports that can't be delivered.
 * Trusts queue's answers; a text of the envelope or of another host only as text.
 * Never reports to a null sender: that goes to the postmaster, and once only. */
#include "send/send.h"

#include "mail/date.h"
#include "mail/header_ascii.h"
#include "mail/report.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <unistd.h>

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
	if (message_is_report(m))
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

static void
discard(const struct message *m, const char *what)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "bounce-discarded");
	log_text(&l, "msg", m->id.text);
	log_text(&l, "why", what);
	log_end(&l);
}

/* A report needs SMTPUTF8, and the forms of RFC 6533, only if what it shows of the message has octets beyond ASCII. */
static bool
needs_utf8(const struct message *m)
{
	struct store_walk w = store_walk_of(&m->store);
	bool needed = !text_is_ascii(m->store.reverse) || !text_is_ascii(m->store.trace);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	if ((m->store.flags & STORE_SMTPUTF8) == 0)
		return false;
	while (!needed && store_walk_next(&w, &r, &i, &status))
		needed = !text_is_ascii(r.forward) || !text_is_ascii(r.orcpt);
	return needed || !header_is_ascii(m->fd, m->store.content_at, m->store.content_len);
}

/* never 0, never used before, and in the message's chain; the highest bit is for forwards */
static uint64_t
new_ref(struct send *s, const struct message *m)
{
	return ++s->last_ref * IN_HAND_CHAINS + id_number(&m->id) % IN_HAND_CHAINS;
}

static enum result
open_report(struct send *s, struct message *m, struct why *why)
{
	struct pq_open open = { .flags = PQ_COMPLETE | PQ_BOUNCE, .n_recipients = 1, .n_here = 1, .uid = UINT32_MAX };
	uint8_t room[PQ_TAIL_MAX], address[STORE_PATH_MAX + 300], trace[1024];
	struct buf tail = BUF_OVER(room), to = BUF_OVER(address), text = BUF_OVER(trace);
	uint8_t notify = 0;
	size_t id_at;

	if (message_is_report(m))
		open.flags |= PQ_DOUBLE_BOUNCE;
	m->report_is_utf8 = needs_utf8(m);
	if (m->report_is_utf8)
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

/* The next one that waits for its turn; those that can't be begun have failed. */
static void
begin_next(struct send *s)
{
	while (s->unreported.first != NULL && s->n_reports < REPORTS_MAX) {
		struct message *m = s->unreported.first;
		struct why why = WHY_NONE;
		enum result r;

		s->unreported.first = m->unreported;
		if (s->unreported.first == NULL)
			s->unreported.last = NULL;
		s->n_reports++;
		r = open_report(s, m, &why);
		if (r == OK)
			continue;
		log_why("bounce", r, &why);
		m->report_ref = 0;
		s->n_reports--;
		message_reported(s, m, r);
	}
}

bool
bounce_begin(struct send *s, struct message *m)
{
	if (findings_walk(m, false, NULL, NULL) == 0)
		return false;
	if (m->store.flags & STORE_DOUBLE_BOUNCE) {
		discard(m, "triple bounce: a report about a report could not be delivered");
		message_reported(s, m, OK);
		return true;
	}
	if (message_is_report(m) && s->double_to.len == 0) {
		discard(m, "double bounce: doublebounceto is empty");
		message_reported(s, m, OK);
		return true;
	}
	m->unreported = NULL;
	if (s->unreported.last == NULL)
		s->unreported.first = m;
	else
		s->unreported.last->unreported = m;
	s->unreported.last = m;
	begin_next(s);
	return true;
}

void
bounce_ended(struct send *s, struct message *m, enum result r)
{
	m->report_ref = 0;
	s->n_reports--;
	message_reported(s, m, r);
	begin_next(s);
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
		.until_s = m->store.received_us / 1000000 + s->lifetime_s,
		.utf8 = m->report_is_utf8,
		.eight_bit = (m->store.flags & STORE_8BITMIME) != 0,
		.double_bounce = message_is_report(m),
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
	log_bytes(&l, "for", r->to);
	log_number(&l, "recipients", n);
	log_text(&l, "double", r->double_bounce ? "yes" : "no");
	log_end(&l);
}

struct writing {
	struct report report;
	struct report_writer writer;
};

static void
add(void *context, uint32_t recipient, const struct report_recipient *who)
{
	struct writing *w = context;

	(void)recipient;
	report_add(&w->writer, &w->report, who);
}

static enum result
write_report(struct send *s, struct message *m, int fd, struct report_size *size, struct why *why)
{
	uint8_t from_room[600], to_room[STORE_PATH_MAX + 300];
	struct buf from = BUF_OVER(from_room), to = BUF_OVER(to_room);
	struct writing w;
	enum result r;
	uint32_t n;

	fill(s, m, &w.report, &from, &to);
	report_begin(&w.writer);
	n = findings_walk(m, true, add, &w);
	r = report_finish(&w.writer, &w.report, fd, size, why);
	report_free(&w.writer);
	if (r == OK)
		log_report(m, &w.report, n);
	return r;
}

void
bounce_writer(struct send *s, struct message *m, int fd)
{
	struct why why = WHY_NONE;
	struct report_size size = { 0 };
	enum result r = write_report(s, m, fd, &size, &why);
	struct pq_commit commit = { .octets = size.octets, .sum = size.sum };

	(void)close(fd);
	if (r == OK)
		r = port_send(&s->bounces, PQ_COMMIT, m->report_ref, &commit, BYTES_NONE, NULL, &why);
	else
		(void)!port_send(&s->bounces, PQ_ABORT, m->report_ref, NULL, BYTES_NONE, NULL, &why);
	if (r == OK)
		return;
	log_why("bounce", r, &why);
	bounce_ended(s, m, r);
}
