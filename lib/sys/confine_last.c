/* Nothing left but read, write, getpid and exit.
 * Trusts the kernel. The filter is written out, because a process that lives for a millisecond can't wait for libseccomp.
 * Never widens anything: filters add up. */
#include "sys/narrow.h"

#include "base/bytes.h"
#include "sys/log_out.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_PPC64LE
#else
#error "name this machine's AUDIT_ARCH here"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define ALLOW_IF(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

enum result
process_narrow(struct why *why)
{
	static struct sock_filter program[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		ALLOW_IF(SYS_read),
		ALLOW_IF(SYS_write),
		ALLOW_IF(SYS_getpid), /* OpenSSL asks at each random number whether it was forked */
		ALLOW_IF(SYS_exit_group),
#if defined(__SANITIZE_ADDRESS__)
		ALLOW_IF(SYS_mmap),
		ALLOW_IF(SYS_munmap),
		ALLOW_IF(SYS_madvise),
		ALLOW_IF(SYS_futex),
		ALLOW_IF(SYS_sched_yield),
		ALLOW_IF(SYS_sigaltstack),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog filter = { (unsigned short)nitems(program), program };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
		return why_errno(why, REFUSED, "giving up all system calls but four");
	log_out_only_write();
	return OK;
}
