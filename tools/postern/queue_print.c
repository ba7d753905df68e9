/* Showing messages as text for people and as JSON lines for programs.
 * Trusts that a queue file was decoded; not what is in it: it came from anywhere.
 * Never sends a control octet to a terminal, but in content that was asked for. */
#include "postern/queue_print.h"

#include "sys/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
put_text(struct bytes t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.at[i] < ' ' || t.at[i] == 0x7f)
			(void)printf("\\x%02x", t.at[i]);
		else
			(void)putchar(t.at[i]);
}

/* Octets that are not UTF-8 become U+FFFD. */
static size_t
utf8_len(struct bytes t)
{
	uint8_t c = t.at[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > t.len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((t.at[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && t.at[1] < 0xa0) || (c == 0xed && t.at[1] > 0x9f) || (c == 0xf0 && t.at[1] < 0x90) ||
	    (c == 0xf4 && t.at[1] > 0x8f))
		return 0;
	return n;
}

static void
put_json(const char *key, struct bytes t)
{
	(void)printf("\"%s\":\"", key);
	while (t.len > 0) {
		size_t n = utf8_len(t);

		if (t.at[0] == '"' || t.at[0] == '\\')
			(void)printf("\\%c", t.at[0]);
		else if (t.at[0] < ' ' || t.at[0] == 0x7f)
			(void)printf("\\u%04x", t.at[0]);
		else if (n == 0)
			(void)fputs("\\ufffd", stdout);
		else
			(void)fwrite(t.at, 1, n, stdout);
		t = bytes_skip(t, n == 0 ? 1 : n);
	}
	(void)putchar('"');
}

static void
put_time(char text[32], uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds > INT32_MAX * UINT64_C(100) || gmtime_r(&t, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(text, 32, "never");
}

static void
put_json_time(const char *key, uint64_t seconds)
{
	char text[32];

	put_time(text, seconds);
	(void)printf(",\"%s\":\"%s\"", key, text);
}

static const char *
kind_of(uint32_t flags)
{
	return flags & STORE_DOUBLE_BOUNCE ? "double-bounce" : flags & STORE_BOUNCE ? "bounce" : "message";
}

static const char *
notify_text(uint8_t notify)
{
	static const char *const texts[16] = { "", "NEVER", "SUCCESS", "SUCCESS", "FAILURE", "FAILURE",
		"SUCCESS,FAILURE", "SUCCESS,FAILURE", "DELAY", "DELAY", "SUCCESS,DELAY", "SUCCESS,DELAY",
		"FAILURE,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY" };

	return texts[notify & 15];
}

static const char *
status_text(enum store_status s)
{
	switch (s) {
	case STORE_WAITING:
		return "waiting";
	case STORE_DELIVERED:
		return "delivered";
	case STORE_FAILED:
		return "failed";
	case STORE_REPORTED:
		return "reported";
	}
	return "?";
}

void
print_row(const struct qc_row *row, const struct row_text *text)
{
	char at[32];

	put_time(at, row->received_us / 1000000);
	(void)printf("%.11s %s %8llu %s <", row->id, at, (unsigned long long)row->octets,
	    row->held               ? "held"
		: row->attempts > 0 ? "deferred"
				    : "waiting");
	put_text(text->sender);
	(void)fputs("> <", stdout);
	put_text(text->recipient);
	(void)putchar('>');
	if (row->n_recipients > 1)
		(void)printf(" and %u more, %u waiting", row->n_recipients - 1, row->n_waiting);
	if (row->attempts > 0 && !row->held) {
		put_time(at, row->due_at);
		(void)printf(" next %s", at);
	}
	if (text->reason.len > 0) {
		(void)fputs(": ", stdout);
		put_text(text->reason);
	}
	(void)putchar('\n');
}

void
print_row_json(const struct qc_row *row, const struct row_text *text)
{
	(void)printf("{\"id\":\"%.11s\",\"kind\":\"%s\"", row->id, kind_of(row->flags));
	put_json_time("received", row->received_us / 1000000);
	(void)printf(",\"octets\":%llu,\"held\":%s,\"recipients\":%u,\"waiting\":%u,\"delivered\":%u,\"failed\":%u,"
		     "\"attempts\":%u",
	    (unsigned long long)row->octets, row->held ? "true" : "false", row->n_recipients, row->n_waiting,
	    row->n_delivered, row->n_failed, row->attempts);
	if (row->due_at > 0)
		put_json_time("due", row->due_at);
	if (row->uid != UINT32_MAX)
		(void)printf(",\"uid\":%u", row->uid);
	(void)putchar(',');
	put_json("sender", text->sender);
	(void)putchar(',');
	put_json("service", text->service);
	(void)putchar(',');
	put_json("recipient", text->recipient);
	if (text->reason.at != NULL) {
		(void)putchar(',');
		put_json("reason", text->reason);
	}
	(void)puts("}");
}

/* Where the newest note about each recipient is; 0: there is none. To be freed; null if there is no memory. */
static uint64_t *
find_notes(int fd, const struct store_message *m)
{
	static struct store_notes notes;
	uint64_t *places = calloc(m->n_recipients, sizeof *places), at;
	struct why why = WHY_NONE;

	if (places == NULL)
		return NULL;
	store_notes_begin(&notes, fd, m);
	for (at = notes.at; store_notes_next(&notes, &why) == OK; at = notes.at)
		if (notes.recipient < m->n_recipients)
			places[notes.recipient] = at;
	return places;
}

static struct bytes
note_at(int fd, uint64_t at)
{
	static struct store_notes notes;
	struct why why = WHY_NONE;

	notes.fd = fd;
	notes.at = at;
	return at != 0 && store_notes_next(&notes, &why) == OK ? notes.text : BYTES_NONE;
}

struct bytes
message_reason(int fd, const struct store_message *m)
{
	uint64_t *places = find_notes(fd, m), at = 0;
	struct store_walk w = store_walk_of(m);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	while (places != NULL && store_walk_next(&w, &r, &i, &status))
		if (status == STORE_WAITING || i == 0) {
			at = places[i];
			if (status == STORE_WAITING)
				break;
		}
	free(places);
	return note_at(fd, at);
}

static enum result
each_recipient(int fd, const struct store_message *m,
    void (*each)(uint32_t i, const struct store_recipient *r, enum store_status status, struct bytes note),
    struct why *why)
{
	uint64_t *places = find_notes(fd, m);
	struct store_walk w = store_walk_of(m);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	if (places == NULL)
		return why_set(why, EXHAUSTED, "no memory for %u recipients", m->n_recipients);
	while (store_walk_next(&w, &r, &i, &status))
		each(i, &r, status, note_at(fd, places[i]));
	free(places);
	return OK;
}

static void
recipient_text(uint32_t i, const struct store_recipient *r, enum store_status status, struct bytes note)
{
	(void)i;
	(void)printf("%-9s  <", status_text(status));
	put_text(r->forward);
	(void)putchar('>');
	if (r->notify != 0)
		(void)printf(" NOTIFY=%s", notify_text(r->notify));
	if (r->orcpt.len > 0) {
		(void)fputs(" ORCPT=", stdout);
		put_text(r->orcpt);
	}
	(void)putchar('\n');
	if (note.len > 0) {
		(void)fputs("           ", stdout);
		put_text(note);
		(void)putchar('\n');
	}
}

static void
recipient_json(uint32_t i, const struct store_recipient *r, enum store_status status, struct bytes note)
{
	(void)printf("%s{", i > 0 ? "," : "");
	put_json("address", r->forward);
	(void)printf(",\"status\":\"%s\"", status_text(status));
	if (r->notify != 0)
		(void)printf(",\"notify\":\"%s\"", notify_text(r->notify));
	if (r->orcpt.len > 0) {
		(void)putchar(',');
		put_json("orcpt", r->orcpt);
	}
	if (note.len > 0) {
		(void)putchar(',');
		put_json("note", note);
	}
	(void)putchar('}');
}

enum result
print_message(int fd, const struct store_message *m, struct why *why)
{
	char at[32];

	put_time(at, m->received_us / 1000000);
	(void)printf("id         %s\nkind       %s\nreceived   %s\nservice    ", m->id.text, kind_of(m->flags), at);
	put_text(m->service);
	if (m->conn.len > 0) {
		(void)fputs("\nconnection ", stdout);
		put_text(m->conn);
	}
	if (m->uid != UINT32_MAX)
		(void)printf("\nuid        %u", m->uid);
	(void)printf("\noctets     %llu\nheld       %s\nattempts   %u\n", (unsigned long long)m->content_len,
	    m->held ? "yes" : "no", m->attempts);
	if (m->due_at > 0) {
		put_time(at, m->due_at);
		(void)printf("due        %s\n", at);
	}
	(void)fputs("sender     <", stdout);
	put_text(m->reverse);
	(void)puts(">");
	if (m->envid.len > 0) {
		(void)fputs("envid      ", stdout);
		put_text(m->envid);
		(void)putchar('\n');
	}
	return each_recipient(fd, m, recipient_text, why);
}

enum result
print_message_json(int fd, const struct store_message *m, struct why *why)
{
	enum result r;

	(void)printf("{\"id\":\"%s\",\"kind\":\"%s\"", m->id.text, kind_of(m->flags));
	put_json_time("received", m->received_us / 1000000);
	(void)printf(",\"octets\":%llu,\"held\":%s,\"attempts\":%u", (unsigned long long)m->content_len,
	    m->held ? "true" : "false", m->attempts);
	if (m->due_at > 0)
		put_json_time("due", m->due_at);
	if (m->uid != UINT32_MAX)
		(void)printf(",\"uid\":%u", m->uid);
	(void)printf(",\"body\":\"%s\",\"smtputf8\":%s,", m->flags & STORE_8BITMIME ? "8bitmime" : "7bit",
	    m->flags & STORE_SMTPUTF8 ? "true" : "false");
	put_json("service", m->service);
	(void)putchar(',');
	put_json("connection", m->conn);
	(void)putchar(',');
	put_json("sender", m->reverse);
	(void)putchar(',');
	put_json("envid", m->envid);
	(void)fputs(",\"recipients\":[", stdout);
	r = each_recipient(fd, m, recipient_json, why);
	(void)puts("]}");
	return r;
}

/* CRLF becomes LF; a CR that ends a piece is kept back for the next. */
static void
put_lines(struct bytes piece, bool *cr)
{
	for (size_t i = 0; i < piece.len; i++) {
		if (*cr && piece.at[i] != '\n')
			(void)putchar('\r');
		*cr = piece.at[i] == '\r';
		if (!*cr)
			(void)putchar(piece.at[i]);
	}
}

enum result
print_content(int fd, const struct store_message *m, struct why *why)
{
	static uint8_t room[65536];
	bool cr = false;
	enum result r;
	size_t n;

	put_lines(m->trace, &cr);
	for (uint64_t at = 0; at < m->content_len; at += n) {
		uint64_t want = m->content_len - at < sizeof room ? m->content_len - at : sizeof room;

		if ((r = fd_pread_all(fd, room, want, (off_t)(m->content_at + at), &n)) != OK)
			return why_errno(why, r, "reading the content");
		if (n == 0)
			return why_set(why, MALFORMED, "the content is cut");
		put_lines(bytes_of(room, n), &cr);
	}
	if (cr)
		(void)putchar('\r');
	return OK;
}
