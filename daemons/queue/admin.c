/* The administrator's requests.
 * Trusts who came through the door: its file is root's. Not what is said: a request that makes no sense ends the
 * conversation. Never keeps a list in memory: directories are read as rows are asked for. */
#include "queue/admin.h"

#include "sys/fd.h"
#include "sys/log.h"
#include "wire/door.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_MAX 1024

static enum result
say_end(struct visitor *v, uint64_t ref, enum result r, uint32_t n, const struct why *reason, struct why *why)
{
	struct qc_end end = { (uint32_t)r, n };

	return port_send(&v->port, QC_END, ref, &end, bytes_first(bytes_of_string(reason->text), WHY_MAX), NULL, why);
}

static bool
read_id(struct id *id, const char text[ID_LEN + 1])
{
	return text[ID_LEN] == '\0' && id_from_bytes(bytes_of(text, ID_LEN), id);
}

/* ---- looking ---- */

static struct bytes
first_that_matters(const struct store_message *m, struct qc_row *row)
{
	struct store_walk w = store_walk_of(m);
	struct bytes first = BYTES_NONE, waiting = BYTES_NONE;
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	while (store_walk_next(&w, &r, &i, &status)) {
		if (first.at == NULL)
			first = r.forward;
		if (status == STORE_WAITING && waiting.at == NULL)
			waiting = r.forward;
		row->n_waiting += status == STORE_WAITING;
		row->n_delivered += status == STORE_DELIVERED;
		row->n_failed += status == STORE_FAILED || status == STORE_REPORTED;
	}
	return waiting.at != NULL ? waiting : first;
}

static enum result
send_row(struct visitor *v, const struct store_message *m, struct why *why)
{
	struct qc_row row = { .flags = m->flags,
		.n_recipients = m->n_recipients,
		.attempts = m->attempts,
		.uid = m->uid,
		.received_us = m->received_us,
		.due_at = m->due_at,
		.octets = m->content_len,
		.held = m->held };
	uint8_t room[4096];
	struct buf tail = BUF_OVER(room);

	memcpy(row.id, m->id.text, sizeof row.id);
	wire_put(&tail, m->reverse);
	wire_put(&tail, m->service);
	wire_put(&tail, first_that_matters(m, &row));
	return port_send(&v->port, QC_ROW, v->ref, &row, buf_bytes(&tail), NULL, why);
}

/* Opens and decodes. What is damaged is left to those who work with it. */
static enum result
open_message(struct admin *a, const struct id *id, int *fd, struct store_message *m, struct why *why)
{
	enum result r = place_find(a->place, id, O_RDONLY, fd, why);

	if (r == ABSENT)
		return why_set(why, r, "there is no message %s", id->text);
	if (r == OK && (r = store_read(*fd, m, why)) != OK)
		fd_close(fd);
	return r;
}

static bool
waits_for(const struct store_message *m, struct bytes domain)
{
	struct store_walk w = store_walk_of(m);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	while (store_walk_next(&w, &r, &i, &status))
		if (status == STORE_WAITING &&
		    bytes_equal_nocase(bytes_skip(r.forward, bytes_find_last(r.forward, '@') + 1), domain))
			return true;
	return false;
}

/* A row, or for a retry of a domain the message itself. */
static enum result
take_row(struct visitor *v, const struct store_message *m, struct why *why)
{
	struct bytes domain = bytes_of(v->domain, v->domain_len);

	if (domain.len > 0) {
		if (m->held || !waits_for(m, domain))
			return OK;
		feed_retry(v->admin->feed, &m->id);
	} else
		v->credit--;
	v->n_rows++;
	return domain.len > 0 ? OK : send_row(v, m, why);
}

static enum result
row_of_name(struct visitor *v, const char *name, struct why *why)
{
	struct store_message m = { 0 };
	struct why reason = WHY_NONE;
	enum result r = OK;
	struct id id;
	int fd = -1;

	if (!id_from_bytes(bytes_of_string(name), &id) || open_message(v->admin, &id, &fd, &m, &reason) != OK)
		return OK;
	r = take_row(v, &m, why);
	store_message_free(&m);
	fd_close(&fd);
	return r;
}

static void
stop_listing(struct visitor *v)
{
	if (v->directory != NULL)
		(void)closedir(v->directory);
	v->directory = NULL;
	v->admin->n_listing -= v->listing;
	v->listing = false;
}

static enum result
next_directory(struct visitor *v)
{
	int fd;

	if (v->directory != NULL)
		(void)closedir(v->directory);
	v->directory = NULL;
	while (v->directory == NULL && v->next < STORE_N_SPLITS) {
		fd = openat(v->admin->place->splits[v->next++], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && (v->directory = fdopendir(fd)) == NULL)
			fd_close(&fd);
	}
	return v->directory != NULL ? OK : ABSENT;
}

/* OK: goes on later; else the conversation ends. */
static enum result
list_step(struct visitor *v, unsigned n, struct why *why)
{
	struct dirent *e;
	enum result r = OK;

	for (; n > 0 && v->credit > 0 && r == OK; n--) {
		if (v->directory != NULL && (e = readdir(v->directory)) != NULL)
			r = row_of_name(v, e->d_name, why);
		else if (next_directory(v) != OK) {
			stop_listing(v);
			return say_end(v, v->ref, OK, v->n_rows, &WHY_NONE, why);
		}
	}
	return r;
}

static enum result
begin_list(struct visitor *v, uint64_t ref, uint32_t credit, struct bytes domain, struct why *why)
{
	if (v->listing)
		return why_set(why, MALFORMED, "a list during a list");
	v->listing = true;
	v->admin->n_listing++;
	v->next = 0;
	v->n_rows = 0;
	v->credit = credit;
	v->ref = ref;
	v->domain_len = domain.len < sizeof v->domain ? domain.len : 0;
	if (v->domain_len > 0)
		memcpy(v->domain, domain.at, v->domain_len);
	return OK;
}

static enum result
on_list(struct visitor *v, const struct wire_message *m, struct why *why)
{
	const struct qc_list *list = m->body;

	return begin_list(v, m->ref, list->n, BYTES_NONE, why);
}

static enum result
on_more(struct visitor *v, const struct wire_message *m)
{
	const struct qc_list *list = m->body;

	v->credit = list->n > UINT32_MAX - v->credit ? UINT32_MAX : v->credit + list->n;
	return OK;
}

static enum result
on_show(struct visitor *v, const struct wire_message *m, struct why *why)
{
	const struct qc_name *name = m->body;
	struct store_message message = { 0 };
	struct why reason = WHY_NONE;
	enum result r;
	struct id id;
	int fd = -1;

	if (!read_id(&id, name->id))
		return why_set(why, MALFORMED, "shows nothing");
	if ((r = open_message(v->admin, &id, &fd, &message, &reason)) != OK)
		return say_end(v, m->ref, r, 0, &reason, why);
	r = port_send(&v->port, QC_FILE, m->ref, name, BYTES_NONE, &fd, why);
	store_message_free(&message);
	fd_close(&fd);
	return r;
}

/* ---- acting ---- */

static enum result
set_mark(struct admin *a, const struct id *id, bool held, struct why *why)
{
	struct book *book = NULL;
	enum result r = shelf_get(a->shelf, id, &book, why);

	if (r == OK && (r = store_put_mark(book->fd, held)) != OK)
		r = why_errno(why, r, "marking a message");
	return r;
}

/* Clears the mark if there is one and announces the message again. */
static enum result
release(struct admin *a, const struct id *id, struct why *why)
{
	struct store_message m = { 0 };
	enum result r;
	int fd = -1;

	if ((r = open_message(a, id, &fd, &m, why)) != OK)
		return r;
	if (m.held && (r = feed_prove(a->feed, id, fd, why)) == OK && (r = past_note(a->past, id, why)) == OK &&
	    (r = set_mark(a, id, false, why)) == OK)
		feed_announce(a->feed, id, false, fd);
	store_message_free(&m);
	fd_close(&fd);
	return r;
}

static enum result
remove_message(struct admin *a, const struct id *id, struct why *why)
{
	int fd = shelf_take(a->shelf, id);
	enum result r = place_remove(a->place, id, why);

	fd_close(&fd);
	if (r == OK)
		feed_forget(a->feed, id);
	return r;
}

static enum result
act_on_one(struct admin *a, enum qc_what what, const struct id *id, struct why *why)
{
	enum result r = OK;

	switch (what) {
	case QC_HOLD:
		if ((r = set_mark(a, id, true, why)) == OK)
			feed_forget(a->feed, id);
		break;
	case QC_RELEASE:
		r = release(a, id, why);
		break;
	case QC_RETRY:
		if ((r = release(a, id, why)) == OK)
			feed_retry(a->feed, id);
		break;
	case QC_BOUNCE:
		if ((r = release(a, id, why)) == OK)
			feed_bounce(a->feed, id);
		break;
	case QC_DELETE:
		r = remove_message(a, id, why);
		break;
	case QC_N_ACTS:
		break;
	}
	return r == ABSENT ? why_set(why, r, "there is no message %s", id->text) : r;
}

static void
log_act(const struct visitor *v, enum qc_what what, const char *id, struct bytes domain, enum result r,
    const struct why *why)
{
	struct log_line l;

	log_begin(&l, r == OK ? SEVERITY_INFO : SEVERITY_WARNING, qc_act_names[what]);
	log_text(&l, "msg", id[0] == '\0' ? "all" : id);
	if (domain.len > 0)
		log_bytes(&l, "domain", domain);
	log_number(&l, "uid", v->uid);
	log_text(&l, "result", result_meaning(r)->name);
	if (r != OK)
		log_text(&l, "why", why->text);
	log_end(&l);
}

static enum result
on_act(struct visitor *v, const struct wire_message *m, struct why *why)
{
	const struct qc_act *act = m->body;
	struct why reason = WHY_NONE;
	enum result r = OK;
	struct id id;

	if (act->what >= QC_N_ACTS || (act->id[0] == '\0' && act->what != QC_RETRY) ||
	    (act->id[0] != '\0' && !read_id(&id, act->id)))
		return why_set(why, MALFORMED, "does nothing to nothing");
	if (act->id[0] == '\0' && m->tail.len > 0) {
		log_act(v, QC_RETRY, "", m->tail, OK, &reason);
		return begin_list(v, m->ref, 1, m->tail, why); /* ended as a list is */
	}
	if (act->id[0] == '\0')
		feed_retry(v->admin->feed, NULL);
	else
		r = act_on_one(v->admin, (enum qc_what)act->what, &id, &reason);
	log_act(v, (enum qc_what)act->what, act->id[0] == '\0' ? "" : id.text, m->tail, r, &reason);
	return say_end(v, m->ref, r, r == OK, &reason, why);
}

/* ---- conversations ---- */

static enum result
on_message(struct port *p, struct wire_message *m, struct why *why)
{
	struct visitor *v = container_of(p, struct visitor, port);

	switch (m->type) {
	case QC_LIST:
		return on_list(v, m, why);
	case QC_MORE:
		return on_more(v, m);
	case QC_SHOW:
		return on_show(v, m, why);
	default: /* QC_ACT */
		return on_act(v, m, why);
	}
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	struct visitor *v = container_of(p, struct visitor, port);

	if (r != ABSENT)
		log_why("conversation-ended", r, why);
	stop_listing(v);
	v->admin = NULL;
}

static const struct port_events events = { on_message, ended };

bool
admin_step(struct admin *a, unsigned n)
{
	bool more = false;

	for (struct visitor *v = a->visitors; v < a->visitors + VISITORS_MAX && a->n_listing > 0; v++) {
		struct why why = WHY_NONE;
		enum result r;

		if (v->admin == NULL || !v->listing || v->credit == 0)
			continue;
		if ((r = list_step(v, n, &why)) != OK) {
			port_close(&v->port);
			ended(&v->port, r, &why);
		} else
			more |= v->listing && v->credit > 0;
	}
	return more;
}

static uint32_t
peer_uid(int fd)
{
	struct ucred peer = { .uid = UINT32_MAX };
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.uid : UINT32_MAX;
}

static void
at_door(struct loop *loop, struct source *s, uint32_t ready)
{
	struct admin *a = container_of(s, struct admin, door);
	struct visitor *v = a->visitors;
	struct why why = WHY_NONE;
	struct channel channel;
	enum result r = door_take(s->fd, &queue_control_protocol, &channel, &why);

	(void)ready;
	if (r == OK) {
		while (v < a->visitors + VISITORS_MAX && v->admin != NULL)
			v++;
		if (v == a->visitors + VISITORS_MAX)
			r = why_set(&why, EXHAUSTED, "%u administrators are here already", VISITORS_MAX);
		else {
			*v = (struct visitor){ .uid = peer_uid(channel.fd) };
			r = port_open(&v->port, loop, channel, &events, WAITING_MAX, &why);
			v->admin = r == OK ? a : NULL;
		}
		if (r != OK)
			channel_close(&channel);
	}
	if (r != OK && r != AGAIN)
		log_why("not-let-in", r, &why);
}

enum result
admin_open(struct admin *a, struct loop *loop, int door_fd, struct why *why)
{
	a->loop = loop;
	a->door = (struct source){ .fd = door_fd, .ready = at_door };
	return loop_watch(loop, &a->door, EPOLLIN, why);
}
