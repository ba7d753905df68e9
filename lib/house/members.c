/* Members of a generation, once they run.
 * Trusts the pids that starting gave.
 * Never signals a process that has ended: its pid is forgotten when it is reaped. */
#include "house/generation.h"

#include "sys/fd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
command_ends_close(struct command_ends *ends)
{
	for (size_t i = 0; i < ends->n; i++)
		fd_close(&ends->at[i].fd);
	ends->n = 0;
}

int
command_end(const struct command_ends *ends, const char *slot)
{
	for (size_t i = 0; i < ends->n; i++)
		if (strcmp(ends->at[i].slot, slot) == 0)
			return ends->at[i].fd;
	return -1;
}

void
generation_signal(const struct generation *g, int signal)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->members[i].pid > 0)
			(void)kill(-g->members[i].group, signal);
}

const struct member *
generation_front(const struct generation *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->members[i].process, "listen") == 0)
			return &g->members[i];
	return NULL;
}

void
generation_let_go(struct generation *g)
{
	const struct member *front = generation_front(g);

	if (g->held_back && front != NULL && front->pid > 0)
		(void)kill(front->pid, SIGCONT);
	g->held_back = false;
}

void
generation_retire(const struct generation *g)
{
	const struct member *front = generation_front(g);

	if (front != NULL && front->pid > 0)
		(void)kill(front->pid, SIGTERM);
}

struct member *
generation_find(struct generation *g, pid_t pid)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->members[i].pid == pid)
			return &g->members[i];
	return NULL;
}

bool
generation_runs(const struct generation *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->members[i].pid > 0)
			return true;
	return false;
}

enum result
generation_write_pids(const struct generation *g, const struct instance *in, struct why *why)
{
	char path[512], new[520];
	FILE *f;
	bool bad;

	(void)snprintf(path, sizeof path, "%s/%s.pids", in->run, in->label != NULL ? in->label : in->service);
	(void)snprintf(new, sizeof new, "%s.new", path);
	f = fopen(new, "we");
	if (f == NULL)
		return why_errno(why, BROKEN, "writing %s", new);
	bad = fprintf(f, "%s %d 0 0 %u - 0\n", in->label != NULL ? in->service : "warden", (int)getpid(), g->number) <
	    0;
	for (size_t i = 0; i < g->n; i++) {
		const struct member *m = &g->members[i];
		const struct privileges *may = house_privileges(m->process);
		const char *root = may == NULL ? NULL : instance_root(in, may);

		if (m->pid > 0)
			bad |= fprintf(f, "%s %d %u %u %u %s %u\n", m->process, (int)m->pid, m->owner.uid, m->owner.gid,
				   g->number, root == NULL ? "-" : root, m->sessions) < 0;
	}
	bad |= fclose(f) != 0;
	if (bad || rename(new, path) != 0)
		return why_errno(why, BROKEN, "writing %s", path);
	return OK;
}
