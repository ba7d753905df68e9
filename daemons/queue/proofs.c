/* Proofs that messages are whole.
 * Trusts no octet of a file. The threads know nothing but descriptors and ids.
 * Never holds up the event loop for the reading of a content, never reads a message twice that it knows. */
#include "queue/proofs.h"

#include "sys/fd.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (128u << 10)

static uint64_t *
place_of(struct proofs *p, const struct id *id)
{
	return &p->whole[id_number(id) * UINT64_C(0x9e3779b97f4a7c15) >> 52];
}

bool
proofs_know(const struct proofs *p, const struct id *id)
{
	return p->whole[id_number(id) * UINT64_C(0x9e3779b97f4a7c15) >> 52] == id_number(id);
}

bool
proofs_have_room(const struct proofs *p)
{
	return p->unused != NULL;
}

/* Locked. */
static struct proof *
take(struct proofs *p)
{
	struct proof *proof;

	while (p->pending == NULL)
		(void)pthread_cond_wait(&p->work, &p->lock);
	proof = p->pending;
	p->pending = proof->next;
	if (p->pending == NULL)
		p->pending_end = &p->pending;
	return proof;
}

static void *
work(void *argument)
{
	static const uint64_t one = 1;
	struct proofs *p = argument;
	struct proof *proof;

	(void)pthread_mutex_lock(&p->lock);
	while ((proof = take(p)) != NULL) {
		(void)pthread_mutex_unlock(&p->lock);
		proof->r = store_prove(proof->fd, &proof->id, &proof->why);
		(void)pthread_mutex_lock(&p->lock);
		proof->next = p->done;
		p->done = proof;
		if (proof->next == NULL && write(p->ended.fd, &one, sizeof one) < 0)
			continue; /* can't fail: the counter is far from full */
	}
	return NULL;
}

void
proofs_begin(struct proofs *p, const struct proof *wanted)
{
	struct proof *proof = p->unused;

	p->unused = proof->next;
	*proof = *wanted;
	proof->next = NULL;
	(void)pthread_mutex_lock(&p->lock);
	*p->pending_end = proof;
	p->pending_end = &proof->next;
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_cond_signal(&p->work);
}

static void
collect(struct loop *loop, struct source *s, uint32_t events)
{
	struct proofs *p = container_of(s, struct proofs, ended);
	struct proof *proof, *next;
	uint64_t n;

	(void)loop;
	(void)events;
	if (read(s->fd, &n, sizeof n) < 0)
		n = 0; /* there may be something all the same */
	(void)pthread_mutex_lock(&p->lock);
	proof = p->done;
	p->done = NULL;
	(void)pthread_mutex_unlock(&p->lock);
	for (; proof != NULL; proof = next) {
		next = proof->next;
		if (proof->r == OK)
			*place_of(p, &proof->id) = id_number(&proof->id);
		p->answer(p->context, proof);
		fd_close(&proof->fd);
		proof->next = p->unused;
		p->unused = proof;
	}
}

static int
start_threads(struct proofs *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	unsigned n = 0;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return error;
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* the threads inherit it */
	while (n < PROOF_THREADS && (error = pthread_create(&thread, &attr, work, p)) == 0)
		n++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return n > 0 ? 0 : error;
}

enum result
proofs_open(struct proofs *p, struct loop *loop, void (*answer)(void *context, struct proof *proof), void *context,
    struct why *why)
{
	memset(p, 0, sizeof *p);
	p->pending_end = &p->pending;
	p->answer = answer;
	p->context = context;
	for (unsigned i = 0; i < PROOFS_MAX; i++) {
		p->all[i].next = p->unused;
		p->unused = &p->all[i];
	}
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->ended = (struct source){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = collect };
	if (p->ended.fd < 0)
		return why_errno(why, EXHAUSTED, "making an event descriptor");
	errno = start_threads(p);
	if (errno != 0)
		return why_errno(why, EXHAUSTED, "starting the threads that read messages");
	return loop_watch(loop, &p->ended, EPOLLIN, why);
}
