/* A reload: the installed version of warden takes the place of this one, in the same process, with its sockets and its children.
 * Trusts the directory of programs, which is root's; first rehearses in a child whether the new version can serve.
 * Never ends what runs before it is known that the next can start, where both may run. */
#include "warden/warden.h"

#include "config.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REHEARSAL_SECONDS 120 /* tables of millions of lines are read twice */
#define ARGUMENTS_MAX 16

void
warden_write_status(const struct warden *w, enum result result, const struct why *why)
{
	char path[512], new[520];
	FILE *f;
	bool bad;

	(void)snprintf(path, sizeof path, "%s/%s.status", w->in.run, w->in.service);
	(void)snprintf(new, sizeof new, "%s.new", path);
	f = fopen(new, "we");
	if (f == NULL)
		return;
	bad = fprintf(f, "warden %d\nversion %s\nreloads %u\ngeneration %u\nresult %s\nwhy %s\n", (int)getpid(),
		  POSTERN_VERSION, w->n_reloads, w->current.number, result_meaning(result)->name,
		  result == OK ? "" : why->text) < 0;
	bad |= fclose(f) != 0;
	if (bad || rename(new, path) != 0)
		log_simple(SEVERITY_WARNING, "status", "why", strerrordesc_np(errno));
}

static void
conclude(struct warden *w, enum result r, const struct why *why)
{
	w->n_reloads++;
	if (r != OK)
		log_why("reload-refused", r, why);
	warden_write_status(w, r, why);
}

/* ---- the first half ---- */

struct arguments {
	char path[512], state[16], option[3], state_option[3];
	char *words[ARGUMENTS_MAX];
};

static void
put_arguments(struct arguments *a, const struct warden *w, int state, bool rehearse)
{
	size_t n = 0;

	(void)snprintf(a->path, sizeof a->path, "%s/warden", w->in.libexec);
	(void)snprintf(a->state, sizeof a->state, "%d", state);
	memcpy(a->state_option, "-s", 3);
	memcpy(a->option, "-t", 3);
	a->words[n++] = a->path;
	a->words[n++] = a->state_option;
	a->words[n++] = a->state;
	if (rehearse)
		a->words[n++] = a->option;
	for (size_t i = 1; w->options[i] != NULL && n < ARGUMENTS_MAX - 1; i++)
		a->words[n++] = w->options[i];
	a->words[n] = NULL;
}

__attribute__((noreturn)) static void
become_rehearsal(const struct warden *w, struct arguments *a, int state, int answer)
{
	char *environment[] = { NULL };

	warden_pass_on(w, true);
	(void)fcntl(state, F_SETFD, 0);
	if (dup2(answer, STDOUT_FILENO) >= 0)
		(void)execve(a->path, a->words, environment);
	(void)dprintf(answer, "executing %s: %s", a->path, strerrordesc_np(errno));
	_exit(111);
}

static void
hear(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1 && poll(&p, 1, REHEARSAL_SECONDS * 1000) == 1) {
		n = read(fd, text + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
}

static enum result
rehearse(struct warden *w, int state, struct why *why)
{
	static struct arguments a;
	char text[sizeof why->text];
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return why_errno(why, EXHAUSTED, "making a pipe");
	put_arguments(&a, w, state, true);
	pid = fork();
	if (pid == 0)
		become_rehearsal(w, &a, state, ends[1]);
	(void)close(ends[1]);
	if (pid > 0) {
		hear(ends[0], text, sizeof text);
		(void)kill(pid, SIGKILL); /* it has said all that it had to say */
		(void)waitpid(pid, &status, 0);
	}
	(void)close(ends[0]);
	if (pid < 0)
		return why_errno(why, EXHAUSTED, "making a process");
	if (strcmp(text, "ok\n") == 0)
		return OK;
	text[strcspn(text, "\n")] = '\0';
	if (text[0] == '\0')
		return why_set(why, REFUSED, "%s ended before it said whether it can serve", a.path);
	return why_set(why, REFUSED, "%s", text);
}

static enum result
execute(struct warden *w, int state, struct why *why)
{
	static struct arguments a;
	char *environment[] = { NULL };

	put_arguments(&a, w, state, false);
	warden_pass_on(w, true);
	(void)fcntl(state, F_SETFD, 0);
	(void)execve(a.path, a.words, environment);
	(void)why_errno(why, BROKEN, "executing %s", a.path);
	warden_pass_on(w, false);
	return BROKEN;
}

void
warden_reload(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r;
	int state = -1;

	w->reload = false;
	r = warden_save(w, &state, &why);
	if (r == OK && (r = rehearse(w, state, &why)) == OK)
		r = execute(w, state, &why);
	fd_close(&state);
	conclude(w, r, &why);
}

/* ---- the second half ---- */

int
warden_rehearse(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r = warden_read(w, &why);

	if (r == OK)
		r = programs_check_versions(&w->programs, &why);
	if (r == OK)
		(void)printf("ok\n");
	else
		(void)printf("%s\n", why.text[0] != '\0' ? why.text : result_meaning(r)->name);
	return fflush(stdout) == 0 ? 0 : 111;
}

void
warden_resume(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r = warden_read(w, &why);
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "reload");
	log_text(&l, "control", w->in.control);
	log_text(&l, "version", POSTERN_VERSION);
	log_end(&l);
	if (r == OK)
		r = warden_start_checked(w, &why);
	conclude(w, r, &why);
}
