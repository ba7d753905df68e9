/* Attempts on other processes and on rights, as somebody would make them who runs code inside a confined process.
 * Trusts the test that started it to aim them at things of its own.
 * Never part of a build that was not configured for it. */
#ifdef POSTERN_DRILL
#include "sys/drill_rows.h"

#include "base/bytes.h"
#include "sys/zygote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int
sibling(void)
{
	return drill_aim_number("DRILL_PID");
}

static long
trace_sibling(void)
{
	return syscall(SYS_ptrace, PTRACE_SEIZE, sibling(), 0, 0);
}

static long
read_sibling(void)
{
	char octet;
	struct {
		void *at;
		size_t len;
	} here = { &octet, 1 }, there = { &octet, 1 };

	return syscall(SYS_process_vm_readv, sibling(), &here, 1, &there, 1, 0);
}

static long
signal_sibling(void)
{
	return syscall(SYS_kill, sibling(), SIGURG);
}

static long
signal_thread_of_sibling(void)
{
	return syscall(SYS_tgkill, sibling(), sibling(), SIGURG);
}

static long
take_descriptor_of_sibling(void)
{
	long fd = syscall(SYS_pidfd_open, sibling(), 0);

	return fd < 0 ? fd : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long
limit_sibling(void)
{
	struct rlimit none = { 0, 0 };

	return syscall(SYS_prlimit64, sibling(), RLIMIT_NOFILE, &none, NULL);
}

static long
own_signals_of_descriptor(void)
{
	return syscall(SYS_fcntl, 2, F_SETOWN, sibling());
}

static long
fork_it(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

/* not in the zygote, but where it has a session */
static long
fork_in_session(void)
{
	return zygote_end_forks() ? fork_it() : -1;
}

static long
thread_in_session(void)
{
	return zygote_end_forks() ? syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0) : -1;
}

/* the log's pipe is everybody's: with O_DIRECT its reader loses octets, without waiting everybody loses lines */
static long
change_the_log(void)
{
	return syscall(SYS_fcntl, 2, F_SETFL, O_WRONLY | O_DIRECT);
}

static long
make_the_log_lose_lines(void)
{
	return syscall(SYS_fcntl, 2, F_SETFL, O_WRONLY | O_NONBLOCK);
}

/* ---- what the kernel can do with a socket, or a lock, and nothing here needs ---- */

static long
attach_filter_to_socket(void)
{
	return syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0);
}

static long
put_protocol_on_socket(void)
{
	return syscall(SYS_setsockopt, -1, IPPROTO_TCP, TCP_ULP, "tls", 3);
}

static long
map_what_is_received(void)
{
	return syscall(SYS_getsockopt, -1, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, NULL, NULL);
}

static long
send_urgent_octet(void)
{
	return syscall(SYS_sendto, -1, "x", 1, MSG_OOB, NULL, 0);
}

static long
receive_urgent_octet(void)
{
	struct msghdr mh = { 0 };

	return syscall(SYS_recvmsg, -1, &mh, MSG_OOB);
}

static long
lock_with_priority(void)
{
	static uint32_t lock;

	return syscall(SYS_futex, &lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0);
}

static long
fork_by_clone3(void)
{
	uint64_t args[11] = { 0, 0, 0, 0, SIGCHLD };
	long pid = syscall(SYS_clone3, args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
vfork_it(void)
{
	long pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

/* ---- other rights ---- */

static long
execute(void)
{
	char *argv[] = { NULL }, *environment[] = { NULL };

	return syscall(SYS_execve, "/bin/true", argv, environment);
}

static long
become_root(void)
{
	return syscall(SYS_setuid, 0) == 0 && drill_self->uid != 0
	    ? 0
	    : (errno = drill_self->uid == 0 ? EALREADY : errno, -1);
}

static long
become_somebody(void)
{
	return syscall(SYS_setresuid, 64999, 64999, 64999);
}

static long
take_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	return syscall(SYS_capset, &head, all);
}

static long
join_group(void)
{
	gid_t group = 0;

	return syscall(SYS_setgroups, 1, &group);
}

static long
change_root_again(void)
{
	return syscall(SYS_chroot, "/");
}

static long
new_user_namespace(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long
clone_to_user_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
clone3_to_user_namespace(void)
{
	uint64_t args[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	long pid = syscall(SYS_clone3, args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
	    ? -1
	    : 0;
}

static long
make_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long
become_dumpable(void)
{
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long
raise_limit(void)
{
	struct rlimit more = { 1u << 20, 1u << 20 };

	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, NULL);
}

static long
type_into_terminal(void)
{
	return syscall(SYS_ioctl, 2, 0x5412 /* TIOCSTI */, "x");
}

/* a call that nobody here has a use for: what comes of it bare */
#define BARE(name) \
	{ \
#name, NULL, SYS_##name \
	}
const struct drill_row drill_on_rights[] = {
	{ "trace_sibling", trace_sibling, 0 },
	{ "read_sibling", read_sibling, 0 },
	{ "signal_sibling", signal_sibling, 0 },
	{ "signal_thread_of_sibling", signal_thread_of_sibling, 0 },
	{ "take_descriptor_of_sibling", take_descriptor_of_sibling, 0 },
	{ "limit_sibling", limit_sibling, 0 },
	{ "own_signals_of_descriptor", own_signals_of_descriptor, 0 },
	{ "fork_it", fork_it, 0 },
	{ "fork_in_session", fork_in_session, 0 },
	{ "thread_in_session", thread_in_session, 0 },
	{ "change_the_log", change_the_log, 0 },
	{ "make_the_log_lose_lines", make_the_log_lose_lines, 0 },
	{ "attach_filter_to_socket", attach_filter_to_socket, 0 },
	{ "put_protocol_on_socket", put_protocol_on_socket, 0 },
	{ "map_what_is_received", map_what_is_received, 0 },
	{ "send_urgent_octet", send_urgent_octet, 0 },
	{ "receive_urgent_octet", receive_urgent_octet, 0 },
	{ "lock_with_priority", lock_with_priority, 0 },
	{ "fork_by_clone3", fork_by_clone3, 0 },
	{ "vfork_it", vfork_it, 0 },
	{ "execute", execute, 0 },
	{ "become_root", become_root, 0 },
	{ "become_somebody", become_somebody, 0 },
	{ "take_capabilities", take_capabilities, 0 },
	{ "join_group", join_group, 0 },
	{ "change_root_again", change_root_again, 0 },
	{ "new_user_namespace", new_user_namespace, 0 },
	{ "clone_to_user_namespace", clone_to_user_namespace, 0 },
	{ "clone3_to_user_namespace", clone3_to_user_namespace, 0 },
	{ "map_executable", map_executable, 0 },
	{ "make_executable", make_executable, 0 },
	{ "become_dumpable", become_dumpable, 0 },
	{ "raise_limit", raise_limit, 0 },
	{ "type_into_terminal", type_into_terminal, 0 },
	BARE(mount),
	BARE(umount2),
	BARE(pivot_root),
	BARE(setns),
	BARE(open_by_handle_at),
	BARE(name_to_handle_at),
	BARE(bpf),
	BARE(io_uring_setup),
	BARE(userfaultfd),
	BARE(perf_event_open),
	BARE(keyctl),
	BARE(add_key),
	BARE(kexec_load),
	BARE(init_module),
	BARE(finit_module),
	BARE(reboot),
	BARE(sethostname),
	BARE(settimeofday),
	BARE(clock_settime),
	BARE(syslog),
	BARE(acct),
	BARE(quotactl),
	BARE(swapon),
	BARE(ioperm),
	BARE(iopl),
	BARE(modify_ldt),
	BARE(personality),
	BARE(mknodat),
	BARE(fanotify_init),
	BARE(inotify_init1),
	BARE(symlinkat),
	BARE(fchownat),
	BARE(process_vm_writev),
	BARE(process_madvise),
	BARE(kcmp),
	BARE(migrate_pages),
	BARE(move_pages),
	BARE(remap_file_pages),
	BARE(vmsplice),
	BARE(splice),
	BARE(tee),
	BARE(memfd_secret),
	BARE(shmget),
	BARE(msgget),
	BARE(semget),
	BARE(mq_open),
	BARE(timer_create),
	BARE(signalfd4),
	BARE(pidfd_send_signal),
	BARE(setpgid),
	BARE(setsid),
	BARE(sched_setattr),
	BARE(seccomp),
	BARE(rt_sigqueueinfo),
	BARE(rt_tgsigqueueinfo),
	BARE(tkill),
	BARE(umask),
	BARE(fchdir),
	BARE(bind),
	BARE(listen),
	BARE(accept4),
	{ NULL, NULL, 0 },
};
#endif
