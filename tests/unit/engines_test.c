/* Which sessions share an engine, and what a message of the door must be. */
#include "unit.h"

#include "certificates.h"
#include "server_rig.h"
#include "tls/engines.h"
#include "wire/wire.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct engines all;
static int rack_fd;

static int
set_up(void **state)
{
	struct rack_maker m;
	struct why why = WHY_NONE;

	make_certificates(state);
	rack_fd = memfd_create("rack", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(rack_begin(&m, rack_fd, &why), OK);
	assert_int_equal(rack_put(&m, 'f', BYTES("/ca.pem"), pem_of(ca, NULL)), OK);
	assert_int_equal(rack_put(&m, 'f', BYTES("/broken.pem"), BYTES("nothing")), OK);
	assert_int_equal(rack_finish(&m, &why), OK);
	assert_int_equal(rack_open(&all.rack, rack_fd, &why), OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < all.n; i++) {
		engine_close(all.kept[i].engine);
		buf_free(&all.kept[i].fields);
	}
	rack_close(&all.rack);
	close(rack_fd);
	return 0;
}

struct said {
	struct pt_session body;
	uint8_t room[2048];
	struct buf tail;
};

static void
say(struct said *s, enum pt_demand demand, const char *ca_file, const char *ciphers)
{
	static const char *const names[] = { "mx.example.org" };
	uint8_t list_room[100];
	struct buf list = BUF_OVER(list_room);

	*s = (struct said){ .body.engine = { .role = PT_CLIENT, .verify = PT_VERIFY_REQUIRED },
		.body.demand = (uint8_t)demand };
	s->tail = BUF_OVER(s->room);
	wire_put_string(&s->tail, "smtp");
	wire_put_string(&s->tail, "");
	wire_put_string(&s->tail, ca_file);
	wire_put_string(&s->tail, "");
	wire_put_string(&s->tail, "");
	wire_put_string(&s->tail, ciphers);
	wire_put_string(&s->tail, names[0]);
	if (demand == PT_BY_ENGINE)
		return;
	wire_put_string(&list, names[0]);
	wire_put(&s->tail, buf_bytes(&list));
	wire_put_string(&s->tail, "tlsa");
}

static enum result
get(const struct said *s, size_t len, struct tls_engine **e, struct wanted *w, struct why *why)
{
	struct wire_message m = { .type = PT_SESSION, .body = &s->body, .tail = bytes_first(buf_bytes(&s->tail), len) };

	*why = WHY_NONE;
	return engines_get(&all, &m, e, w, why);
}

static struct tls_engine *
engine_for(enum pt_demand demand, const char *ca_file, const char *ciphers, struct wanted *w)
{
	static struct said s;
	struct tls_engine *e = NULL;
	struct why why;

	say(&s, demand, ca_file, ciphers);
	assert_int_equal(get(&s, s.tail.len, &e, w, &why), OK);
	assert_non_null(e);
	return e;
}

static void
what_is_of_one_session_makes_no_engine_of_its_own(void **state)
{
	struct wanted w;
	struct tls_engine *first = engine_for(PT_NAME, "/ca.pem", "", &w);
	size_t n = all.n;

	(void)state;
	assert_true(bytes_equal(w.server, BYTES("mx.example.org")));
	assert_true(bytes_equal(w.names, BYTES("\x0e\0mx.example.org")));
	assert_true(bytes_equal(w.tlsa, BYTES("tlsa")));
	assert_ptr_equal(engine_for(PT_CHAIN, "/ca.pem", "", &w), first);
	assert_ptr_equal(engine_for(PT_BY_ENGINE, "/ca.pem", "", &w), first);
	assert_int_equal(w.names.len + w.tlsa.len, 0);
	assert_int_equal(all.n, n);
	assert_ptr_not_equal(engine_for(PT_NAME, "/ca.pem", "ECDHE-ECDSA-AES128-GCM-SHA256", &w), first);
	assert_ptr_not_equal(engine_for(PT_NAME, "", "", &w), first);
}

static void
a_message_that_is_not_whole_is_none(void **state)
{
	static struct said s;
	struct tls_engine *e;
	struct wanted w;
	struct why why;

	(void)state;
	for (int demand = PT_BY_ENGINE; demand <= PT_DANE; demand++) {
		say(&s, (enum pt_demand)demand, "/ca.pem", "");
		for (size_t len = 0; len < s.tail.len; len++)
			assert_int_equal(get(&s, len, &e, &w, &why), MALFORMED);
		assert_int_equal(get(&s, s.tail.len, &e, &w, &why), OK);
		wire_put_string(&s.tail, "more");
		assert_int_equal(get(&s, s.tail.len, &e, &w, &why), MALFORMED);
	}
	say(&s, PT_BY_ENGINE, "/ca.pem", "");
	s.body.demand = 255; /* then the two fields must be there, too */
	assert_int_equal(get(&s, s.tail.len, &e, &w, &why), MALFORMED);
}

static void
what_can_not_be_made_is_told_each_time_and_tried_once(void **state)
{
	static const struct {
		const char *ca_file, *ciphers, *words;
	} rows[] = { { "/gone.pem", "", "/gone.pem could not be read" }, { "/broken.pem", "", "without a certificate" },
		{ "/ca.pem", "nonsense", "no cipher" } };
	static struct said s;
	struct tls_engine *e;
	struct wanted w;
	struct why why;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		size_t n = all.n;

		say(&s, PT_CHAIN, rows[i].ca_file, rows[i].ciphers);
		for (int again = 0; again < 3; again++) {
			assert_int_not_equal(get(&s, s.tail.len, &e, &w, &why), OK);
			assert_non_null(strstr(why.text, rows[i].words));
		}
		assert_int_equal(all.n, n + 1);
	}
}

static void
engines_are_bounded_and_the_one_in_use_stays(void **state)
{
	struct wanted w;

	(void)state;
	for (unsigned i = 0; i < 3 * ENGINES_MAX; i++) {
		struct tls_engine *first = engine_for(PT_NAME, "/ca.pem", "", &w);
		static struct said s;
		struct tls_engine *e;
		struct why why;

		say(&s, PT_NAME, "/ca.pem", "");
		s.body.engine.depth = (uint8_t)(1 + i % 100);
		assert_int_equal(get(&s, s.tail.len, &e, &w, &why), OK);
		assert_true(all.n <= ENGINES_MAX);
		assert_ptr_equal(engine_for(PT_NAME, "/ca.pem", "", &w), first);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_of_one_session_makes_no_engine_of_its_own),
		cmocka_unit_test(a_message_that_is_not_whole_is_none),
		cmocka_unit_test(what_can_not_be_made_is_told_each_time_and_tried_once),
		cmocka_unit_test(engines_are_bounded_and_the_one_in_use_stays),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
