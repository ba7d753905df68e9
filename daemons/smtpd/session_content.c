/* Content of a message: DATA and BDAT, from the peer into the descriptor that queue made.
 * Trusts nothing about the content but its framing, which lib/net decodes.
 * Never says that a message is taken before policy has said so; what fails is read to its true end and dropped. */
#include "smtpd/session.h"

#include "base/crc32c.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define LOOK_EVERY (1u << 20) /* octets of content */

/* Not on the stack: pages that no content has touched cost nothing. One session a process. */
static uint8_t decoded[SMTP_DATA_ROOM(SESSION_CHUNK)];
static uint8_t completed[sizeof decoded + COMPLETE_NAME_MAX + COMPLETE_ADDED_MAX];

void
session_drop_content(struct session *s)
{
	fd_close(&s->content_fd);
}

/* RFC 6409 8: what a mail program left out of the header */
static void
begin_completion(struct session *s)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		random = clock_wall_us();
	(void)snprintf(
	    s->message_id, sizeof s->message_id, "%s.%u.%llx", s->conn, s->n_messages, (unsigned long long)random);
	complete_begin(&s->complete, s->message_id, s->host);
}

static void
begin(struct session *s, bool chunked)
{
	if (s->may.flags & SP_SUBMISSION)
		begin_completion(s);
	smtp_data_begin(
	    &s->data, chunked, (s->may.flags & SP_EXCUSE_BARE_LF) != 0, (s->may.flags & SP_EXCUSE_LINE_ENDS) != 0);
	memset(&s->hops, 0, sizeof s->hops);
	s->content_octets = s->content_read = s->looked_at = 0;
	s->content_sum = 0;
	s->too_large = s->write_failed = false;
}

static bool
is_refused(const struct session *s)
{
	return s->too_large || s->write_failed || s->data.fault != SMTP_DATA_FINE ||
	    s->hops.received + s->hops.delivered_to > s->may.max_hops;
}

/* queue has looked at what was announced; who announces less than he sends must not fill the disk */
static bool
has_room(struct session *s)
{
	if (s->keep_free == 0 || s->content_octets - s->looked_at < LOOK_EVERY)
		return true;
	s->looked_at = s->content_octets;
	return fd_free_space(s->content_fd) >= s->keep_free;
}

static void
keep(struct session *s, struct bytes content)
{
	if (content.len == 0 || is_refused(s))
		return;
	if (!s->hops.over)
		smtp_hops_push(&s->hops, content);
	s->content_octets += content.len;
	if (s->content_max > 0 && s->content_octets > s->content_max)
		s->too_large = true;
	else if (!has_room(s) || fd_write_all(s->content_fd, content) != OK)
		s->write_failed = true;
	else
		s->content_sum = crc32c_add(s->content_sum, content);
}

static void
store(struct session *s, struct bytes content)
{
	struct buf whole = BUF_OVER(completed);

	if (!(s->may.flags & SP_SUBMISSION) || s->complete.place == COMPLETE_OVER) {
		keep(s, content);
		return;
	}
	complete_push(&s->complete, content, clock_wall_s(), &whole);
	keep(s, buf_bytes(&whole));
}

/* the reply for what is_refused found */
static void
refuse(struct session *s)
{
	if (s->data.fault != SMTP_DATA_FINE) {
		static const char *const texts[] = {
			[SMTP_DATA_BARE_CR] = "the message has a bare CR: lines end with CRLF",
			[SMTP_DATA_BARE_LF] = "the message has a bare LF: lines end with CRLF",
			[SMTP_DATA_NUL] = "the message has a NUL octet",
		};

		session_reply(s, 550, 6, 0, texts[s->data.fault]);
		session_flush(s);
		s->over = true; /* who knows where it thinks that its message ended */
	} else if (s->too_large)
		session_reply(s, 552, 3, 4, "the message is larger than this host takes");
	else if (s->write_failed)
		session_reply(s, 452, 3, 1, "no room to keep the message now");
	else
		session_reply(s, 554, 4, 6, "too many hops: this message is going in circles");
}

static void
end_transaction(struct session *s)
{
	s->state = STATE_READY;
	s->n_recipients = 0;
	s->utf8 = false;
}

/* all octets are written: nobody here may have them open when queue looks */
static void
commit(struct session *s)
{
	struct sp_commit c = { .octets = s->content_octets, .sum = s->content_sum };
	bool accepted;

	fd_close(&s->content_fd);
	if (session_ask(s, SP_COMMIT, &c, BYTES_NONE, &accepted) && accepted)
		s->n_messages++;
	end_transaction(s);
}

static void
finish(struct session *s)
{
	struct buf rest = BUF_OVER(completed);

	if (s->may.flags & SP_SUBMISSION) {
		complete_finish(&s->complete, clock_wall_s(), &rest);
		keep(s, buf_bytes(&rest));
	}
	if (is_refused(s)) {
		refuse(s);
		session_reset(s);
	} else
		commit(s);
}

void
session_data(struct session *s, struct bytes argument)
{
	bool accepted;

	(void)argument;
	if (!session_ask_content(s, &accepted) || !accepted)
		return;
	begin(s, false);
	session_add(s, "354 end with a line of one dot\r\n");
	while (s->data.state != SMTP_DATA_END) {
		struct bytes in;
		size_t n;

		if (!session_read(s, SESSION_CHUNK, &in)) {
			session_drop_content(s);
			return;
		}
		session_unread(s, in.len - smtp_data_push(&s->data, in, decoded, &n)); /* pipelined behind the end */
		store(s, bytes_of(decoded, n));
	}
	finish(s);
}

/* reads a chunk's octets, whatever becomes of them */
static bool
read_chunk(struct session *s, uint64_t octets, bool keep)
{
	while (octets > 0) {
		struct bytes in;
		size_t n;

		if (!session_read(s, octets < SESSION_CHUNK ? (size_t)octets : SESSION_CHUNK, &in))
			return false;
		octets -= in.len;
		if (!keep)
			continue;
		(void)smtp_data_push(&s->data, in, decoded, &n);
		store(s, bytes_of(decoded, n));
	}
	return true;
}

static void
last_chunk(struct session *s)
{
	uint8_t end[2];

	store(s, bytes_of(end, smtp_data_finish(&s->data, end)));
	finish(s);
}

/* a chunk that may not come now is read all the same: its octets are no commands */
static void
refuse_chunk(struct session *s, const struct smtp_bdat *b)
{
	if (!read_chunk(s, b->octets, false))
		return;
	session_reply(s, 503, 5, 1,
	    s->state == STATE_BDAT_REFUSED ? "the message was refused: say RSET" : "say MAIL and RCPT first");
}

void
session_bdat(struct session *s, struct bytes argument)
{
	struct smtp_bdat b;
	struct smtp_fault fault;
	bool accepted = true;

	if (!smtp_bdat_parse(argument, &b, &fault)) {
		session_reply_fault(s, &fault); /* where the next command begins can't be known */
		session_flush(s);
		s->over = true;
		return;
	}
	if (!(s->state & (STATE_RCPT | STATE_BDAT))) {
		refuse_chunk(s, &b);
		return;
	}
	if (s->state == STATE_RCPT) {
		if (!session_ask_content(s, &accepted))
			return;
		if (!accepted) { /* the reply was given; the chunk's octets are still to be read */
			s->state = STATE_BDAT_REFUSED;
			(void)read_chunk(s, b.octets, false);
			return;
		}
		begin(s, true);
		s->state = STATE_BDAT;
	}
	if (!read_chunk(s, b.octets, true)) {
		session_drop_content(s);
		return;
	}
	if (b.last)
		last_chunk(s);
	else if (is_refused(s)) {
		refuse(s);
		session_drop_content(s);
		s->state = STATE_BDAT_REFUSED;
	} else
		session_reply(s, 250, 0, 0, "chunk taken");
}
