/* The items of control directories, and what can be asked about them without reading one.
 * Trusts schema.def, which the compiler reads.
 * Never opens a file. */
#include "control/schema.h"

#include "control/nearest.h"

#include <string.h>

#define ITEM(name, file, kind, least, most, otherwise, readers, meaning) \
	[ITEM_##name] = { file, kind, least, most, otherwise, readers, meaning },
const struct control_schema control_schema[N_CONTROL_ITEMS] = {
#include "../../control/schema.def"
};
#undef ITEM

static const struct {
	unsigned bit;
	const char *process;
} readers[] = {
	{ BY_WARDEN, "warden" },
	{ BY_LISTEN, "listen" },
	{ BY_SMTPD, "smtpd" },
	{ BY_POLICY, "policy" },
	{ BY_QUEUE, "queue" },
	{ BY_SEND, "send" },
	{ BY_LSPAWN, "lspawn" },
	{ BY_LSPAWN, "pspawn" },
	{ BY_LOCAL, "local" },
	{ BY_RESOLVE, "resolve" },
	{ BY_AUTH, "auth" },
	{ BY_AUTHRUN, "authrun" },
	{ BY_INJECT, "inject" },
};

static const struct {
	enum control_item item;
	const char *file;
} compiled_files[] = {
	{ ITEM_MORERCPTHOSTS, "morercpthosts.cdb" },
	{ ITEM_USERS_ASSIGN, "users/cdb" },
	{ ITEM_VIRTUALUSERS, "virtualusers.cdb" },
	{ ITEM_RULES, "rules.cdb" },
	{ ITEM_MAILFROMRULES, "mailfromrules.cdb" },
};

const char *
control_compiled_file(enum control_item item)
{
	for (size_t i = 0; i < nitems(compiled_files); i++)
		if (compiled_files[i].item == item)
			return compiled_files[i].file;
	return NULL;
}

bool
control_item_of_file(struct bytes file, enum control_item *item, bool *compiled)
{
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		if (bytes_equal(file, bytes_of_string(control_schema[i].file))) {
			*item = (enum control_item)i;
			*compiled = false;
			return true;
		}
	for (size_t i = 0; i < nitems(compiled_files); i++)
		if (bytes_equal(file, bytes_of_string(compiled_files[i].file))) {
			*item = compiled_files[i].item;
			*compiled = true;
			return true;
		}
	return false;
}

const char *
control_nearest_item(struct bytes file)
{
	const char *nearest = NULL;
	size_t least = 1 + file.len / 3;

	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++) {
		size_t d = nearest_distance(file, bytes_of_string(control_schema[i].file));

		if (d <= least) {
			least = d;
			nearest = control_schema[i].file;
			if (d == 0)
				break;
			least--; /* only a nearer one replaces it */
		}
	}
	return nearest;
}

unsigned
control_reader_of(const char *process)
{
	for (size_t i = 0; i < nitems(readers); i++)
		if (strcmp(readers[i].process, process) == 0)
			return readers[i].bit;
	return 0;
}

static uint32_t
mix(uint32_t h, const void *at, size_t len)
{
	const uint8_t *p = at;

	while (len-- > 0)
		h = (h ^ *p++) * UINT32_C(16777619); /* FNV-1a */
	return h;
}

uint32_t
control_fingerprint(unsigned reader)
{
	uint32_t h = UINT32_C(2166136261);

	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++) {
		const struct control_schema *s = &control_schema[i];
		uint64_t facts[4] = { i, s->kind, s->least, s->most };

		if (!(s->readers & reader))
			continue;
		h = mix(h, facts, sizeof facts);
		h = mix(h, s->file, strlen(s->file) + 1);
	}
	return h;
}
