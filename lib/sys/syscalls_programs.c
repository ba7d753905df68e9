/* The filter of a process that runs other people's programs, which inherit it: what none of them has a use for is refused.
 * Trusts the kernel to apply it. It is no wall as the others are: a program may do what its user may.
 * Never says that a right was refused where a program only wants to give one up: who changes its uid here is told that it has,
 * and stays who it is. */
#include "sys/syscalls.h"

#include "base/bytes.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>

struct row {
	int call;
	const char *name;
	int error;
	const char *reason;
};

#define NOT(call, reason) \
	{ \
		SCMP_SYS(call), "not " #call, EPERM, reason \
	}
#define NOTHING(call, reason) \
	{ \
		SCMP_SYS(call), "void " #call, 0, reason \
	}
static const struct row rows[] = {
	NOTHING(setuid, "a program that becomes the user stays who it is, which is less"),
	NOTHING(setreuid, "the same"),
	NOTHING(setresuid, "the same"),
	NOTHING(setgid, "the same"),
	NOTHING(setregid, "the same"),
	NOTHING(setresgid, "the same"),
	NOTHING(setgroups, "the same"),
	NOT(ptrace, "other processes of its uid"),
	NOT(process_vm_readv, "other processes of its uid"),
	NOT(process_vm_writev, "other processes of its uid"),
	NOT(process_madvise, "other processes of its uid"),
	NOT(pidfd_getfd, "other processes of its uid"),
	NOT(kcmp, "other processes of its uid"),
	NOT(mount, "file systems"),
	NOT(umount2, "file systems"),
	NOT(move_mount, "file systems"),
	NOT(open_tree, "file systems"),
	NOT(fsopen, "file systems"),
	NOT(fsmount, "file systems"),
	NOT(pivot_root, "file systems"),
	NOT(chroot, "file systems"),
	NOT(name_to_handle_at, "ways round directories"),
	NOT(open_by_handle_at, "ways round directories"),
	NOT(unshare, "namespaces, in which it would be root"),
	NOT(setns, "namespaces"),
	NOT(bpf, "the kernel's insides"),
	NOT(perf_event_open, "the kernel's insides"),
	NOT(userfaultfd, "the kernel's insides"),
	NOT(io_uring_setup, "the kernel's insides"),
	NOT(io_uring_enter, "the kernel's insides"),
	NOT(io_uring_register, "the kernel's insides"),
	NOT(keyctl, "keys that processes of a uid share"),
	NOT(add_key, "keys that processes of a uid share"),
	NOT(request_key, "keys that processes of a uid share"),
	NOT(init_module, "the kernel itself"),
	NOT(finit_module, "the kernel itself"),
	NOT(delete_module, "the kernel itself"),
	NOT(kexec_load, "the kernel itself"),
	NOT(kexec_file_load, "the kernel itself"),
	NOT(modify_ldt, "the kernel's insides"),
	NOT(remap_file_pages, "the kernel's insides"),
	NOT(move_pages, "other processes of its uid"),
	NOT(migrate_pages, "other processes of its uid"),
};
#undef NOT
#undef NOTHING

#define NAMESPACES \
	((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	    CLONE_NEWNET))

/* clone3's flags can't be looked at; libc goes on with clone, whose can: one rule for each bit. */
static int
refuse_namespaces(scmp_filter_ctx f)
{
	int bad = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (scmp_datum_t bit = 1; bit != 0 && bit <= NAMESPACES; bit <<= 1)
		if (NAMESPACES & bit)
			bad |= seccomp_rule_add(
			    f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_CMP(0, SCMP_CMP_MASKED_EQ, bit, bit));
	return bad;
}

static bool
is_refused(const struct row *row, uint64_t sets)
{
	return row->error != 0 || (sets & MAY_BECOME) == 0;
}

enum result
syscalls_filter_programs(uint64_t sets, struct why *why)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int bad = f == NULL;

	if (f == NULL)
		return why_set(why, EXHAUSTED, "no memory for the system call filter");
	bad |= seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < nitems(rows) && !bad; i++)
		if (is_refused(&rows[i], sets))
			bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)rows[i].error), rows[i].call, 0);
	bad |= refuse_namespaces(f);
	if (!bad)
		bad = seccomp_load(f);
	seccomp_release(f);
	(void)malloc_trim(0);
	if (bad)
		return why_set(why, REFUSED, "the kernel does not take the system call filter (error %d)", -bad);
	return OK;
}

void
syscalls_list_programs(
    uint64_t sets, void (*each)(const char *call, const char *set, const char *reason, void *context), void *context)
{
	for (size_t i = 0; i < nitems(rows); i++)
		if (is_refused(&rows[i], sets))
			each(rows[i].name, syscall_set_name(MAY_RUN_PROGRAMS), rows[i].reason, context);
	each("not clone into namespaces", syscall_set_name(MAY_RUN_PROGRAMS), "namespaces", context);
}
