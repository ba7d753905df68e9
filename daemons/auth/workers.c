/* Threads that hash.
 * Trusts the table for hashes, nobody for passwords, which are octets of any kind.
 * Never compares in a time that tells of the result, never leaves a password behind. */
#include "auth/workers.h"

#include "base/secret.h"

#include <crypt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (256u << 10)

static bool
fits_crypt(const struct job *j, struct crypt_data *room)
{
	/* not crypt_r, in whose place sanitizers put a call of nothing where libcrypt is not loaded for its own sake */
	const char *got = crypt_rn(j->password, j->hash, room, (int)sizeof *room);
	bool fits = got != NULL && got[0] != '*' &&
	    bytes_equal_constant_time(bytes_of_string(got), bytes_of_string(j->hash));

	secret_wipe(room, sizeof *room);
	return fits;
}

static bool
fits_scram(const struct job *j)
{
	const struct scram_verifier *v = &j->verifier;
	struct scram_keys k;
	struct why why = WHY_NONE;
	bool fits = scram_derive(bytes_of(j->password, j->password_len), bytes_of(v->salt, v->salt_len), v->iterations,
			&k, &why) == OK &&
	    bytes_equal_constant_time(bytes_of(k.stored, sizeof k.stored), bytes_of(v->stored, sizeof v->stored));

	secret_wipe(&k, sizeof k);
	return fits;
}

static struct job *
take(struct workers *w)
{
	struct job *j;

	(void)pthread_mutex_lock(&w->lock);
	while (w->waiting == NULL)
		(void)pthread_cond_wait(&w->work, &w->lock);
	j = w->waiting;
	w->waiting = j->next;
	if (w->waiting == NULL)
		w->end = &w->waiting;
	(void)pthread_mutex_unlock(&w->lock);
	return j;
}

static void
give_back(struct workers *w, struct job *j)
{
	uint64_t one = 1;

	(void)pthread_mutex_lock(&w->lock);
	j->next = w->done;
	w->done = j;
	(void)pthread_mutex_unlock(&w->lock);
	(void)!write(w->event_fd, &one, sizeof one);
}

static void *
work(void *ctx)
{
	struct workers *w = ctx;
	struct crypt_data *room = calloc(1, sizeof *room);

	if (room == NULL)
		return NULL;
	for (;;) {
		struct job *j = take(w);

		j->fits = j->kind == JOB_CRYPT ? fits_crypt(j, room) : fits_scram(j);
		secret_wipe(j->password, sizeof j->password);
		give_back(w, j);
	}
}

enum result
workers_open(struct workers *w, unsigned n, struct why *why)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int error = 0;

	*w = (struct workers){ .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };
	w->end = &w->waiting;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0)
		return why_errno(why, EXHAUSTED, "no eventfd");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; i < n && i < WORKERS_MAX && error == 0; i++)
		error = pthread_create(&thread, &attr, work, w);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0 ? OK : why_set(why, EXHAUSTED, "no thread for hashing: %s", strerrordesc_np(error));
}

struct job *
workers_job(struct workers *w)
{
	struct job *j = w->n_jobs < JOBS_MAX ? calloc(1, sizeof *j) : NULL;

	if (j != NULL)
		w->n_jobs++;
	return j;
}

void
workers_submit(struct workers *w, struct job *j)
{
	(void)pthread_mutex_lock(&w->lock);
	j->next = NULL;
	*w->end = j;
	w->end = &j->next;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
}

struct job *
workers_collect(struct workers *w)
{
	struct job *j;
	uint64_t n;

	(void)pthread_mutex_lock(&w->lock);
	j = w->done;
	if (j != NULL)
		w->done = j->next;
	else
		(void)!read(w->event_fd, &n, sizeof n);
	(void)pthread_mutex_unlock(&w->lock);
	return j;
}

void
workers_drop(struct workers *w, struct job *j)
{
	secret_wipe(j, sizeof *j);
	free(j);
	w->n_jobs--;
}
