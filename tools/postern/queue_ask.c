/* Asking `queue` through its door.
 * Trusts `queue`, whose answers it takes, as far as lib/wire checks them.
 * Never reads or writes the queue directory itself. */
#include "postern/queue_ask.h"

#include "postern/door.h"
#include "sys/fd.h"
#include "wire/door.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define PATIENCE_SECONDS 15u

enum result
queue_connect(const char *run, struct channel *c, struct why *why)
{
	struct timeval patience = { PATIENCE_SECONDS, 0 };
	enum result r;
	int door;

	if ((r = admin_door(run, "queue.admin", "send", &door, why)) != OK)
		return r;
	r = door_open(door, &queue_control_protocol, true, c, why);
	fd_close(&door);
	if (r == OK) /* the door is there while queue is not: what is asked then waits for it */
		(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return r;
}

enum result
queue_hear(struct channel *c, struct wire_buffer *buffer, struct wire_message *m, struct why *why)
{
	enum result r = channel_receive(c, buffer, m, why);

	return r != AGAIN
	    ? r
	    : why_set(why, AGAIN,
		  "queue has not answered for %u seconds: it does not run, or starts again and again; the log "
		  "of the service send says why",
		  PATIENCE_SECONDS);
}

enum result
queue_end(const struct wire_message *m, struct why *why)
{
	const struct qc_end *end = m->body;

	if (end->result == OK)
		return OK;
	return why_set(why, end->result <= BROKEN ? (enum result)end->result : BROKEN, "%.*s", (int)m->tail.len,
	    (const char *)m->tail.at);
}

enum result
queue_file(struct channel *c, const char *id, int *fd, struct why *why)
{
	static struct wire_buffer buffer;
	struct qc_name ask = { .spare = 0 };
	struct wire_message m;
	enum result r;

	if (!id_is_valid(bytes_of_string(id)))
		return why_set(why, MALFORMED, "%s is no message's id", id);
	memcpy(ask.id, id, ID_LEN + 1);
	if ((r = channel_send(c, QC_SHOW, 0, &ask, BYTES_NONE, NULL, why)) != OK ||
	    (r = queue_hear(c, &buffer, &m, why)) != OK)
		return r;
	if (m.type == QC_END)
		r = queue_end(&m, why);
	else if (m.type != QC_FILE)
		r = why_set(why, MALFORMED, "an answer that was not asked for");
	else if ((*fd = fcntl(m.fds[0], F_DUPFD_CLOEXEC, 3)) < 0)
		r = why_errno(why, EXHAUSTED, "keeping the message's file open");
	wire_close_fds(&m);
	return r;
}
