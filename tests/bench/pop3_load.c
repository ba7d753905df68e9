/* usage: pop3_load PORT WORKERS SECONDS USER PASSWORD RETR
 * POP3 sessions as fast as they go: USER PASS STAT LIST UIDL, RETR of the first RETR messages, QUIT, each answer awaited. Prints
 * sessions a second, and the mean milliseconds from connect to the login's answer, and from there to the end of UIDL.
 * WORKERS 0: opens SECONDS connections, logs them in and waits for the end of standard input: for a look at memory. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counts {
	unsigned long sessions;
	double login, lists;
};

struct client {
	int fd;
	size_t at, len;
	char in[65536];
};

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

__attribute__((noreturn)) static void
fail(const char *what)
{
	(void)fprintf(stderr, "pop3_load: %s\n", what);
	exit(1);
}

static int
number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 0 || n > 65535)
		fail("a number from 0 to 65535");
	return (int)n;
}

/* the next line, without its end; null: none comes */
static char *
line(struct client *c)
{
	for (;;) {
		char *end = memchr(c->in + c->at, '\n', c->len - c->at);
		ssize_t n;

		if (end != NULL) {
			char *start = c->in + c->at;

			*end = '\0';
			c->at = (size_t)(end + 1 - c->in);
			return start;
		}
		memmove(c->in, c->in + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
		n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);
		if (n <= 0)
			return NULL;
		c->len += (size_t)n;
	}
}

static void
expect(struct client *c, const char *what, bool many)
{
	char *l = line(c);

	if (l == NULL || strncmp(l, "+OK", 3) != 0)
		fail(l == NULL ? what : l);
	while (many && (l = line(c)) != NULL && strcmp(l, ".\r") != 0)
		;
	if (l == NULL)
		fail(what);
}

static void
say(struct client *c, const char *what, bool many)
{
	char text[300];
	int n = snprintf(text, sizeof text, "%s\r\n", what);

	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		fail(what);
	expect(c, what, many);
}

static void
log_in(struct client *c, const char *port, const char *user, const char *password)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[300];
	int one = 1;

	to.sin_port = htons((uint16_t)number(port));
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	c->at = c->len = 0;
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
		fail("connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	expect(c, "greeting", false);
	(void)snprintf(text, sizeof text, "USER %s", user);
	say(c, text, false);
	(void)snprintf(text, sizeof text, "PASS %s", password);
	say(c, text, false);
}

static void
session(struct client *c, struct counts *counts, char *argv[])
{
	double began = now(), logged_in;
	char text[40];

	log_in(c, argv[1], argv[4], argv[5]);
	logged_in = now();
	say(c, "STAT", false);
	say(c, "LIST", true);
	say(c, "UIDL", true);
	counts->lists += now() - logged_in;
	counts->login += logged_in - began;
	for (int i = 1; i <= number(argv[6]); i++) {
		(void)snprintf(text, sizeof text, "RETR %d", i);
		say(c, text, true);
	}
	say(c, "QUIT", false);
	(void)close(c->fd);
	counts->sessions++;
}

static void
hold(char *argv[])
{
	static struct client c;
	char octet;

	for (int i = 0; i < number(argv[3]); i++)
		log_in(&c, argv[1], argv[4], argv[5]);
	(void)printf("open\n");
	(void)fflush(stdout);
	(void)!read(0, &octet, 1);
}

int
main(int argc, char *argv[])
{
	static struct client c;
	struct counts *counts, all = { 0 };
	int n, status = 0;
	double end, seconds;

	if (argc != 7)
		fail("usage: pop3_load PORT WORKERS SECONDS USER PASSWORD RETR");
	n = number(argv[2]);
	if (n == 0) {
		hold(argv);
		return 0;
	}
	seconds = strtod(argv[3], NULL);
	counts = mmap(NULL, sizeof *counts * (size_t)n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		fail("mmap");
	end = now() + seconds * 1e3;
	for (int i = 0; i < n; i++)
		if (fork() == 0) {
			while (now() < end)
				session(&c, &counts[i], argv);
			_exit(0);
		}
	while (wait(&status) > 0)
		if (status != 0)
			fail("a worker has failed");
	for (int i = 0; i < n; i++) {
		all.sessions += counts[i].sessions;
		all.login += counts[i].login;
		all.lists += counts[i].lists;
	}
	(void)printf("%.1f sessions/s, login %.2f ms, STAT LIST UIDL %.2f ms\n", (double)all.sessions / seconds,
	    all.login / (double)all.sessions, all.lists / (double)all.sessions);
	return 0;
}
