/* Who is to be named in a report on a message: what this attempt found, and what earlier ones left to be said.
 * Trusts queue's statuses; notes and texts only as text.
 * Never names anyone who is not to be named (RFC 3461 4.1), nor one twice. */
#include "send/send.h"

#include "base/enhanced.h"
#include "mail/report.h"

#include <stdlib.h>

/* ---- texts of earlier attempts ---- */

struct texts {
	bool read;
	uint64_t *at; /* of each recipient's last note; 0: none. Null: no memory */
	struct store_notes notes;
};

static void
read_notes(struct texts *t, const struct message *m)
{
	struct why why = WHY_NONE;
	uint64_t at;

	t->read = true;
	t->at = calloc(m->store.n_recipients, sizeof *t->at);
	store_notes_begin(&t->notes, m->fd, &m->store);
	at = t->notes.at;
	while (t->at != NULL && store_notes_next(&t->notes, &why) == OK) {
		if (t->notes.recipient < m->store.n_recipients && !bytes_starts(t->notes.text, BYTES(NOTE_STATE)))
			t->at[t->notes.recipient] = at;
		at = t->notes.at;
	}
}

/* "5.1.1 text" or "5.1.1 smtp;host text" into its parts; false: it does not begin so */
static bool
split_note(struct bytes *text, struct report_recipient *who)
{
	struct bytes rest = *text, word;

	if (!bytes_split(&rest, ' ', &word) || !enhanced_parse(word, who->status))
		return false;
	*text = rest;
	if (bytes_starts(rest, BYTES(NOTE_PEER)) && bytes_split(&rest, ' ', &word)) {
		who->host = bytes_skip(word, sizeof NOTE_PEER - 1);
		*text = rest.at != NULL ? rest : BYTES_NONE;
		who->from_peer = text->len > 0;
	}
	return true;
}

/* Valid until the next call. */
static void
find_note(struct texts *t, const struct message *m, uint32_t recipient, struct report_recipient *who)
{
	struct why why = WHY_NONE;

	if (!t->read)
		read_notes(t, m);
	who->text = BYTES("delivery failed");
	if (t->at == NULL || t->at[recipient] == 0)
		return;
	t->notes.at = t->at[recipient];
	if (store_notes_next(&t->notes, &why) != OK)
		return;
	who->text = t->notes.text;
	if (!split_note(&who->text, who))
		who->status[0] = 0;
}

/* ---- who ---- */

static bool
wants(const struct message *m, uint8_t notify, enum report_action action)
{
	switch (action) {
	case REPORT_FAILED:
		return notify == 0 || (notify & NOTIFY_FAILURE) != 0;
	case REPORT_DELIVERED:
	case REPORT_RELAYED:
		return (notify & NOTIFY_SUCCESS) != 0 && !message_is_report(m);
	case REPORT_DELAYED:
		return (notify & NOTIFY_DELAY) != 0 && !message_is_report(m);
	}
	return false;
}

/* What there is to say of a recipient without regard to whether anybody wants to know; false: nothing. */
static bool
judge(const struct message *m, const struct task *t, enum store_status status, bool late, enum report_action *action)
{
	if (t != NULL && t->outcome == SD_TEMPORARY) {
		*action = REPORT_DELAYED;
		return late && !m->put_off; /* tried again at once, it would be said twice */
	}
	if (t == NULL && status != STORE_FAILED && status != STORE_DELIVERED)
		return false;
	if (t != NULL && t->passed_on)
		return false; /* the other host reports on it */
	*action = (t != NULL ? t->outcome == SD_PERMANENT : status == STORE_FAILED) ? REPORT_FAILED : REPORT_DELIVERED;
	return true;
}

static void
fill_words(struct report_recipient *who)
{
	if (who->action != REPORT_DELIVERED)
		return;
	if (who->host.len > 0)
		who->action = REPORT_RELAYED;
	who->text = who->host.len > 0 ? BYTES("relayed to a host that does not report deliveries") : BYTES("delivered");
}

static void
fill(struct report_recipient *who, struct texts *texts, const struct message *m, const struct task *t, uint32_t i)
{
	static const uint8_t classes[] = {
		[REPORT_FAILED] = 5, [REPORT_DELIVERED] = 2, [REPORT_DELAYED] = 4, [REPORT_RELAYED] = 2
	};

	if (t != NULL) {
		for (size_t k = 0; k < 3; k++)
			who->status[k] = t->enhanced[k];
		who->text = t->text != NULL ? bytes_of_string(t->text) : BYTES("delivery failed");
		who->host = bytes_of_string(t->host);
		who->from_peer = t->from_peer;
	} else
		find_note(texts, m, i, who);
	fill_words(who);
	if (who->status[0] != classes[who->action]) {
		who->status[0] = classes[who->action];
		who->status[1] = who->status[2] = 0;
	}
}

/* whether those who asked for it are to be told now that their message is delayed */
static bool
is_late(const struct message *m)
{
	enum channel_kind kind;

	return message_deferred(m, &kind) > 0 &&
	    schedule_passes(m->store.received_us / 1000000, m->store.due_at, m->now_s, DELAY_NOTICE_S, kind);
}

uint32_t
findings_walk(const struct message *m, bool with_texts,
    void (*each)(void *context, uint32_t recipient, const struct report_recipient *who), void *context)
{
	bool late = is_late(m);
	struct store_walk w = store_walk_of(&m->store);
	struct texts texts = { .read = false };
	struct store_recipient r;
	enum store_status status;
	uint32_t i, n = 0, k = 0;

	while (store_walk_next(&w, &r, &i, &status)) {
		const struct task *t = k < m->n_tasks && m->tasks[k]->recipient == i ? m->tasks[k++] : NULL;
		struct report_recipient who = { .address = r.forward, .orcpt = r.orcpt };

		if (!judge(m, t, status, late, &who.action) || !wants(m, r.notify, who.action))
			continue;
		if (with_texts)
			fill(&who, &texts, m, t, i);
		if (each != NULL)
			each(context, i, &who);
		n++;
	}
	free(texts.at);
	return n;
}
