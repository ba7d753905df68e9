/* postern reload: tells wardens to take the installed version and the control items as they are now, and waits for what comes of it.
 * Trusts the run directory, which is root's.
 * Never ends a warden that can execute its next version by itself. */
#include "postern/reload.h"

#include "base/bytes.h"
#include "config.h"
#include "house/house.h"
#include "postern/reload_before.h"
#include "sys/about.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SECONDS 180 /* the rehearsal may take 120 */
#define RESTART_SECONDS 30
#define LOOK_MS 20

static const char usage_text[] = "usage: postern reload [-R RUNDIR] [SERVICE ...]\n";

struct status {
	pid_t warden;
	unsigned reloads, generation;
	char version[64], result[32], why[WHY_MAX];
};

static unsigned
number(const char *text)
{
	uint64_t n;

	return bytes_to_number(bytes_of_string(text), INT32_MAX, &n) ? (unsigned)n : 0;
}

/* "WORD VALUE" lines. False: there is no such file, or it is another warden's. */
static bool
read_status(const char *run, const char *service, struct status *s)
{
	char path[512], line[WHY_MAX + 64];
	FILE *f;

	*s = (struct status){ 0 };
	(void)snprintf(path, sizeof path, "%s/%s.status", run, service);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		char *value = strchr(line, ' ');

		if (value == NULL)
			continue;
		*value++ = '\0';
		value[strcspn(value, "\n")] = '\0';
		if (strcmp(line, "warden") == 0)
			s->warden = (pid_t)number(value);
		else if (strcmp(line, "reloads") == 0)
			s->reloads = number(value);
		else if (strcmp(line, "generation") == 0)
			s->generation = number(value);
		else if (strcmp(line, "version") == 0)
			(void)snprintf(s->version, sizeof s->version, "%s", value);
		else if (strcmp(line, "result") == 0)
			(void)snprintf(s->result, sizeof s->result, "%s", value);
		else if (strcmp(line, "why") == 0)
			(void)snprintf(s->why, sizeof s->why, "%s", value);
	}
	if (f != NULL)
		(void)fclose(f);
	return s->warden > 1;
}

/* Whether it is the process that took the lock. The file of pids is a dead warden's until the next one has started its first
 * generation, and another process may have that pid by then. */
static bool
took_lock(pid_t pid, ino_t lock)
{
	FILE *f = fopen("/proc/locks", "re");
	unsigned long long inode;
	bool found = false;
	char line[256];
	int holder;

	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
		found = sscanf(line, "%*s FLOCK %*s WRITE %d %*x:%*x:%llu", &holder, &inode) == 2 && holder == pid &&
		    inode == lock;
	if (f != NULL)
		(void)fclose(f);
	return found;
}

/* The warden that holds the service's lock; 0: none does, or it has not started its first generation yet. */
static pid_t
find_warden(const char *run, const char *service)
{
	char path[512], word[32];
	struct stat lock = { 0 };
	int pid = 0, fd;
	bool held;
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s.lock", run, service);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && fstat(fd, &lock) == 0;
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(path, sizeof path, "%s/%s.pids", run, service);
	f = held ? fopen(path, "re") : NULL;
	if (f == NULL)
		return 0;
	if (fscanf(f, "%31s %d", word, &pid) != 2 || strcmp(word, "warden") != 0 || pid < 2 ||
	    !took_lock(pid, lock.st_ino))
		pid = 0;
	(void)fclose(f);
	return pid;
}

static void
look_again_soon(void)
{
	static const struct timespec pause = { 0, LOOK_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
}

static int
say(const char *service, const struct status *s)
{
	if (strcmp(s->result, result_meaning(OK)->name) == 0) {
		(void)printf("%s: version %s runs, generation %u\n", service, s->version, s->generation);
		return 0;
	}
	(void)printf("%s: not reloaded: %s\n", service, s->why);
	return 111;
}

static int
complain(const char *service, const char *what)
{
	(void)printf("%s: %s\n", service, what);
	return 111;
}

static int
await(const char *run, const char *service, const struct status *before, unsigned seconds)
{
	uint64_t limit = clock_ms() + seconds * UINT64_C(1000);
	struct status now;

	while (clock_ms() < limit) {
		if (read_status(run, service, &now) &&
		    (now.warden != before->warden || now.reloads != before->reloads) && kill(now.warden, 0) == 0)
			return say(service, &now);
		if (before->reloads != UINT32_MAX && kill(before->warden, 0) != 0)
			return complain(service, "its warden ended; its log says why");
		look_again_soon();
	}
	return complain(service, "its warden did not say within the time limit what came of it; its log may");
}

/* One of a version before 1.0.0, which only reads its control items again at SIGHUP. */
static int
replace_old(const char *run, const char *service, pid_t warden)
{
	struct status before = { .warden = warden, .reloads = UINT32_MAX };
	struct why why = WHY_NONE;

	(void)printf("%s: its warden is of a version that can't execute the next one: it is ended, and its supervisor "
		     "has to start it "
		     "again; connections wait meanwhile\n",
	    service);
	(void)fflush(stdout);
	if (reload_before(run, service, warden, RESTART_SECONDS, &why) != OK)
		return complain(service, why.text);
	return await(run, service, &before, RESTART_SECONDS);
}

static int
reload(const char *run, const char *service)
{
	struct status before;
	pid_t warden = find_warden(run, service);

	if (warden == 0)
		return complain(service, "does not run");
	if (!read_status(run, service, &before) || before.warden != warden)
		return replace_old(run, service, warden);
	if (kill(warden, SIGHUP) != 0)
		return complain(service, strerrordesc_np(errno));
	return await(run, service, &before, WAIT_SECONDS);
}

/* All that run, send first: the others hand it what they take. */
static int
reload_all(const char *run)
{
	static const char *const services[] = { "resolve", "send", "inject", "submission", "smtps", "smtpd", "pop3",
		"pop3s", "qmtpd", "qmqpd" };
	int status = 0;
	size_t n = 0;

	for (size_t i = 0; i < nitems(services); i++)
		if (find_warden(run, services[i]) != 0) {
			status |= reload(run, services[i]);
			n++;
		}
	if (n > 0)
		return status;
	(void)fprintf(stderr, "postern reload: no service runs in %s\n", run);
	return 111;
}

int
reload_main(int argc, char *argv[])
{
	const char *run = POSTERN_RUNDIR;
	int status = 0, c;

	about(argc, argv, "postern reload", usage_text);
	while ((c = getopt(argc, argv, "R:")) != -1)
		if (c == 'R')
			run = optarg;
		else {
			(void)fputs(usage_text, stderr);
			return 100;
		}
	if (optind == argc)
		return reload_all(run);
	for (int i = optind; i < argc; i++)
		status |= reload(run, argv[i]);
	return fflush(stdout) == 0 ? status : 111;
}
