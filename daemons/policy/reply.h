/* What a session is to answer. */
#pragma once

#include "base/result.h"
#include "wire/smtpd_policy.h"

struct reply {
	struct sp_answer answer;
	struct bytes custom; /* an administrator's words behind the text; or nothing */
	const char *text;
	const char *reason; /* for the log; null: nothing was refused */
	char form;          /* which form of a list decided; 0: none */
};

#define REPLY(number, a, b, c, words) REFUSAL(number, a, b, c, words, NULL)
#define REFUSAL(number, a, b, c, words, why) \
	((struct reply){ .answer = { .code = (number), .enhanced = { a, b, c } }, .text = (words), .reason = (why) })

/* What a failure in the house looks like outside: 452 4.3.1 for EXHAUSTED, else 451 4.3.0. */
struct reply reply_of_failure(enum result r);

/* The text as it goes over the wire: one printable line. */
struct bytes reply_text(const struct reply *r, char room[SP_TEXT_MAX]);
