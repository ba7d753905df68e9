/* What a process may do, as data: one initialiser a process in daemons/NAME/privileges.c. process_confine() applies it,
 * `postern plan` prints it and compares it with the running system. What is not there is not allowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

enum root_kind {
	HOST_ROOT,  /* the machine's */
	EMPTY_ROOT, /* an empty directory that belongs to root */
	GIVEN_ROOT, /* the one directory that the process is for (queue, keys); named at start */
	GIVEN_HOME, /* the machine's root, but the process stands in the directory named at start, and landlock keeps it there */
};

enum fd_kind {
	FD_CONTROL,   /* the sealed snapshot of its control items */
	FD_TABLE,     /* a sealed or read-only table */
	FD_CHANNEL,   /* a SOCK_SEQPACKET channel to the process of that name */
	FD_DOOR,      /* datagram socket where channels are handed in */
	FD_DOORWAY,   /* datagram socket connected to another service's door */
	FD_LISTENING, /* bound and listening stream socket */
	FD_DIRECTORY, /* of its files */
	FD_PROC_FDS,  /* its own /proc/self/fd, to name its descriptors to linkat and openat */
	FD_PROGRAM,   /* an executable of the house, to be executed by descriptor */
};

struct fd_slot {
	int fd;
	const char *name; /* as daemons/graph.def calls it */
	enum fd_kind kind;
	int many;      /* slots fd … fd + many - 1 may be used, at least one; 0: exactly one */
	bool optional; /* may be absent altogether */
};

#define CONTROL_FD 3 /* the same in every process that has control items */

/* Sets of system calls; lib/sys/syscalls.c says what is in each, with reasons. */
enum syscall_set {
	MAY_COMPUTE = 1 << 0,      /* memory, time, randomness, ending */
	MAY_WAIT = 1 << 1,         /* poll, epoll, sleep */
	MAY_TALK = 1 << 2,         /* read, write, send, receive on what is open; close */
	MAY_PAIR = 1 << 3,         /* make socket pairs (AF_UNIX) */
	MAY_ACCEPT = 1 << 4,       /* accept connections, ask for addresses and credentials */
	MAY_CONNECT_INET = 1 << 5, /* make IPv4/IPv6 sockets and connect them */
	MAY_READ_AT = 1 << 6,      /* pread, fstat on what is open */
	MAY_WRITE_AT = 1 << 7,     /* pwrite, ftruncate, flush */
	MAY_OPEN_BELOW = 1 << 8,   /* openat and looking, as root directory, landlock and uid allow */
	MAY_CHANGE_NAMES = 1 << 9, /* linkat, renameat, unlinkat, mkdirat */
	MAY_LEASE = 1 << 10,       /* file leases: prove that nobody else has it open */
	MAY_FORK = 1 << 11,        /* fork without exec, wait for children */
	MAY_EXEC = 1 << 12,        /* execute another program */
	MAY_BECOME = 1 << 13,      /* take another's uid and confine itself anew (for a child that will be somebody) */
	MAY_THREAD = 1 << 14,      /* make threads of its own */
	MAY_LOCK_MEMORY = 1 << 15, /* keep secrets out of swap */
	MAY_SEAL = 1 << 16,        /* seal a memory file that it was given */
	MAY_DATAGRAM_INET = 1 << 17, /* UDP and TCP to name servers */
	MAY_NARROW = 1 << 18,        /* give up what is left of its system calls (sys/narrow.h) */
	MAY_LIMIT = 1 << 19,         /* lower its own limits (sys/zygote.h) */
	MAY_SET_WAITING = 1 << 20,   /* say of an open descriptor whether it waits */
	MAY_SEE_SPACE = 1 << 21,     /* of the filesystem of what is open */
	MAY_RUN_PROGRAMS = 1 << 22,  /* what other people's programs need: everything but what no such program does */
	MAY_SHUT = 1 << 23,          /* end one direction of a stream; of a socket that others share, for them too */
	MAY_LOCK_FILES = 1 << 24,    /* locks on ranges of files */
};

struct limit {
	int resource; /* RLIMIT_… */
	rlim_t value;
};

/* What a process may come to hold besides its slots, for a while: what others hand it, what it makes itself. */
enum held {
	HOLDS_NOTHING = 0,
	HOLDS_EVENTS = 1 << 0,     /* epoll, eventfd and pipes of its loop and threads */
	HOLDS_CHANNELS = 1 << 1,   /* ends of AF_UNIX socket pairs */
	HOLDS_CONNECTION = 1 << 2, /* a connected stream to a peer */
	HOLDS_MESSAGES = 1 << 3,   /* queue files, read-only */
	HOLDS_WRITERS = 1 << 4,    /* content of a message not yet committed, append-only */
	HOLDS_FILES = 1 << 5,      /* files and directories below its root or home */
};

enum path_right {
	PATH_READ = 1,  /* read files below, list directories */
	PATH_WRITE = 2, /* make, write, rename, remove files below; make directories */
	PATH_LIST = 4,  /* list directories, read no file */
};

struct path_rule {
	const char *path; /* after the change of root; "." is where a GIVEN_HOME process stands; null ends the list */
	unsigned rights;
};

struct port_rule {
	uint16_t port;
	bool connect; /* else bind */
};

struct privileges {
	const char *process;
	const char *purpose;   /* one line for people */
	const char *user;      /* without the user prefix: "smtpd" is pn-smtpd; "root"; "recipient": named at start */
	uint64_t capabilities; /* kept by a process that stays root: 1 << CAP_…; else 0 */
	enum root_kind root;
	struct path_rule paths[4]; /* landlock; none for most */
	struct port_rule ports[8]; /* landlock; port 0 ends the list, .port = 0 first: none */
	bool more_ports;           /* may connect to those that root's control files name: told at start */
	bool any_source;           /* and from a local address of its choice, with a port of the kernel's */
	struct fd_slot fds[12];    /* name null ends the list; 0 to 2 are always /dev/null, /dev/null and the log */
	unsigned holds;            /* enum held, or-ed */
	uint64_t syscalls;         /* enum syscall_set, or-ed */
	struct limit limits[8]; /* besides RLIMIT_CORE, which is always 0; a row of value 0 with resource 0 ends it */
	unsigned
	    fds_a_session; /* RLIMIT_NOFILE is that much more for each session of the service: what is held for it, and what is sent
				 * for it and not yet received, in this generation and the one before. The kernel counts the latter for
				 * the whole user, and takes no more from a process whose limit the count exceeds (wire/crowd.h) */
	bool may_raise; /* RLIMIT_NOFILE as the table says, although its parent had less: for what starts all others */
	bool
	    outlives_parent; /* no parent-death signal: only for what a supervisor starts, or what must end others first */
	bool no_landlock;    /* only for what must exec or becomes another user later, with the reason beside it */
	bool no_seccomp;     /* only for warden and sslserver, with the reason beside it */
	bool may_gain;       /* without no_new_privs: what it executes may be setuid */
	bool own_groups;     /* keeps the supplementary groups of its user; all others have none */
};

#define NO_CAPABILITIES 0
#define NO_PATHS \
	{ \
		{ \
			NULL, 0 \
		} \
	}
#define NO_PORTS \
	{ \
		{ \
			0, false \
		} \
	}
#define NO_FDS \
	{ \
		{ \
			-1, NULL, FD_CHANNEL, 0, false \
		} \
	}
#define MAY_NOTHING 0

const char *fd_kind_name(enum fd_kind k);
const char *syscall_set_name(enum syscall_set one); /* "MAY_TALK" */
