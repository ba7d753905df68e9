/* Sets of system calls with the reason of each, and the seccomp filter composed of them.
 * Trusts the kernel to apply it. Numbers are resolved here and nowhere else.
 * Never allows by default: what no set of the process names kills it; what libc tries and survives gets an errno. */
#include "sys/syscalls.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* What an argument must be; none for most. */
enum check {
	PLAIN,
	ONLY_UNIX, /* argument 0 is AF_UNIX */
	ONLY_TCP, /* socket: IPv4 or IPv6, TCP itself: neither MPTCP nor SMC, whose connections landlock does not see */
	ONLY_TCP_OR_UDP, /* the same, or UDP */
	NO_EXEC_MAPPING, /* argument 2 without PROT_EXEC */
	ONLY_FORK,       /* clone: no new namespaces, no shared memory */
	ONLY_THREAD,     /* clone: shares memory, files and signals */
	ONLY_SAFE_FCNTL, /* duplicate, flags of the descriptor, read flags */
	ONLY_WAITING, /* fcntl F_SETFL with no flag that a socket has not: none that changes how others' octets are kept */
	ONLY_ITSELF,      /* argument 0 is 0: the calling process */
	ONLY_PLAIN_LOCKS, /* futex: wait, wake, requeue; none that inherits priority */
	NO_URGENT, /* send, receive: no octet out of turn (MSG_OOB), which is another code of the kernel's for AF_UNIX; no connection
		    * by the way (MSG_FASTOPEN), which landlock does not see: the resolver library falls back to connect */
	ONLY_PATIENCE,   /* setsockopt SO_RCVTIMEO, SO_SNDTIMEO: no filter is attached, no protocol put on top */
	ONLY_KINDS,      /* getsockopt SO_TYPE, SO_DOMAIN, SO_ERROR, SO_PEERCRED, SO_ACCEPTCONN */
	ONLY_CONNECTING, /* setsockopt TCP_NODELAY, SO_KEEPALIVE, IP_BIND_ADDRESS_NO_PORT */
	ONLY_RESOLVING,  /* setsockopt of what the resolver library sets for a question: times, sizes, fragments */
	ONLY_SIZES,      /* getsockopt SO_RCVBUF, SO_SNDBUF */
	ONLY_LEASE,      /* fcntl F_SETLEASE, F_GETLEASE */
	ONLY_RANGES,     /* fcntl F_SETLK: it does not wait */
	ONLY_SEALS,      /* fcntl F_ADD_SEALS, F_GET_SEALS */
	ONLY_SELF_NAME,  /* prctl PR_SET_NAME, PR_SET_VMA, PR_GET_DUMPABLE */
};

struct row {
	uint64_t set;
	int call;
	const char *name;
	enum check check;
	const char *reason;
};

#define R(set, call, check, reason) \
	{ \
		MAY_##set, SCMP_SYS(call), #call, check, reason \
	}
static const struct row rows[] = {
	R(COMPUTE, brk, PLAIN, "malloc"),
	R(COMPUTE, mmap, NO_EXEC_MAPPING, "malloc, tables"),
	R(COMPUTE, mremap, PLAIN, "realloc"),
	R(COMPUTE, munmap, PLAIN, "free"),
	R(COMPUTE, mprotect, NO_EXEC_MAPPING, "malloc arenas, stacks of threads"),
	R(COMPUTE, madvise, PLAIN, "free gives pages back"),
	R(COMPUTE, futex, ONLY_PLAIN_LOCKS, "locks in libc"),
	R(COMPUTE, getrandom, PLAIN, "hash seeds, boundaries"),
	R(COMPUTE, clock_gettime, PLAIN, "the time, where the vdso can't"),
	R(COMPUTE, gettimeofday, PLAIN, "the time, where the vdso can't"),
	R(COMPUTE, getpid, PLAIN, "log lines"),
	R(COMPUTE, gettid, PLAIN, "abort, after a failed check"),
	R(COMPUTE, rt_sigaction, PLAIN, "abort; handlers of a fork"),
	R(COMPUTE, rt_sigprocmask, PLAIN, "fork and abort block signals"),
	R(COMPUTE, rt_sigreturn, PLAIN, "return from a handler"),
	R(COMPUTE, restart_syscall, PLAIN, "after a stop"),
	R(COMPUTE, exit, PLAIN, "end of a thread"),
	R(COMPUTE, exit_group, PLAIN, "end"),
	R(COMPUTE, write, PLAIN, "the log"),
	R(COMPUTE, close, PLAIN, "giving up descriptors"),
	R(WAIT, epoll_create1, PLAIN, "event loop"),
	R(WAIT, epoll_ctl, PLAIN, "event loop"),
	R(WAIT, epoll_wait, PLAIN, "event loop"),
	R(WAIT, epoll_pwait, PLAIN, "event loop"),
	R(WAIT, poll, PLAIN, "waiting with a time limit"),
	R(WAIT, ppoll, PLAIN, "waiting for messages or children"),
	R(WAIT, nanosleep, PLAIN, "pauses"),
	R(WAIT, clock_nanosleep, PLAIN, "pauses"),
	R(WAIT, eventfd2, PLAIN, "threads wake the event loop"),
	R(TALK, read, PLAIN, "bytes of the connection"),
	R(TALK, writev, PLAIN, "libc's last words when it aborts; queries of the resolver library over TCP"),
	R(TALK, recvfrom, NO_URGENT, "bytes of the connection"),
	R(TALK, sendto, NO_URGENT, "bytes to the connection"),
	R(TALK, recvmsg, NO_URGENT, "messages, with descriptors"),
	R(TALK, sendmsg, NO_URGENT, "messages, with descriptors"),
	R(TALK, setsockopt, ONLY_PATIENCE, "time limits of the connection"),
	R(TALK, getsockopt, ONLY_KINDS, "errors and kinds of sockets, who is there"),
	R(TALK, fcntl, ONLY_SAFE_FCNTL, "duplicates for waiting messages"),
	R(PAIR, socketpair, ONLY_UNIX, "channels"),
	R(ACCEPT, accept4, PLAIN, "connections"),
	R(ACCEPT, getsockname, PLAIN, "which local address"),
	R(CONNECT_INET, socket, ONLY_TCP, "connections out"),
	R(CONNECT_INET, connect, PLAIN, "connections out; landlock says to which ports"),
	R(CONNECT_INET, setsockopt, ONLY_CONNECTING, "delays, keep-alive, the local address of a connection out"),
	R(CONNECT_INET, bind, PLAIN, "the local address of a connection out"),
	R(CONNECT_INET, getsockname, PLAIN, "which local address"),
	R(DATAGRAM_INET, getuid, PLAIN, "libraries ask whether they have another's rights"),
	R(DATAGRAM_INET, geteuid, PLAIN, "libraries ask whether they have another's rights"),
	R(DATAGRAM_INET, getgid, PLAIN, "libraries ask whether they have another's rights"),
	R(DATAGRAM_INET, getegid, PLAIN, "libraries ask whether they have another's rights"),
	R(DATAGRAM_INET, pipe2, PLAIN, "the resolver library wakes its thread"),
	R(DATAGRAM_INET, socket, ONLY_TCP_OR_UDP, "questions to name servers"),
	R(DATAGRAM_INET, connect, PLAIN, "questions to name servers"),
	R(DATAGRAM_INET, bind, PLAIN, "random source ports"),
	R(DATAGRAM_INET, setsockopt, ONLY_RESOLVING, "what the resolver library sets"),
	R(DATAGRAM_INET, getsockopt, ONLY_SIZES, "whether the resolver library got the sizes that it set"),
	R(DATAGRAM_INET, getsockname, PLAIN, "which local address"),
	R(READ_AT, pread64, PLAIN, "content and tables"),
	R(READ_AT, fstat, PLAIN, "size of what is open"),
	R(READ_AT, newfstatat, PLAIN, "libc's fstat; root and landlock bound names"),
	R(WRITE_AT, pwrite64, PLAIN, "statuses in place"),
	R(WRITE_AT, ftruncate, PLAIN, "undo of a part-written note"),
	R(WRITE_AT, fsync, PLAIN, "on disk"),
	R(WRITE_AT, syncfs, PLAIN, "a group on disk"),
	R(WRITE_AT, sync_file_range, PLAIN, "whether an earlier write of this file failed"),
	R(OPEN_BELOW, openat, PLAIN, "its files; root, landlock and uid bound them"),
	R(OPEN_BELOW, openat2, PLAIN, "its files, beneath a directory"),
	R(OPEN_BELOW, getdents64, PLAIN, "reading directories"),
	R(OPEN_BELOW, newfstatat, PLAIN, "looking at a name"),
	R(OPEN_BELOW, fstat, PLAIN, "looking at what is open"),
	R(OPEN_BELOW, statx, PLAIN, "looking at a name"),
	R(OPEN_BELOW, fstatfs, PLAIN, "free space"),
	R(OPEN_BELOW, lseek, PLAIN, "directories from the start, a writer at the place of the content"),
	R(OPEN_BELOW, flock, PLAIN, "one writer only"),
	R(OPEN_BELOW, utimensat, PLAIN, "times of what it made"),
	R(CHANGE_NAMES, linkat, PLAIN, "a name for a whole file"),
	R(CHANGE_NAMES, renameat, PLAIN, "tmp to new, damaged files aside"),
	R(CHANGE_NAMES, renameat2, PLAIN, "the same, without replacing"),
	R(CHANGE_NAMES, unlinkat, PLAIN, "removing what is done"),
	R(CHANGE_NAMES, mkdirat, PLAIN, "directories of its own"),
	R(LEASE, fcntl, ONLY_LEASE, "proof that nobody else can write"),
	R(LOCK_FILES, fcntl, ONLY_RANGES, "the lock of an mbox"),
	R(FORK, clone, ONLY_FORK, "a session's process"),
	R(FORK, set_robust_list, PLAIN, "libc after a fork"),
	R(FORK, rseq, PLAIN, "libc after a fork"),
	R(FORK, wait4, PLAIN, "children that ended"),
	R(FORK, waitid, PLAIN, "children that ended"),
	R(EXEC, execve, PLAIN, "the program it starts"),
	R(EXEC, execveat, PLAIN, "the program it starts"),
	R(BECOME, setuid, PLAIN, "process_confine of what it starts"),
	R(BECOME, setgid, PLAIN, "process_confine of what it starts"),
	R(BECOME, setgroups, PLAIN, "process_confine of what it starts"),
	R(BECOME, setresuid, PLAIN, "process_confine of what it starts"),
	R(BECOME, setresgid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getuid, PLAIN, "process_confine of what it starts"),
	R(BECOME, geteuid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getgid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getegid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getresuid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getresgid, PLAIN, "process_confine of what it starts"),
	R(BECOME, getgroups, PLAIN, "process_confine of what it starts"),
	R(BECOME, chroot, PLAIN, "process_confine of what it starts"),
	R(BECOME, chdir, PLAIN, "process_confine of what it starts"),
	R(BECOME, fchdir, PLAIN, "process_confine of what it starts"),
	R(BECOME, capset, PLAIN, "process_confine of what it starts"),
	R(BECOME, capget, PLAIN, "process_confine of what it starts"),
	R(BECOME, prctl, PLAIN, "process_confine of what it starts"),
	R(BECOME, prlimit64, PLAIN, "process_confine of what it starts"),
	R(BECOME, seccomp, PLAIN, "process_confine of what it starts"),
	R(BECOME, landlock_create_ruleset, PLAIN, "process_confine of what it starts"),
	R(BECOME, landlock_add_rule, PLAIN, "process_confine of what it starts"),
	R(BECOME, landlock_restrict_self, PLAIN, "process_confine of what it starts"),
	R(BECOME, close_range, PLAIN, "process_inherit of what it starts"),
	R(BECOME, dup2, PLAIN, "descriptors in their places"),
	R(BECOME, dup3, PLAIN, "descriptors in their places"),
	R(BECOME, arch_prctl, PLAIN, "the loader of what it starts"),
	R(BECOME, set_tid_address, PLAIN, "the loader of what it starts"),
	R(BECOME, access, PLAIN, "the loader of what it starts"),
	R(BECOME, faccessat, PLAIN, "the loader of what it starts"),
	R(BECOME, umask, PLAIN, "modes of what it starts makes"),
	R(BECOME, uname, PLAIN, "the loader of what it starts"),
	R(THREAD, clone, ONLY_THREAD, "flusher threads"),
	R(THREAD, set_robust_list, PLAIN, "libc in a new thread"),
	R(THREAD, rseq, PLAIN, "libc in a new thread"),
	R(THREAD, sched_yield, PLAIN, "libc's locks"),
	R(THREAD, sched_getaffinity, PLAIN, "libc, size of arenas"),
	R(LOCK_MEMORY, mlock2, PLAIN, "secrets are not swapped, page by page as they are used"),
	R(SEAL, fcntl, ONLY_SEALS, "the certificates are not changed after it"),
	R(NARROW, seccomp, PLAIN, "a filter on top of this one"),
	R(LIMIT, prlimit64, ONLY_ITSELF, "a session's limits, lower than its zygote's"),
	R(SHUT, shutdown, PLAIN, "half-close"),
	R(SEE_SPACE, fstatfs, PLAIN, "that a message leaves room on the disk"),
	R(SET_WAITING, fcntl, ONLY_WAITING, "a connection that does not wait"),
#if defined(__SANITIZE_ADDRESS__)
	R(BECOME, mmap, PLAIN, "the loader of what it starts maps code"),
	R(BECOME, mprotect, PLAIN, "the loader of what it starts"),
	R(COMPUTE, sigaltstack, PLAIN, "address sanitizer"),
	R(COMPUTE, readlink, PLAIN, "address sanitizer reports"),
	R(COMPUTE, readlinkat, PLAIN, "address sanitizer reports"),
	R(COMPUTE, sched_yield, PLAIN, "address sanitizer's locks"),
	R(COMPUTE, prctl, PLAIN, "address sanitizer reports"),
	R(COMPUTE, sched_getaffinity, PLAIN, "address sanitizer in threads"),
	R(COMPUTE, getrlimit, PLAIN, "address sanitizer in threads"),
	R(COMPUTE, prlimit64, PLAIN, "address sanitizer in threads"),
#endif
};
#undef R

/* What libc tries and can live without. */
static const struct {
	int call;
	int error;
} refused[] = {
	{ SCMP_SYS(openat), EACCES },                                 /* locale, time zone, /proc: not needed */
	{ SCMP_SYS(open), EACCES }, { SCMP_SYS(newfstatat), EACCES }, /* stdio asks what a stream is */
	{ SCMP_SYS(fstat), EACCES }, { SCMP_SYS(ioctl), ENOTTY },     /* stdio asks whether it is a terminal */
	{ SCMP_SYS(access), EACCES }, { SCMP_SYS(sysinfo), ENOSYS },  /* qsort asks for memory */
	{ SCMP_SYS(prlimit64), EPERM },                               /* pthread_create asks for the stack limit */
	{ SCMP_SYS(clone3), ENOSYS }, /* libc goes on with clone, whose flags can be checked */
	{ SCMP_SYS(sched_getaffinity), EPERM }, { SCMP_SYS(mbind), EPERM }, { SCMP_SYS(lseek), ESPIPE },
	{ SCMP_SYS(rseq), ENOSYS }, { SCMP_SYS(set_robust_list), ENOSYS }, { SCMP_SYS(getuid), EPERM },
	{ SCMP_SYS(uname), EPERM }, { SCMP_SYS(readlink), EACCES },
	{ SCMP_SYS(tgkill), EPERM }, /* abort, after a failed check: it ends by a trap instead */
};

#define NAMESPACES \
	((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	    CLONE_NEWNET))

static int
add_values(scmp_filter_ctx f, int call, unsigned argument, const int *values, size_t n)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= seccomp_rule_add(
		    f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(argument, SCMP_CMP_EQ, (scmp_datum_t)values[i]));
	return bad;
}

struct option {
	int level, name;
};

static int
add_options(scmp_filter_ctx f, int call, const struct option *options, size_t n)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 2,
		    SCMP_CMP(1, SCMP_CMP_EQ, (scmp_datum_t)options[i].level),
		    SCMP_CMP(2, SCMP_CMP_EQ, (scmp_datum_t)options[i].name));
	return bad;
}

static int
add_locks(scmp_filter_ctx f, int call)
{
	static const int locks[] = { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP,
		FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET };
	int bad = 0;

	for (size_t i = 0; i < nitems(locks); i++)
		bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
		    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, (uint32_t)FUTEX_CMD_MASK, (scmp_datum_t)locks[i]));
	return bad;
}

/* Family, type without its flags, and protocol: each as it must be. */
static int
add_sockets(scmp_filter_ctx f, int call, bool udp)
{
	static const struct {
		int family, type, protocol;
	} kinds[] = { { AF_INET, SOCK_STREAM, 0 }, { AF_INET, SOCK_STREAM, IPPROTO_TCP }, { AF_INET6, SOCK_STREAM, 0 },
		{ AF_INET6, SOCK_STREAM, IPPROTO_TCP }, { AF_INET, SOCK_DGRAM, 0 },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDP }, { AF_INET6, SOCK_DGRAM, 0 },
		{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP } };
	const scmp_datum_t kind = (uint32_t) ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	int bad = 0;

	for (size_t i = 0; i < nitems(kinds); i++)
		if (kinds[i].type == SOCK_STREAM || udp)
			bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 3,
			    SCMP_CMP(0, SCMP_CMP_EQ, (scmp_datum_t)kinds[i].family),
			    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, kind, (scmp_datum_t)kinds[i].type),
			    SCMP_CMP(2, SCMP_CMP_EQ, (scmp_datum_t)kinds[i].protocol));
	return bad;
}

static int
add_flags(scmp_filter_ctx f, int call, unsigned argument)
{
	const scmp_datum_t looked_at = MSG_OOB | MSG_FASTOPEN;

	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, looked_at, 0)) |
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(EOPNOTSUPP), call, 1,
		SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, looked_at, MSG_FASTOPEN));
}

static int
add_row(scmp_filter_ctx f, const struct row *row)
{
	static const int unix_only[] = { AF_UNIX };
	static const int safe_fcntl[] = { F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL };
	static const int ranges[] = { F_SETLK };
	static const int lease[] = { F_SETLEASE, F_GETLEASE };
	static const int seals[] = { F_ADD_SEALS, F_GET_SEALS };
	static const int names[] = { PR_SET_NAME, PR_GET_DUMPABLE };
	static const struct option patience[] = { { SOL_SOCKET, SO_RCVTIMEO }, { SOL_SOCKET, SO_SNDTIMEO } };
	static const struct option kinds[] = { { SOL_SOCKET, SO_TYPE }, { SOL_SOCKET, SO_DOMAIN },
		{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_PEERCRED }, { SOL_SOCKET, SO_ACCEPTCONN } };
	static const struct option connecting[] = { { IPPROTO_TCP, TCP_NODELAY }, { SOL_SOCKET, SO_KEEPALIVE },
		{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT } };
	static const struct option resolving[] = { { SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_RCVBUF },
		{ SOL_SOCKET, SO_SNDBUF }, { IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_MAXSEG },
		{ IPPROTO_IP, IP_MTU_DISCOVER }, { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT }, { IPPROTO_IPV6, IPV6_V6ONLY },
		{ IPPROTO_IPV6, IPV6_MTU_DISCOVER }, { IPPROTO_IPV6, IPV6_MTU } };
	static const struct option sizes[] = { { SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_SNDBUF } };
	bool whole = row->call == SCMP_SYS(sendmsg) || row->call == SCMP_SYS(recvmsg);

	switch (row->check) {
	case PLAIN:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 0);
	case ONLY_UNIX:
		return add_values(f, row->call, 0, unix_only, nitems(unix_only));
	case ONLY_TCP:
	case ONLY_TCP_OR_UDP:
		return add_sockets(f, row->call, row->check == ONLY_TCP_OR_UDP);
	case NO_EXEC_MAPPING:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 1, SCMP_CMP(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case ONLY_FORK:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 1,
		    SCMP_CMP(0, SCMP_CMP_MASKED_EQ, NAMESPACES | CLONE_VM | CLONE_PTRACE, 0));
	case ONLY_THREAD:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 1,
		    SCMP_CMP(0, SCMP_CMP_MASKED_EQ, NAMESPACES | CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD));
	case ONLY_SAFE_FCNTL:
		return add_values(f, row->call, 1, safe_fcntl, nitems(safe_fcntl));
	case ONLY_WAITING:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 2, SCMP_CMP(1, SCMP_CMP_EQ, F_SETFL),
		    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(O_ACCMODE | O_NONBLOCK), 0));
	case ONLY_ITSELF:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, row->call, 1, SCMP_CMP(0, SCMP_CMP_EQ, 0));
	case ONLY_LEASE:
		return add_values(f, row->call, 1, lease, nitems(lease));
	case ONLY_RANGES:
		return add_values(f, row->call, 1, ranges, nitems(ranges));
	case ONLY_SEALS:
		return add_values(f, row->call, 1, seals, nitems(seals));
	case ONLY_PLAIN_LOCKS:
		return add_locks(f, row->call);
	case NO_URGENT:
		return add_flags(f, row->call, whole ? 2 : 3);
	case ONLY_PATIENCE:
		return add_options(f, row->call, patience, nitems(patience));
	case ONLY_KINDS:
		return add_options(f, row->call, kinds, nitems(kinds));
	case ONLY_CONNECTING:
		return add_options(f, row->call, connecting, nitems(connecting));
	case ONLY_RESOLVING:
		return add_options(f, row->call, resolving, nitems(resolving));
	case ONLY_SIZES:
		return add_options(f, row->call, sizes, nitems(sizes));
	case ONLY_SELF_NAME:
		return add_values(f, row->call, 0, names, nitems(names));
	}
	return -1;
}

static bool
has_row(uint64_t sets, int call)
{
	for (size_t i = 0; i < nitems(rows); i++)
		if ((rows[i].set & sets) != 0 && rows[i].call == call)
			return true;
	return false;
}

enum result
syscalls_filter(uint64_t sets, struct why *why)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int bad = f == NULL;

	if (f == NULL)
		return why_set(why, EXHAUSTED, "no memory for the system call filter");
	bad |= seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < nitems(rows) && !bad; i++)
		if (rows[i].set & sets)
			bad |= add_row(f, &rows[i]);
	for (size_t i = 0; i < nitems(refused) && !bad; i++)
		if (!has_row(sets, refused[i].call))
			bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)refused[i].error), refused[i].call, 0);
	if (!bad)
		bad = seccomp_load(f);
	seccomp_release(f);
	(void)malloc_trim(0); /* what building it took would be copied with every fork */
	if (bad)
		return why_set(why, REFUSED, "the kernel does not take the system call filter (error %d)", -bad);
	return OK;
}

static const char *const set_names[] = { "MAY_COMPUTE", "MAY_WAIT", "MAY_TALK", "MAY_PAIR", "MAY_ACCEPT",
	"MAY_CONNECT_INET", "MAY_READ_AT", "MAY_WRITE_AT", "MAY_OPEN_BELOW", "MAY_CHANGE_NAMES", "MAY_LEASE",
	"MAY_FORK", "MAY_EXEC", "MAY_BECOME", "MAY_THREAD", "MAY_LOCK_MEMORY", "MAY_SEAL", "MAY_DATAGRAM_INET",
	"MAY_NARROW", "MAY_LIMIT", "MAY_SET_WAITING", "MAY_SEE_SPACE", "MAY_RUN_PROGRAMS", "MAY_SHUT",
	"MAY_LOCK_FILES" };

const char *
syscall_set_name(enum syscall_set one)
{
	size_t i = (size_t)__builtin_ctz((unsigned)one | 1u << 31);

	return i < nitems(set_names) ? set_names[i] : "?";
}

void
syscalls_list(
    uint64_t sets, void (*each)(const char *call, const char *set, const char *reason, void *context), void *context)
{
	for (size_t i = 0; i < nitems(rows); i++)
		if (rows[i].set & sets)
			each(rows[i].name, syscall_set_name((enum syscall_set)rows[i].set), rows[i].reason, context);
	if (sets & MAY_RUN_PROGRAMS)
		syscalls_list_programs(sets, each, context);
}
