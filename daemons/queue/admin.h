/* What an administrator asks for, through the admin door. */
#pragma once

#include "queue/feed.h"

#include <dirent.h>

#include "wire/port.h"
#include "wire/queue_control.h"

#define VISITORS_MAX 16u

struct admin;

struct visitor {
	struct port port;
	struct admin *admin; /* null: this place is free */
	uint32_t uid;        /* from the kernel */
	bool listing;
	uint8_t domain[256]; /* the list is not for rows: retry what waits for this domain */
	size_t domain_len;   /* 0: rows */
	DIR *directory;      /* of the split that is being listed */
	unsigned next;       /* split after it */
	uint32_t credit, n_rows;
	uint64_t ref;
};

struct admin {
	struct source door;
	struct visitor visitors[VISITORS_MAX];
	struct loop *loop;
	struct place *place;
	struct shelf *shelf;
	struct feed *feed;
	struct past *past;
	unsigned n_listing;
};

enum result admin_open(struct admin *a, struct loop *loop, int door_fd, struct why *why);

/* Goes on with lists, at most n names each. True: there is more that could go on at once. */
bool admin_step(struct admin *a, unsigned n);
