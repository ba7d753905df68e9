/* The accepting process.
 * Trusts the kernel for who is connected and how children end.
 * Never reads from a connection; never has more children than its limit, nor grows with the number of peers. */
#include "ucspi/server.h"

#include "sys/fd.h"
#include "sys/log_out.h"
#include "ucspi/session.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_TROUBLE 111
#define PAUSE_MS 100

static volatile sig_atomic_t told_to_end, told_to_reload, child_ended;

static void
note(int signal)
{
	if (signal == SIGTERM)
		told_to_end = 1;
	else if (signal == SIGHUP)
		told_to_reload = 1;
	else
		child_ended = 1;
}

/* ---- where to listen ---- */

/* *both: IPv4 comes in by the same socket. */
static struct address
find_host(const struct server *s, bool *both)
{
	struct address all[LOOKUP_ADDRESSES_MAX];
	const char *host = s->o.host;
	size_t n;

	*both = host[0] == '\0' || strcmp(host, "0") == 0 || strcmp(host, ":0") == 0;
	if (*both)
		return (struct address){ .len = s->o.only_ipv4 ? 4 : 16 };
	lookup_addresses(&s->lookup, host, s->o.only_ipv4 ? AF_INET : AF_UNSPEC, all, &n);
	if (n == 0)
		say_die(EXIT_TROUBLE, "temporarily unable to figure out IP address for %s", host);
	return all[0];
}

static int
make_socket(struct address *a, bool both)
{
	int one = 1, only_v6 = !both,
	    fd = socket(a->len == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && both) {
		a->len = 4; /* a host without IPv6 */
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    (a->len == 16 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) != 0))
		say_die(EXIT_TROUBLE, "unable to create socket: %s", strerror(errno));
	return fd;
}

void
server_open(struct server *s)
{
	struct sockaddr_storage at;
	socklen_t len;
	bool both;

	s->lookup = lookup_as(s->o.uid, s->o.gid, s->o.ident_seconds);
	s->here = find_host(s, &both);
	s->here.port = options_port(s->o.port);
	if (s->o.interface != NULL && (s->here.scope = if_nametoindex(s->o.interface)) == 0)
		say_die(EXIT_TROUBLE, "there is no interface %s", s->o.interface);
	s->listening = make_socket(&s->here, both);
	len = address_to(&s->here, &at);
	if (bind(s->listening, (const struct sockaddr *)&at, len) != 0)
		say_die(EXIT_TROUBLE, "unable to bind to: %s port: %s: %s", s->o.host, s->o.port, strerror(errno));
	len = sizeof at;
	if (getsockname(s->listening, (struct sockaddr *)&at, &len) != 0 || !address_from(&at, false, &s->here) ||
	    listen(s->listening, (int)s->o.backlog) != 0)
		say_die(EXIT_TROUBLE, "unable to listen: %s", strerror(errno));
	s->children = calloc(s->o.concurrency, sizeof *s->children);
	if (s->children == NULL)
		say_die(EXIT_TROUBLE, "out of memory");
	if (s->o.print_port) {
		(void)printf("%u\n", s->here.port);
		(void)fflush(stdout);
	}
}

/* ---- children ---- */

static void
say_counts(const struct server *s)
{
	if (s->per_address > 0)
		say_status("status: %u/%u/%u", s->n, s->o.concurrency, s->per_address);
	else
		say_status("status: %u/%u", s->n, s->o.concurrency);
}

static void
reap(struct server *s)
{
	int status;
	pid_t pid;

	child_ended = 0;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		unsigned i = 0;

		while (i < s->o.concurrency && s->children[i].pid != pid)
			i++;
		if (i < s->o.concurrency) {
			s->children[i].pid = 0;
			s->n--;
			say_status("end %d status %d", (int)pid, status);
			say_counts(s);
		} else if (s->ended != NULL)
			s->ended(s, pid, status);
	}
}

static unsigned
count(const struct server *s, const struct address *peer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->o.concurrency; i++)
		n += s->children[i].pid != 0 && address_equal(&s->children[i].peer, peer);
	return n;
}

static void
note_child(struct server *s, pid_t pid, const struct address *peer)
{
	unsigned i = 0;

	while (s->children[i].pid != 0)
		i++;
	s->children[i] = (struct child){ pid, *peer };
	s->n++;
	say_counts(s);
}

static void
begin(struct server *s, int connection, const struct sockaddr_storage *from, const sigset_t *unblocked)
{
	char text[ADDRESS_TEXT];
	struct address peer;
	unsigned n;
	pid_t pid;

	if (!address_from(from, s->o.as_ipv6, &peer))
		return;
	n = count(s, &peer);
	address_text(&peer, text);
	if (s->per_address > 0 && n >= s->per_address) {
		say_warning("ip connection limit of %u exceeded for: %s", s->per_address, text);
		return;
	}
	pid = fork();
	if (pid == 0) {
		(void)sigprocmask(SIG_SETMASK, unblocked, NULL);
		session_run(s, connection, &peer, n + 1);
	}
	if (pid < 0)
		say_warning("dropping connection, unable to fork: %s", strerror(errno));
	else
		note_child(s, pid, &peer);
}

/* ---- the loop ---- */

static void
take(struct server *s, const sigset_t *unblocked)
{
	static const struct timespec pause = { 0, PAUSE_MS * 1000000L };
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	int fd = accept4(s->listening, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd >= 0) {
		begin(s, fd, &from, unblocked);
		(void)close(fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		say_warning("unable to accept: %s", strerror(errno));
		(void)nanosleep(&pause, NULL);
	}
}

static void
catch_signals(sigset_t *unblocked)
{
	struct sigaction act = { .sa_handler = note };
	sigset_t all;

	(void)sigemptyset(&all);
	for (size_t i = 0; i < 3; i++) {
		static const int signals[] = { SIGTERM, SIGHUP, SIGCHLD };

		(void)sigaddset(&all, signals[i]);
		if (sigaction(signals[i], &act, NULL) != 0)
			say_die(EXIT_TROUBLE, "unable to catch signals");
	}
	(void)sigprocmask(SIG_BLOCK, &all, unblocked);
	(void)sigdelset(unblocked, SIGTERM);
	(void)sigdelset(unblocked, SIGHUP);
	(void)sigdelset(unblocked, SIGCHLD);
}

static void
detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		say_die(EXIT_TROUBLE, "unable to open /dev/null");
	if (null > 2)
		(void)close(null);
}

void
server_run(struct server *s)
{
	struct pollfd p = { .events = POLLIN };
	sigset_t unblocked;

	detach();
	log_out_open(LOG_OUT_BESIDE);
	catch_signals(&unblocked);
	say_counts(s);
	while (!told_to_end) {
		p.fd = s->n < s->o.concurrency ? s->listening : -1;
		if (ppoll(&p, 1, NULL, &unblocked) > 0)
			take(s, &unblocked);
		if (child_ended)
			reap(s);
		if (told_to_reload) {
			told_to_reload = 0;
			if (s->hang_up != NULL)
				s->hang_up(s);
		}
	}
	if (s->end != NULL)
		s->end(s);
	say_status("status: exiting");
	_exit(0);
}
