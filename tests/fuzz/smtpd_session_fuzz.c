/* Fuzz target: a whole SMTP session, between a peer that is the input and a policy that watches.
 * The first 8 octets choose what policy allows and refuses, the rest is what the peer sends.
 * A finding is a crash, a request out of turn, a committed message that is not all CRLF lines, a reply that is none. */
#include "base/le.h"
#include "smtpd/session.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHOICES 8
#define INPUT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct watcher {
	struct channel c;
	uint32_t refusals; /* one bit an answer, in turn */
	unsigned n_answers, n_told;
	uint64_t max_octets;
	bool begun, writing;
	unsigned n_recipients;
	int content;
};

#define MUST(what) \
	do \
		if (!(what)) { \
			(void)fprintf(stderr, "violated: %s\n", #what); \
			abort(); \
		} \
	while (0)

static bool
answer(struct watcher *w)
{
	static const struct sp_answer yes = { .code = 250, .enhanced = { 2, 0, 0 } },
				      no = { .code = 550, .enhanced = { 5, 7, 1 } };
	struct why why = WHY_NONE;
	bool refuse = (w->refusals >> (w->n_answers++ % 32) & 1) != 0;

	(void)channel_send(&w->c, SP_ANSWER, 0, refuse ? &no : &yes, BYTES("as it was decided"), NULL, &why);
	return !refuse;
}

static void
give_content(struct watcher *w)
{
	struct sp_content content = { .max_octets = w->max_octets };
	struct why why = WHY_NONE;

	MUST(w->begun && w->n_recipients > 0 && !w->writing);
	if ((w->refusals >> (w->n_answers % 32) & 1) != 0) {
		(void)answer(w);
		return;
	}
	w->n_answers++;
	MUST(ftruncate(w->content, 0) == 0 && lseek(w->content, 0, SEEK_SET) == 0);
	w->writing = true;
	(void)channel_send(&w->c, SP_CONTENT, 0, &content, BYTES_NONE, &w->content, &why);
}

static void
look_at_content(struct watcher *w, uint64_t octets)
{
	uint8_t text[2 * INPUT_MAX + 2];
	ssize_t n = pread(w->content, text, sizeof text, 0);

	MUST(n >= 0 && (uint64_t)n == octets && (w->max_octets == 0 || octets <= w->max_octets));
	for (ssize_t i = 0; i < n; i++) {
		MUST(text[i] != '\0');
		MUST(text[i] != '\r' || (i + 1 < n && text[i + 1] == '\n'));
		MUST(text[i] != '\n' || (i > 0 && text[i - 1] == '\r'));
	}
	MUST(n == 0 || text[n - 1] == '\n');
}

static void
forget(struct watcher *w)
{
	w->begun = w->writing = false;
	w->n_recipients = 0;
}

static void
obey(struct watcher *w, const struct wire_message *m)
{
	switch (m->type) {
	case SP_BEGIN:
		MUST(!w->begun);
		w->begun = answer(w);
		w->n_recipients = w->begun ? 1 : 0;
		break;
	case SP_RCPT:
		MUST(w->begun && !w->writing);
		w->n_recipients += answer(w) ? 1 : 0;
		break;
	case SP_DATA:
		give_content(w);
		break;
	case SP_COMMIT:
		MUST(w->writing);
		look_at_content(w, ((const struct sp_commit *)m->body)->octets);
		forget(w);
		(void)answer(w);
		break;
	case SP_RESET:
		forget(w);
		break;
	case SP_TELL:
		MUST(++w->n_told <= SP_TELL_MAX);
		break;
	default:
		MUST(!"a request that was not offered");
	}
}

static void *
watch(void *arg)
{
	struct watcher *w = arg;
	struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;
	enum result r;

	while ((r = channel_receive(&w->c, &buffer, &m, &why)) == OK)
		obey(w, &m);
	MUST(r == ABSENT || r == BROKEN);
	return NULL;
}

/* every line is a reply of printable ASCII */
static void
look_at_replies(int fd)
{
	static uint8_t text[1 << 20];
	struct bytes rest = { text, 0 }, line;
	ssize_t n;

	while ((n = recv(fd, text + rest.len, sizeof text - rest.len, 0)) > 0)
		rest.len += (size_t)n;
	MUST(rest.len > 0 && text[rest.len - 1] == '\n');
	rest.len--;
	while (bytes_split(&rest, '\n', &line)) {
		MUST(line.len >= 5 && line.at[line.len - 1] == '\r' && (line.at[3] == ' ' || line.at[3] == '-'));
		MUST(
		    line.at[0] >= '2' && line.at[0] <= '5' && ascii_is_digit(line.at[1]) && ascii_is_digit(line.at[2]));
		for (size_t i = 0; i + 1 < line.len; i++)
			MUST(line.at[i] >= ' ' && line.at[i] < 0x7f);
	}
}

static void
welcome(struct watcher *w, uint32_t choices)
{
	struct sp_welcome hello = { .max_octets = w->max_octets,
		.max_recipients = 1 + choices % 5,
		.idle_seconds = 5,
		.max_errors = 5 + choices / 8 % 64,
		.max_hops = 2,
		.code = 220 };
	uint8_t room[64];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	hello.flags = (choices & 1u << 31) != 0 ? SP_EXCUSE_BARE_LF : 0;
	wire_put_string(&tail, "mx.example.test");
	wire_put_string(&tail, "mx.example.test ESMTP");
	MUST(channel_send(&w->c, SP_WELCOME, 0, &hello, buf_bytes(&tail), NULL, &why) == OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session s;
	struct watcher w = { .content = memfd_create("content", 0) };
	int peer[2], policy[2];
	pthread_t thread;

	if (size < CHOICES || size > INPUT_MAX || w.content < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, peer) != 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, policy) != 0) {
		(void)close(w.content);
		return 0;
	}
	w.c = channel_of(policy[1], &smtpd_policy_protocol, SP_POLICY, true);
	w.refusals = le32_get(data);
	w.max_octets = data[4] % 2 == 0 ? 0 : 1000u + data[4];
	welcome(&w, le32_get(data + 4));
	MUST(send(peer[1], data + CHOICES, size - CHOICES, 0) == (ssize_t)(size - CHOICES));
	MUST(shutdown(peer[1], SHUT_WR) == 0);
	MUST(pthread_create(&thread, NULL, watch, &w) == 0);
	memset(&s, 0, sizeof s);
	session_run(&s, peer[0], policy[0], "conn");
	MUST(pthread_join(thread, NULL) == 0);
	look_at_replies(peer[1]);
	(void)close(peer[1]);
	channel_close(&w.c);
	(void)close(w.content);
	return 0;
}
