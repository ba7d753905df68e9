/* The engines of a zygote: one for each set of options that policy asks for, made when first needed, shared by all sessions
 * forked afterwards. */
#pragma once

#include "crypt/engine.h"
#include "wire/policy_tls.h"

#define ENGINES_MAX 32

struct engines {
	struct rack rack;
	struct kept {
		struct tls_engine *engine; /* null: never made, or could not be made */
		struct pt_engine options;
		struct buf fields; /* as in PT_SESSION */
		uint64_t used;
		struct why why; /* it could not be made */
	} kept[ENGINES_MAX];
	size_t n;
	uint64_t uses;
};

/* The engine for the message; *name is the server name in it. Not OK: it can't be made, with the reason. */
enum result engines_get(
    struct engines *all, const struct wire_message *m, struct tls_engine **e, struct bytes *name, struct why *why);
