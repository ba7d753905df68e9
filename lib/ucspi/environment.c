/* Variables of a connection.
 * Trusts the names that come in to have been checked for their form.
 * Never leaves a variable of another connection: what is not known is removed. */
#include "ucspi/environment.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
environment_put(const char *name, const char *value)
{
	if (value == NULL ? unsetenv(name) : setenv(name, value, 1))
		say_die(111, "out of memory");
}

void
environment_number(const char *name, unsigned n)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%u", n);
	environment_put(name, text);
}

static void
put_of(const char *family, const char *what, const char *value)
{
	char name[32];

	(void)snprintf(name, sizeof name, "%s%s", family, what);
	environment_put(name, value);
}

static void
put_port(const char *family, const char *what, unsigned port)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%u", port);
	put_of(family, what, text);
}

/* set: else all of the family are removed. */
static void
put_family(const char *family, const struct session *c, bool set)
{
	static const char *const names[] = { "LOCALIP", "LOCALPORT", "LOCALHOST", "REMOTEIP", "REMOTEPORT",
		"REMOTEHOST", "REMOTEINFO" };

	for (size_t i = 0; i < nitems(names); i++)
		put_of(family, names[i], NULL);
	if (!set)
		return;
	put_of(family, "LOCALIP", c->local_text);
	put_port(family, "LOCALPORT", c->local.port);
	put_of(family, "LOCALHOST", c->local_name[0] == '\0' ? NULL : c->local_name);
	put_of(family, "REMOTEIP", c->remote_text);
	put_port(family, "REMOTEPORT", c->remote.port);
	put_of(family, "REMOTEHOST", c->remote_name[0] == '\0' ? NULL : c->remote_name);
	put_of(family, "REMOTEINFO", c->remote_info[0] == '\0' ? NULL : c->remote_info);
}

void
environment_set(const struct server *s, const struct session *c, bool tls)
{
	bool tcp = !tls || s->o.tcp_variables, six = c->remote.len == 16;
	char interface[IF_NAMESIZE];

	put_family("TCP", c, tcp);
	put_family("TCP6", c, tcp && six);
	put_family("SSL", c, tls);
	environment_put(
	    "TCP6INTERFACE", tcp && six && c->remote.scope != 0 ? if_indextoname(c->remote.scope, interface) : NULL);
	environment_put("PROTO", !tcp ? "SSL" : six ? "TCP6" : "TCP");
}
