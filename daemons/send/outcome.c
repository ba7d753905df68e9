/* What became of a recipient: settled once, logged once, told to queue.
 * Trusts who settles a task to have had it; a text only as text.
 * Never makes of a failure a delivery, whatever status came with it. */
#include "send/send.h"

#include "base/enhanced.h"
#include "mail/verp.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
log_milliseconds(struct log_line *l, const struct delivery_facts *f)
{
	log_number(l, "dns_ms", f->dns_ms);
	log_number(l, "connect_ms", f->connect_ms);
	log_number(l, "tls_ms", f->tls_ms);
	log_number(l, "transfer_ms", f->transfer_ms);
}

static void
log_facts(struct log_line *l, const struct delivery_facts *f)
{
	if (f->host.len > 0)
		log_bytes(l, "host", f->host);
	if (f->conn == NULL)
		return; /* there was no connection for this one */
	log_text(l, "conn", f->conn);
	log_bytes(l, "address", f->address);
	if (f->protocol.len > 0) {
		log_bytes(l, "tls", f->protocol);
		log_bytes(l, "cipher", f->cipher);
	}
	log_bytes(l, "verified", f->how);
	log_milliseconds(l, f);
	if (f->duplicate)
		log_text(l, "duplicate", "possible");
}

static void
log_delivery(const struct send *s, const struct task *t, const struct delivery_facts *f)
{
	static const char *const names[] = {
		[SD_DELIVERED] = "delivered", [SD_TEMPORARY] = "deferred", [SD_PERMANENT] = "failed"
	};
	const struct message *m = t->message;
	uint64_t received_s = m->store.received_us / 1000000;
	struct log_line l;
	char status[ENHANCED_TEXT];

	(void)snprintf(status, sizeof status, "%u.%u.%u", t->enhanced[0], t->enhanced[1], t->enhanced[2]);
	log_begin(&l, t->outcome == SD_DELIVERED ? SEVERITY_INFO : SEVERITY_WARNING, "delivery");
	log_text(&l, "msg", m->id.text);
	log_bytes(&l, "rcpt", t->address);
	if (!bytes_equal(t->said, t->address))
		log_bytes(&l, "orig", t->said); /* what senders ask about */
	if (t->user.len > 0)
		log_bytes(&l, "user", t->user);
	log_text(&l, "result", names[t->outcome]);
	log_text(&l, "status", status);
	log_number(&l, "age_s", m->now_s > received_s ? m->now_s - received_s : 0);
	log_number(&l, "took_ms", t->began_ms > 0 ? s->loop.now - t->began_ms : 0);
	if (f != NULL)
		log_facts(&l, f);
	if (t->text != NULL && t->outcome != SD_DELIVERED)
		log_text(&l, f != NULL && f->from_peer ? "reply" : "text", t->text);
	else if (f != NULL)
		log_bytes(&l, "reply", f->reply);
	log_end(&l);
}

/* A lone recipient's delivery is recorded by the removal of the message, unless a report on it comes first. */
static bool
needs_record(const struct task *t)
{
	struct store_walk w = store_walk_of(&t->message->store);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	if (t->outcome != SD_DELIVERED || t->message->store.n_recipients > 1)
		return true;
	return store_walk_next(&w, &r, &i, &status) && (r.notify & NOTIFY_SUCCESS) != 0;
}

static void
record(struct send *s, const struct task *t)
{
	static const enum store_status statuses[] = {
		[SD_DELIVERED] = STORE_DELIVERED, [SD_TEMPORARY] = STORE_WAITING, [SD_PERMANENT] = STORE_FAILED
	};
	struct qs_status body = { .recipient = t->recipient,
		.status = t->passed_on ? STORE_REPORTED : (uint8_t)statuses[t->outcome] };
	uint8_t room[QS_NOTE_MAX];
	struct buf note = BUF_OVER(room);

	if (!needs_record(t))
		return;
	if (t->text != NULL || t->host != NULL)
		buf_format(&note, "%u.%u.%u ", t->enhanced[0], t->enhanced[1], t->enhanced[2]);
	if (t->host != NULL)
		buf_format(&note, NOTE_PEER "%s ", t->host);
	if (t->text != NULL)
		buf_format(&note, "%.1500s", t->text);
	tell_queue(s, QS_STATUS, &t->message->id, &body, buf_bytes(&note));
}

static void
set_text(struct task *t, struct bytes text, const char *more)
{
	size_t size = text.len + strlen(more) + 1;

	t->text = malloc(size);
	if (t->text != NULL)
		(void)snprintf(t->text, size, "%.*s%s", (int)text.len, (const char *)text.at, more);
}

/* The class is ours to say, by the outcome; what is older than the queue's lifetime has its own status. */
static void
set_status(struct task *t, const uint16_t enhanced[3], bool too_old)
{
	static const uint8_t classes[] = { [SD_DELIVERED] = 2, [SD_TEMPORARY] = 4, [SD_PERMANENT] = 5 };

	memcpy(t->enhanced, enhanced, sizeof t->enhanced);
	t->enhanced[0] = classes[t->outcome];
	if (too_old && (t->enhanced[1] == 0 || t->enhanced[1] == 3)) {
		t->enhanced[1] = 4;
		t->enhanced[2] = 7; /* delivery time expired */
	}
}

/* What a report needs: which host said so; of a delivery, whether the host reports on it itself (RFC 3461 5.2.1). */
static void
keep_facts(struct task *t, const struct delivery_facts *f)
{
	bool relayed = t->outcome == SD_DELIVERED && (t->notify & NOTIFY_SUCCESS) != 0;

	t->passed_on = relayed && f->dsn;
	t->from_peer = f->from_peer;
	if (f->host.len == 0 || (!f->from_peer && !relayed))
		return;
	t->host = malloc(f->host.len + 1);
	if (t->host == NULL)
		return;
	memcpy(t->host, f->host.at, f->host.len);
	t->host[f->host.len] = '\0';
}

/* Until when the message may wait: until the first of its next hops may be tried again. */
static void
keep_time(const struct task *t, uint64_t not_before_s)
{
	struct message *m = t->message;

	if (t->outcome == SD_TEMPORARY && not_before_s < m->not_before_s)
		m->not_before_s = not_before_s;
}

/* The peer may have it, and get it again: that is told, since only the peer's administrator can mend it. */
static void
keep_doubt(const struct send *s, const struct task *t, const struct delivery_facts *f)
{
	struct message *m = t->message;
	struct log_line l;

	if (!f->duplicate || t->outcome != SD_TEMPORARY)
		return;
	m->in_doubt = true;
	if (m->store.attempts == 0)
		return; /* once may be chance */
	log_begin(&l, SEVERITY_WARNING, "in-doubt");
	log_text(&l, "msg", m->id.text);
	log_bytes(&l, "rcpt", t->address);
	log_bytes(&l, "host", f->host);
	log_bytes(&l, "address", f->address);
	log_number(&l, "attempts", m->store.attempts + 1);
	log_number(&l, "held_s", schedule_in_doubt(m->store.received_us / 1000000, m->now_s, s->lifetime_s) - m->now_s);
	log_text(&l, "why", "no valid reply came to the message again: the host may have it several times");
	log_end(&l);
}

void
task_settle_remote(struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3],
    struct bytes text, const struct delivery_facts *facts)
{
	char *before = t->text; /* `text` may show it */
	struct message *m = t->message;
	bool too_old = outcome == SD_TEMPORARY && m->last_try && !m->held;
	bool returned = outcome == SD_TEMPORARY && m->give_up && !too_old && !m->held;

	t->outcome = (uint8_t)(too_old || returned ? SD_PERMANENT : outcome);
	set_status(t, enhanced, too_old);
	t->text = NULL;
	if (outcome != SD_DELIVERED)
		set_text(t, text,
		    too_old        ? " (this was the last try: it has been in the queue too long)"
			: returned ? " (returned by the administrator)"
				   : "");
	free(before);
	if (facts != NULL) {
		keep_facts(t, facts);
		keep_doubt(s, t, facts);
	}
	keep_time(t, facts != NULL ? facts->not_before_s : 0);
	log_delivery(s, t, facts);
	record(s, t);
	message_settled(s, m);
}

void
task_settle(struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text)
{
	task_settle_remote(s, t, outcome, enhanced, text, NULL);
}

void
task_defer(struct send *s, struct task *t, const char *text)
{
	static const uint16_t here[3] = { 4, 3, 0 };

	task_settle(s, t, SD_TEMPORARY, here, bytes_of_string(text));
}

void
task_put_sender(const struct task *t, struct buf *b)
{
	const struct store_message *m = &t->message->store;

	if ((m->flags & STORE_VERP) == 0)
		buf_add(b, m->reverse);
	else
		verp_put(b, m->reverse, t->said);
}

void
task_put_reverse(const struct task *t, struct buf *tail)
{
	uint8_t room[4096];
	struct buf reverse = BUF_OVER(room);

	task_put_sender(t, &reverse);
	tail->failed |= reverse.failed;
	wire_put(tail, buf_bytes(&reverse));
}

void
tasks_free(struct message *m)
{
	for (uint32_t i = 0; i < m->n_tasks; i++) {
		instructions_free(m->tasks[i]);
		free(m->tasks[i]->text);
		free(m->tasks[i]->host);
		free(m->tasks[i]);
	}
	free(m->tasks);
	m->tasks = NULL;
	m->n_tasks = 0;
}
