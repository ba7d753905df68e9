/* The engines of a zygote: one for each set of options that policy asks for, made when first needed, shared by all sessions
 * forked afterwards. */
#pragma once

#include "crypt/session.h"
#include "wire/policy_tls.h"

#define ENGINES_MAX 32

struct engines {
	struct rack rack;
	struct kept {
		struct tls_engine *engine; /* null: never made, or could not be made */
		struct pt_engine options;
		struct buf fields; /* as in PT_SESSION */
		uint64_t used;
		struct why why;   /* it could not be made */
		int64_t told_day; /* when it was last told that a certificate expires */
	} kept[ENGINES_MAX];
	size_t n;
	uint64_t uses;
};

/* What is of one session alone, as in PT_SESSION; empty where it is not said. */
struct wanted {
	struct bytes server, names, tlsa;
};

/* The engine for the message, and the rest of what it says. Not OK: it can't be made, with the reason. */
enum result engines_get(
    struct engines *all, const struct wire_message *m, struct tls_engine **e, struct wanted *w, struct why *why);
