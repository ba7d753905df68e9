/* A run of local's deliveries in a child, as in life.
 * Trusts the working directory to be a private one.
 * Never delivers anywhere else. */
#include "local_rig.h"

#include "unit.h"

#include "home.h"
#include "local/deliver.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct local_fault fault;
struct why away;
uint32_t next_flags = SD_MAKE_MAILDIR;
char told[WHY_MAX + 1];

struct run
begin_run(void)
{
	struct run r;
	int fds[2];

	assert_int_equal(channel_pair(fds, NULL), OK);
	if ((r.pid = fork()) == 0) {
		struct channel send = channel_of(fds[1], &send_local_protocol, SD_LOCAL, true);
		struct why why = WHY_NONE;
		enum result result;

		(void)close(fds[0]);
		fail_call(fault.call, fault.n, fault.error);
		result = deliver_run(&send, !fault.singly, &away, &why);
		_exit(result == OK ? 0 : 1);
	}
	(void)close(fds[1]);
	r.local = channel_of(fds[0], &send_local_protocol, SD_SEND, true);
	return r;
}

int
end_run(struct run *r)
{
	int status;

	channel_close(&r->local);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	return status;
}

void
send_one(struct run *r, uint64_t ref, const char *maildir, const char *recipient)
{
	static const char content[] = "A: b\r\n\r\nbody\r\n";
	struct sd_deliver body = { .id = "0123456789", .content_len = sizeof content - 1, .flags = next_flags };
	uint8_t room[3000];
	struct buf tail = BUF_OVER(room);
	int fd = memory_with(bytes_of(content, sizeof content - 1));

	wire_put_string(&tail, "s@x.test");
	wire_put_string(&tail, recipient);
	wire_put_string(&tail, maildir);
	wire_put_string(&tail, TRACE);
	assert_int_equal(channel_send(&r->local, SD_DELIVER, ref, &body, buf_bytes(&tail), &fd, NULL), OK);
	(void)close(fd);
}

/* the outcome for the next that is answered, and its status as a number: 250, 470, … */
unsigned
answer_of(struct run *r, uint64_t *ref)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	const struct sd_result *result;

	assert_int_equal(channel_receive(&r->local, &buffer, &m, NULL), OK);
	assert_int_equal(m.type, SD_RESULT);
	*ref = m.ref;
	result = m.body;
	(void)snprintf(told, sizeof told, "%.*s", (int)m.tail.len, (const char *)m.tail.at);
	return result->enhanced[0] * 100u + result->enhanced[1] * 10u + result->enhanced[2];
}

unsigned
deliver_one(struct run *r, const char *maildir)
{
	uint64_t ref;
	unsigned status;

	send_one(r, 7, maildir, "me@host.test");
	status = answer_of(r, &ref);
	assert_int_equal(ref, 7);
	return status;
}
