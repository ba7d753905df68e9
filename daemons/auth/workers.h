/* Hashing off the event loop: threads that compute what a password would hash to. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "control/passwords.h"
#include "crypt/sasl.h"

#include <pthread.h>

#define WORKERS_MAX 8
#define JOBS_MAX 512 /* that wait or run */

enum job_kind { JOB_CRYPT, JOB_SCRAM };

struct job {
	struct job *next;
	void *asker; /* whose answer it is; null: nobody's any more */
	enum job_kind kind;
	size_t password_len;
	char password[SASL_NAME_MAX + 1];
	char hash[PASSWORD_HASH_MAX + 1]; /* JOB_CRYPT */
	struct scram_verifier verifier;   /* JOB_SCRAM */
	bool fits;                        /* the answer */
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *waiting, **end, *done;
	unsigned n_jobs;
	int event_fd;
};

/* Starts n threads, which take no signals. EXHAUSTED. */
enum result workers_open(struct workers *w, unsigned n, struct why *why);

/* A job to be filled; null if there are too many. */
struct job *workers_job(struct workers *w);
void workers_submit(struct workers *w, struct job *j);

/* The next that is done; null if none. To be given to workers_drop. */
struct job *workers_collect(struct workers *w);
void workers_drop(struct workers *w, struct job *j); /* wipes it */
