/* Tests of what the system call filters let through of sockets: every protocol number, by the kernel's own word.
 * Each try is a process of its own with the filter of one process of the house on it.
 * Makes no connection. */
#include "unit.h"

#include "base/bytes.h"
#include "house/house.h"
#include "sys/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define STEP 7 /* a fork takes longer there */
#else
#define STEP 1
#endif
#define LAST_PROTOCOL 300 /* the highest that has a name is 262 */

struct kind {
	int family, type, protocol;
};

static bool
is_allowed(const struct kind *k, bool tcp, bool udp)
{
	if (k->family != AF_INET && k->family != AF_INET6)
		return false;
	return (tcp && k->type == SOCK_STREAM && (k->protocol == 0 || k->protocol == IPPROTO_TCP)) ||
	    (udp && k->type == SOCK_DGRAM && (k->protocol == 0 || k->protocol == IPPROTO_UDP));
}

/* In a process with the filter: 0, or the line of what did not hold, which is said. */
static int
try_one(const struct kind *k, int flags, bool allowed)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)!syscall(SYS_socket, k->family, k->type | flags, k->protocol, 0L, 0L, 0L);
		_exit(0); /* the filter let it through, whether or not the kernel has such a thing */
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return __LINE__;
	if (allowed ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return 0;
	(void)fprintf(
	    stderr, "socket(%d, %d, %d) is %s\n", k->family, k->type, k->protocol, allowed ? "killed" : "let through");
	return __LINE__;
}

static int
try_protocols(struct kind k, bool tcp, bool udp)
{
	static const int named[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP, 256, 262 };
	int line = 0;

	for (k.protocol = 0; k.protocol <= LAST_PROTOCOL && line == 0; k.protocol += STEP)
		line = try_one(&k, SOCK_CLOEXEC | SOCK_NONBLOCK, is_allowed(&k, tcp, udp));
	for (size_t i = 0; i < nitems(named) && line == 0; i++) {
		k.protocol = named[i];
		line = try_one(&k, 0, is_allowed(&k, tcp, udp));
	}
	return line;
}

/* The exit status of a process with the filter of those sets (and that of forking, for the test) that runs it. */
static int
with_filter(const struct privileges *may, int (*run)(const struct privileges *may))
{
	static const struct rlimit none = { 0, 0 };
	struct why why = WHY_NONE;
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		    syscalls_filter(may->syscalls | MAY_COMPUTE | MAY_FORK, &why) != OK)
			_exit(1);
		_exit(run(may) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
try_all(const struct privileges *may)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP };
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK, 43 /* AF_SMC */ };
	bool udp = may->syscalls & MAY_DATAGRAM_INET, tcp = udp || (may->syscalls & MAY_CONNECT_INET);
	int line = 0;

	for (size_t t = 0; t < nitems(types) && line == 0; t++)
		line = try_protocols((struct kind){ .family = AF_INET, .type = types[t] }, tcp, udp);
	for (size_t f = 1; f < nitems(families) && line == 0; f++)
		for (size_t t = 0; t < nitems(types) && line == 0; t++) {
			struct kind k = { families[f], types[t], 0 };

			line = try_one(&k, 0, is_allowed(&k, tcp, udp));
		}
	return line;
}

static void
those_with_the_network_get_no_socket_but_of_tcp_and_resolve_of_udp(void **state)
{
	(void)state;
	assert_int_equal(with_filter(house_privileges("remote"), try_all), 0);
	assert_int_equal(with_filter(house_privileges("resolve"), try_all), 0);
}

static int
try_streams(const struct privileges *may)
{
	(void)may;
	return try_protocols((struct kind){ .family = AF_INET, .type = SOCK_STREAM }, false, false);
}

static void
nobody_else_gets_any(void **state)
{
	static const char *const processes[] = {
#define PROCESS(name, by) #name,
#include "census.def"
	};
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < nitems(processes); i++) {
		const struct privileges *may = house_privileges(processes[i]);

		if (may->no_seccomp || (may->syscalls & (MAY_RUN_PROGRAMS | MAY_CONNECT_INET | MAY_DATAGRAM_INET)))
			continue;
		if (with_filter(may, try_streams) != 0)
			fail_msg("%s", may->process);
		n++;
	}
	assert_in_range(n, 12, 40);
}

static int
say_with_flags(const struct privileges *may)
{
	struct msghdr mh = { 0 };
	bool ok;

	(void)may;
	/* an error, not death: the resolver library goes on with connect */
	ok = syscall(SYS_sendmsg, -1, &mh, MSG_FASTOPEN, 0L, 0L, 0L) == -1 && errno == EOPNOTSUPP;
	ok = ok && syscall(SYS_sendto, -1, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, NULL, 0L) == -1 && errno == EOPNOTSUPP;
	ok = ok && syscall(SYS_sendmsg, -1, &mh, MSG_NOSIGNAL, 0L, 0L, 0L) == -1 && errno == EBADF;
	return ok ? 0 : 1;
}

static void
no_connection_is_made_by_sending(void **state)
{
	(void)state;
	assert_int_equal(with_filter(house_privileges("remote"), say_with_flags), 0);
	assert_int_equal(with_filter(house_privileges("resolve"), say_with_flags), 0);
}

static int
set_options(const struct privileges *may)
{
	bool listed, line = false;

	(void)may;
	for (int level = 0; level <= 41 && !line; level += level == 6 ? 35 : level == 1 ? 5 : 1)
		for (int name = 1; name < 90 && !line; name++) {
			int status = 0;
			pid_t pid = fork();

			if (pid == 0) {
				(void)!syscall(SYS_setsockopt, -1, level, name, "", 0, 0L);
				_exit(0);
			}
			listed = (level == SOL_SOCKET &&
				     (name == SO_REUSEADDR || name == SO_RCVBUF || name == SO_SNDBUF ||
					 name == SO_RCVTIMEO || name == SO_SNDTIMEO)) ||
			    (level == IPPROTO_TCP && (name == 1 || name == 2)) ||
			    (level == IPPROTO_IP && (name == 10 || name == 24)) ||
			    (level == IPPROTO_IPV6 && (name == 23 || name == 24 || name == 26));
			line = pid < 0 || waitpid(pid, &status, 0) != pid || WIFSIGNALED(status) == listed;
			if (line)
				(void)fprintf(stderr, "setsockopt %d %d\n", level, name);
		}
	return line ? 1 : 0;
}

static void
resolve_sets_the_options_of_its_list_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(with_filter(house_privileges("resolve"), set_options), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_with_the_network_get_no_socket_but_of_tcp_and_resolve_of_udp),
		cmocka_unit_test(nobody_else_gets_any),
		cmocka_unit_test(no_connection_is_made_by_sending),
		cmocka_unit_test(resolve_sets_the_options_of_its_list_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
