/* What /proc says of one process, and the notes of where that differs from the plan. */
#pragma once

#include "sys/privileges.h"

#include <stdbool.h>
#include <stddef.h>

#define DEVIATIONS_MAX 16

struct subject {
	const char *process;
	const struct privileges *may;
	int pid;
	unsigned uid, gid;
	unsigned sessions; /* of its service, as warden says */
	bool any_user;     /* local: whoever the recipient is */
	bool slots;        /* its descriptors of the start must be there (not in a session's child) */
	char root[512];    /* as warden says; "" not known */
	char status[8192];
	unsigned n_fds;
	unsigned n_deviations;
	char deviations[DEVIATIONS_MAX][256]; /* the first of them */
};

/* Notes a deviation of s from the plan. */
__attribute__((format(printf, 2, 3))) void subject_deviates(struct subject *s, const char *format, ...);

/* /proc/PID/NAME as a string, cut at size; false if it can't be read or is empty. */
bool proc_read(int pid, const char *name, char *into, size_t size);
/* Where the link /proc/PID/NAME leads; false if it can't be read. */
bool proc_link(int pid, const char *name, char *into, size_t size);
/* A name in /proc as a number; -1 if it is none. */
int proc_number(const char *name);

/* The text behind "\nNAME:" of /proc/PID/status, up to the line's end; "" if there is none. Returns into. */
const char *subject_field(const struct subject *s, const char *name, char *into, size_t size);

/* Compares the open descriptors with the table: kinds of the slots, and what else it may hold. */
void subject_check_fds(struct subject *s);
