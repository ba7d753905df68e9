/* The state of `authrun`: what it was asked, what runs. */
#pragma once

#include "authrun/dovecot.h"
#include "control/control.h"
#include "control/program.h"
#include "sys/loop.h"
#include "wire/auth_authrun.h"
#include "wire/policy_authrun.h"
#include "wire/port.h"

#include <sys/types.h>

#define ERRANDS_MAX 2000      /* asked and not answered */
#define PROGRAM_INPUT_MAX 512 /* octets on descriptor 3 */
#define PROGRAM_SAID_MAX 400  /* octets of its standard error that are kept */
#define WAIT_MS 30000         /* in line, at most */

enum errand_for { FOR_AUTH, FOR_POLICY };

/* A question, until it is answered. */
struct errand {
	struct errand *next; /* in line, among those that run, or among those that Dovecot has */
	struct authrun *a;
	enum errand_for whose;
	uint64_t ref;
	char conn[ID_LEN + 1]; /* FOR_AUTH; else "" */
	uint8_t family, remote[16];
	bool secure;
	struct bytes program; /* its words, packed */
	struct timer limit;
	size_t input_len;
	uint8_t input[PROGRAM_INPUT_MAX + 256]; /* for descriptor 3, or Dovecot's PLAIN; wiped when it is given */
	bool again;                             /* it has been asked with the stem */
	uint16_t address_len;
	uint8_t address[PROGRAM_INPUT_MAX]; /* FOR_POLICY */
	uint32_t dovecot_id;
	pid_t pid; /* while its program runs */
	bool late;
	struct source words; /* standard error of the program */
	size_t said_len;
	uint8_t said[PROGRAM_SAID_MAX];
};

struct authrun {
	struct loop loop;
	const struct control *control;
	const char *service;
	struct port auth, policy;
	struct source signals; /* of children, and to end */
	struct bytes checkpassword;
	uint64_t limit_ms;
	unsigned max_running, n_running;
	size_t n_errands;
	struct errand *first, **last; /* in line for a program */
	struct errand *running;
	struct dovecot dovecot;
	enum result end;
};

/* serve.c */
enum result authrun_run(struct authrun *a, const struct control *control, const char *service, struct why *why);

/* Answers, and frees e. who: FOR_AUTH and AR_GOOD: the name that it is to have; nothing: as it was asked. */
void errand_conclude(struct errand *e, enum ar_outcome outcome, struct bytes who, const char *why);

/* program.c */
enum result children_open(struct authrun *a, struct why *why);
bool program_start(struct errand *e); /* false: it can't be started; e is as before */
void children_end(struct authrun *a); /* all that run, and what they started */

static inline struct authrun *
authrun_of_loop(struct loop *loop)
{
	return container_of(loop, struct authrun, loop);
}
