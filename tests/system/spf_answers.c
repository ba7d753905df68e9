/* spf_answers: SPF checks against names that are given beforehand, for a suite of tests that nobody here wrote. Words on standard
 * input, a line each, all octets in hex ("-": none); the result of each check on standard output:
 *	record NAME TYPE DATA | fail NAME TYPE | check ADDRESS LOCAL DOMAIN HELO HOST
 * Trusts its input. Never asks a name server. */
#include "net/spf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 600
#define ANSWERS_MAX 400

struct octets {
	size_t len;
	uint8_t at[2048];
};

static struct record {
	struct octets name, data;
	unsigned type; /* 0: any */
	bool fails;
} records[RECORDS_MAX];
static size_t n_records;
static uint8_t answers[ANSWERS_MAX][8192];
static size_t n_answers;

static bool
take_word(struct octets *o)
{
	static char word[4200];
	unsigned octet;

	o->len = 0;
	if (scanf(" %4199s", word) != 1)
		return false;
	for (size_t i = 0; word[0] != '-' && o->len < sizeof o->at && sscanf(word + i, "%2x", &octet) == 1; i += 2)
		o->at[o->len++] = (uint8_t)octet;
	return true;
}

static struct bytes
view(const struct octets *o)
{
	return bytes_of(o->at, o->len);
}

static enum result
look_up(void *ctx, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	struct buf out;
	bool there = false, found = false;

	(void)ctx;
	if (n_answers == ANSWERS_MAX)
		abort();
	out = buf_over(answers[n_answers], sizeof answers[n_answers]);
	n_answers++;
	a->outcome = RS_NO_NAME;
	for (size_t i = 0; i < n_records; i++) {
		const struct record *r = &records[i];

		if (!bytes_equal_nocase(view(&r->name), name))
			continue;
		there = true;
		if (r->fails && !found && (r->type == 0 || r->type == type)) {
			a->outcome = RS_FAILED;
			return OK;
		}
		if (r->type != type || r->fails)
			continue;
		wire_put(&out, view(&r->data));
		found = true;
	}
	a->outcome = found ? RS_FOUND : there ? RS_NO_DATA : RS_NO_NAME;
	a->records = buf_bytes(&out);
	return OK;
}

static bool
add(bool fails)
{
	struct record *r = &records[n_records];

	if (n_records == RECORDS_MAX || !take_word(&r->name) || scanf(" %u", &r->type) != 1)
		return false;
	r->fails = fails;
	n_records++;
	return fails || take_word(&r->data);
}

static bool
check(void)
{
	static struct octets address, local, domain, helo, host;
	struct spf_query q = { .receiver = BYTES("receiver.example.com"), .now_s = 1 };
	enum spf_result found;

	if (!take_word(&address) || !take_word(&local) || !take_word(&domain) || !take_word(&helo) || !take_word(&host))
		return false;
	q.address = address.at;
	q.address_len = address.len;
	q.local = view(&local);
	q.domain = view(&domain);
	q.helo = view(&helo);
	q.host = host.len > 0 ? view(&host) : BYTES_NONE;
	n_answers = 0;
	return spf_check(&q, look_up, NULL, BYTES_NONE, &found) == OK && printf("%s\n", spf_name(found)) > 0;
}

int
main(void)
{
	char word[16];
	bool sound = true;

	while (sound && scanf(" %15s", word) == 1)
		if (strcmp(word, "check") == 0)
			sound = check();
		else
			sound = add(strcmp(word, "fail") == 0);
	return sound ? 0 : 1;
}
