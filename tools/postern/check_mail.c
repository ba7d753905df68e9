/* What would surprise about names, domains and relaying.
 * Trusts its caller, with whose rights it reads.
 * Never connects to anything but a resolver. */
#include "postern/check_mail.h"

#include "base/le.h"
#include "control/rules.h"
#include "control/users.h"
#include "control/variables.h"
#include "wire/smtpd_policy.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* ---- this host's name ---- */

/* A resolver that is silent takes its time: one question for each name. */
static bool
is_asked(const char *name)
{
	static char last[256];
	bool again = strcmp(last, name) == 0;

	(void)snprintf(last, sizeof last, "%s", name);
	return again;
}

void
check_host_name(struct look *l)
{
	struct bytes me = control_text(l->control, ITEM_ME);
	struct place at = place_of_item(l, ITEM_ME, me);
	struct addrinfo *found = NULL;
	char name[256];
	int error;

	(void)snprintf(name, sizeof name, "%.*s", SHOW(me));
	if (bytes_find(me, '.') == me.len)
		find(
		    l, SEVERITY_WARNING, &at, "write it with its domain", "%s is not a full name: it has no dot", name);
	if (is_asked(name))
		return;
	if ((error = getaddrinfo(name, NULL, NULL, &found)) != 0)
		find(l, SEVERITY_WARNING, &at,
		    "peers may refuse its mail; give the name an address in DNS, or put this host's public name here",
		    "%s does not resolve (%s)", name, gai_strerror(error));
	else
		freeaddrinfo(found);
}

/* ---- who gets mail ---- */

/* Mail that is sent on to the domain that it came for is this host's again: nobody's. */
static bool
is_nobody(const struct control *c, const char *local)
{
	struct bytes domain = control_text(c, ITEM_ENVNOATHOST);
	struct destination d;
	uint8_t room[300];
	struct buf address = BUF_OVER(room);
	enum result r;

	buf_format(&address, "%s@", local);
	buf_add(&address, domain);
	r = users_route_now(c, buf_bytes(&address), &d);
	return r == ABSENT || (r == OK && d.route == ROUTE_REMOTE && bytes_equal_nocase(d.domain, domain));
}

void
check_postmaster(struct look *l)
{
	struct place at = place_of_item(l, ITEM_POSTMASTER, BYTES_NONE);

	if (is_nobody(l->control, "postmaster"))
		find(l, SEVERITY_WARNING, &at, "name a user here",
		    "nobody gets the mail of postmaster, which every host must take");
	at = place_of_item(l, ITEM_USERS_ASSIGN, BYTES_NONE);
	if (control_number(l->control, ITEM_SYSTEMUSERS) != 0 && is_nobody(l->control, "root"))
		find(l, SEVERITY_WARNING, &at, "=root:USER:UID:GID:HOME::: here gives it to a user",
		    "nobody gets the mail of root, to whom cron writes");
}

/* ---- relaying ---- */

/* Of the services that listen, those to which other hosts come with mail. */
static bool
is_for_strangers(const struct look *l)
{
	return variable_service_of(l->instance->service) == FOR_SMTP;
}

void
check_open_relay(struct look *l)
{
	static const uint8_t anybody[4] = { 192, 0, 2, 1 }; /* nobody's: RFC 5737 */
	struct rules_query q = { .address = anybody, .address_len = sizeof anybody };
	struct variables says = { 0 };
	struct bytes data;
	struct place at;
	enum result r = rules_find_in(l->control, &q, &data);

	if (!is_for_strangers(l) || (r == OK && rules_denies(data)))
		return;
	if (r == OK)
		variables_decode(&says, data, true);
	variables_decode(&says, control_text(l->control, ITEM_VARIABLES), false);
	if (!variable_is_set(&says, VAR_RELAYCLIENT))
		return;
	at = variable_is_in_rule(&says, VAR_RELAYCLIENT) ? place_of_item(l, ITEM_RULES, BYTES(":allow,RELAYCLIENT"))
							 : place_of_item(l, ITEM_VARIABLES, BYTES("RELAYCLIENT"));
	find(l, SEVERITY_WARNING, &at, "set it in rules for your own networks alone",
	    "RELAYCLIENT is given to everybody: this host would be an open relay");
}

static bool
is_taken(const struct control *c, struct bytes domain)
{
	uint8_t room[300];
	struct buf below = BUF_OVER(room);

	if (domain.len > 0 && domain.at[0] == '.') { /* a suffix: any name below it stands for all */
		buf_add_string(&below, "x");
		buf_add(&below, domain);
		domain = buf_bytes(&below);
	}
	return control_find_domain(c, ITEM_RCPTHOSTS, domain) != ABSENT ||
	    control_find_domain(c, ITEM_MORERCPTHOSTS, domain) != ABSENT;
}

/* A domain of ours that no rcpthosts has gets no mail from outside. */
static void
check_domains_in(struct look *l, enum control_item item)
{
	struct bytes at = buf_bytes(&l->source->items[item].table);

	while (at.len > 8) {
		size_t key_len = le32_get(at.at), data_len = le32_get(at.at + 4);
		struct bytes key = bytes_first(bytes_skip(at, 8), key_len), data = bytes_skip(at, 8 + key_len);
		size_t sign = bytes_find_last(key, '@');
		struct bytes domain = sign < key.len ? bytes_skip(key, sign + 1) : key;
		bool is_exception = item == ITEM_VIRTUALDOMAINS && data_len == 0;

		at = bytes_skip(data, data_len);
		if (domain.len > 0 && !is_exception && !is_taken(l->control, domain)) {
			struct place p = place_of_item(l, item, domain);

			find(l, SEVERITY_WARNING, &p, "add it to rcpthosts, unless only this host shall write to it",
			    "%.*s is in %s, not in rcpthosts: nobody else can send mail to it", SHOW(domain),
			    control_schema[item].file);
		}
	}
}

void
check_our_domains(struct look *l)
{
	if (!is_for_strangers(l))
		return;
	check_domains_in(l, ITEM_LOCALS);
	check_domains_in(l, ITEM_VIRTUALDOMAINS);
	check_domains_in(l, ITEM_VIRTUALUSERS);
}

/* ---- logins ---- */

static bool
is_mechanism(struct bytes word)
{
	for (unsigned i = 0; i < SP_N_MECHANISMS; i++)
		if (bytes_equal_nocase(word, bytes_of_string(sp_mechanism_names[i])))
			return true;
	return false;
}

void
check_mechanisms(struct look *l)
{
	struct bytes words = control_text(l->control, ITEM_MECHANISMS), word;
	struct place at = place_of_item(l, ITEM_MECHANISMS, BYTES_NONE);

	while (words.len > 0 && bytes_split(&words, ' ', &word))
		if (word.len > 0 && !is_mechanism(word)) {
			at = place_of_item(l, ITEM_MECHANISMS, word);
			find(l, SEVERITY_WARNING, &at, "PLAIN, LOGIN and others that postern-control(5) lists are",
			    "%.*s is no mechanism", SHOW(word));
		}
}
