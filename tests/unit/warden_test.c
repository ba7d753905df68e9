/* Tests of what one version of warden hands to the next: all of it arrives, and no damaged state is taken.
 * Descriptors are real ones; processes are numbers. */
#include "warden/warden.h"

#include "sys/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int
listening(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)at, sizeof *at), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static void
fill(struct warden *w, struct sockaddr_in *at)
{
	*w = (struct warden){ .in = { .run = "/run/postern", .service = "smtpd" },
		.lock_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.n_generations = 7,
		.n_reloads = 3 };
	w->sockets.n_listening = 1;
	assert_true(sockets_adopt(listening(at), &w->sockets.listening[0]));
	w->current = (struct generation){ .number = 7,
		.n = 3,
		.members = { { "listen", 4001, { .uid = 901, .gid = 902 }, .group = 4001 },
		    { "smtpd", 0, { .uid = 1 } }, { "policy", 4002, { .uid = 903, .gid = 904 }, .group = 3999 } } };
	w->old[3] = (struct generation){
		.number = 5, .n = 1, .members = { { "gone", 4003, { .uid = 905, .gid = 906 } } }
	};
}

static void
forget(struct warden *w)
{
	fd_close(&w->lock_fd);
	fd_close(&w->sockets.listening[0].fd);
}

static void
all_that_one_version_has_the_next_one_gets(void **state)
{
	static struct warden before, after;
	struct why why = WHY_NONE;
	struct sockaddr_in at;
	int fd;

	(void)state;
	fill(&before, &at);
	assert_int_equal(warden_save(&before, &fd, &why), OK);
	warden_pass_on(&before, true);
	assert_int_equal(fcntl(before.lock_fd, F_GETFD), 0);
	after = (struct warden){ .in = before.in };
	assert_int_equal(warden_load(&after, fd, &why), OK);
	assert_int_equal(fcntl(after.lock_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(after.lock_fd, before.lock_fd);
	assert_int_equal(after.n_generations, 7);
	assert_int_equal(after.n_reloads, 3);
	assert_int_equal(after.sockets.n_listening, 1);
	assert_int_equal(after.sockets.listening[0].endpoint.port, ntohs(at.sin_port));
	assert_int_equal(after.current.number, 7);
	assert_int_equal(after.current.n, 2);
	assert_string_equal(after.current.members[1].process, "policy");
	assert_int_equal(after.current.members[1].pid, 4002);
	assert_int_equal(after.current.members[1].owner.gid, 904);
	assert_int_equal(after.current.members[0].group, 4001);
	assert_int_equal(after.current.members[1].group, 3999); /* sessions of the one before run in it */
	assert_int_equal(after.current.members[1].n_kept, 0);
	assert_int_equal(after.old[0].number, 5);
	assert_string_equal(after.old[0].members[0].process, "gone"); /* a process that this version does not have */
	(void)close(fd);
	forget(&before);
}

static int
sealed(const char *text, size_t len)
{
	struct why why = WHY_NONE;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fd_seal(fd, &why), OK);
	return fd;
}

static enum result
loaded(const char *text, size_t len)
{
	static struct warden w;
	struct why why = WHY_NONE;
	int fd = sealed(text, len);
	enum result r;

	w = (struct warden){ .in = { .run = "/run/postern", .service = "smtpd" } };
	r = warden_load(&w, fd, &why);
	(void)close(fd);
	return r;
}

static void
a_state_that_is_cut_anywhere_is_refused(void **state)
{
	char text[256];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int n = snprintf(text, sizeof text,
	    "postern-warden 1 1.0.0\nlock %d\ngenerations 2\nsome-word of a later version\ncurrent 2\nmember 4001 900 "
	    "901 listen\nend\n",
	    null);

	(void)state;
	assert_int_equal(loaded(text, (size_t)n), OK);
	for (int cut = 0; cut < n - 4; cut++)
		assert_int_equal(loaded(text, (size_t)cut), MALFORMED);
	(void)close(null);
}

static void
what_is_no_state_is_refused(void **state)
{
	static const char *const texts[] = { "", "postern-warden 2 9.9\nend\n", "postern-warden 1 1.0.0\nend\n",
		"postern-warden 1 1.0.0\nlock 999999\nend\n", "postern-warden 1 1.0.0\nlock 0\nend\n",
		"postern-warden 1 1.0.0\nlock x\nend\n" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(loaded(texts[i], strlen(texts[i])), MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_one_version_has_the_next_one_gets),
		cmocka_unit_test(a_state_that_is_cut_anywhere_is_refused),
		cmocka_unit_test(what_is_no_state_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
