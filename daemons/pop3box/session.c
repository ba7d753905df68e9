/* The session: who may be said when, deleting at its end.
 * Trusts the peer as the user, whose mail this is.
 * Never removes a message before QUIT, nor one that was not shown. */
#include "pop3box/session.h"

#include "net/pop3_command.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <unistd.h>

void
box_refuse(struct box *b, const char *text)
{
	pop3_io_add(&b->io, "-ERR %s\r\n", text);
	b->n_errors++;
}

bool
box_shows(const struct box *b, uint32_t i)
{
	return !b->view.messages[i].deleted && !b->view.messages[i].gone;
}

bool
box_take_message(struct box *b, struct bytes *argument, uint32_t *i)
{
	uint32_t n;

	if (!pop3_take_number(argument, &n))
		box_refuse(b, "say the number of a message");
	else if (n == 0 || n > b->view.n)
		box_refuse(b, "no such message");
	else if (!box_shows(b, n - 1))
		box_refuse(b,
		    b->view.messages[n - 1].deleted ? "that message is marked as deleted"
						    : "that message is not there any more");
	else {
		*i = n - 1;
		return true;
	}
	return false;
}

static void
dele(struct box *b, struct bytes argument)
{
	uint32_t i;

	if (!box_take_message(b, &argument, &i))
		return;
	b->view.messages[i].deleted = true;
	pop3_io_add(&b->io, "+OK marked\r\n");
}

static void
rset(struct box *b, struct bytes argument)
{
	(void)argument;
	for (uint32_t i = 0; i < b->view.n; i++)
		b->view.messages[i].deleted = false;
	b->last = 0;
	pop3_io_add(&b->io, "+OK\r\n");
}

static void
noop(struct box *b, struct bytes argument)
{
	(void)argument;
	pop3_io_add(&b->io, "+OK\r\n");
}

static void
last(struct box *b, struct bytes argument)
{
	(void)argument;
	pop3_io_add(&b->io, "+OK %u\r\n", b->last);
}

static void
capa(struct box *b, struct bytes argument)
{
	(void)argument;
	pop3_io_add(&b->io,
	    "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8\r\n.\r\n");
}

static void
too_late(struct box *b, struct bytes argument)
{
	(void)argument;
	box_refuse(b, "you are logged in already");
}

/* ---- UPDATE ---- */

/* What fails is said, and stays: it comes again in the next session. */
static void
quit(struct box *b, struct bytes argument)
{
	struct why why = WHY_NONE;
	uint32_t n_failed = 0;

	(void)argument;
	for (uint32_t i = 0; i < b->view.n; i++)
		if (!b->view.messages[i].deleted)
			(void)maildir_view_settle(&b->view, i, NULL); /* else it is new once more */
		else if (maildir_view_remove(&b->view, i, &why) == OK)
			b->n_deleted++;
		else
			n_failed++;
	if (n_failed > 0) {
		log_why("pop3-delete", BROKEN, &why);
		pop3_io_add(&b->io, "-ERR [SYS/TEMP] %u messages could not be removed\r\n", n_failed);
	} else
		pop3_io_add(&b->io, "+OK bye\r\n");
	pop3_io_flush(&b->io);
	b->quit = b->io.over = true;
}

static void
other_protocol(struct box *b, struct bytes argument)
{
	(void)argument;
	box_refuse(b, "this is a POP3 server");
	pop3_io_flush(&b->io);
	b->io.over = true;
}

static void
unknown(struct box *b, struct bytes argument)
{
	(void)argument;
	box_refuse(b, "unknown command");
}

static void (*const verbs[POP3_N_VERBS])(struct box *b, struct bytes argument) = {
	[POP3_USER] = too_late,
	[POP3_PASS] = too_late,
	[POP3_APOP] = too_late,
	[POP3_AUTH] = too_late,
	[POP3_STLS] = too_late,
	[POP3_UTF8] = too_late,
	[POP3_CAPA] = capa,
	[POP3_STAT] = box_stat,
	[POP3_LIST] = box_list,
	[POP3_UIDL] = box_uidl,
	[POP3_RETR] = box_retr,
	[POP3_TOP] = box_top,
	[POP3_DELE] = dele,
	[POP3_NOOP] = noop,
	[POP3_RSET] = rset,
	[POP3_LAST] = last,
	[POP3_QUIT] = quit,
	[POP3_OTHER_PROTOCOL] = other_protocol,
	[POP3_UNKNOWN] = unknown,
};

static void
converse(struct box *b)
{
	struct pop3_command c;
	struct bytes line;

	while (!b->io.over)
		switch (pop3_io_line(&b->io, POP3_LINE_MAX, &line)) {
		case POP3_LINE_OK:
			c = pop3_command_parse(line);
			verbs[c.verb](b, c.argument);
			if (b->n_errors < b->may.max_errors || b->io.over)
				break;
			pop3_io_add(&b->io, "-ERR too many errors\r\n");
			pop3_io_flush(&b->io);
			b->io.over = true;
			break;
		case POP3_LINE_TOO_LONG:
			box_refuse(b, "line too long");
			break;
		case POP3_LINE_BAD:
			box_refuse(b, "a line has no CR or NUL in it");
			break;
		case POP3_LINE_END:
			return;
		}
}

/* ---- beginning and end ---- */

static void
log_session(const struct box *b, uint64_t began_ms)
{
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "pop3");
	log_text(&l, "conn", b->may.conn);
	log_bytes(&l, "user", b->user);
	log_number(&l, "messages", b->view.n);
	log_number(&l, "retrieved", b->n_retrieved);
	log_number(&l, "deleted", b->n_deleted);
	log_number(&l, "octets", b->octets);
	log_text(&l, "end", b->quit ? "quit" : b->io.late ? "late" : "lost");
	log_number(&l, "ms", clock_ms() - began_ms);
	log_end(&l);
}

static void
open_box(struct box *b, const struct why *away)
{
	struct why why = *away;
	enum result r = AGAIN;

	maildir_view_none(&b->view);
	if (why.text[0] == '\0')
		r = maildir_view_open(&b->view, &why);
	if (r == OK) {
		pop3_io_add(&b->io, "+OK logged in\r\n");
		return;
	}
	log_why("pop3-maildir", r, &why);
	pop3_io_add(
	    &b->io, "-ERR [SYS/%s] the mailbox can't be opened: %s\r\n", r == REFUSED ? "PERM" : "TEMP", why.text);
	pop3_io_flush(&b->io);
	b->io.over = true;
}

enum result
session_run(struct box *b, struct wire_message *m, const struct why *away, struct why *why)
{
	uint64_t began_ms = clock_ms();
	struct bytes fields[2];

	if (!wire_take_all(m->tail, fields, 2) || fields[1].len > PB_AHEAD_MAX)
		return why_set(why, MALFORMED, "a session without its fields");
	memcpy(&b->may, m->body, sizeof b->may);
	b->may.conn[ID_LEN] = '\0';
	b->user = fields[0];
	b->io.fd = m->fds[0];
	b->io.out = BUF_OVER(b->out);
	b->io.ends_at = b->may.session_seconds > 0 ? began_ms + UINT64_C(1000) * b->may.session_seconds : 0;
	pop3_io_patience(&b->io, b->may.idle_seconds);
	if (!pop3_io_prepend(&b->io, fields[1]))
		return why_set(why, MALFORMED, "more was read ahead than fits");
	open_box(b, away);
	converse(b);
	log_session(b, began_ms);
	maildir_sizes_save(&b->view);
	maildir_view_close(&b->view);
	(void)close(b->io.fd);
	return OK;
}
