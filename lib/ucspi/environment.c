/* Variables of a connection.
 * Trusts the names that come in to have been checked for their form.
 * Never leaves a variable of another connection: what is not known is removed. */
#include "ucspi/environment.h"

#include "ucspi/say.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_LEN 63 /* octets of a name of ours */

bool
ends_find(struct ends *e, int connection, bool as_ipv6)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof at;

	if (getsockname(connection, (struct sockaddr *)&at, &len) != 0 || !address_from(&at, as_ipv6, &e->local))
		return false;
	address_text(&e->local, e->local_text);
	address_text(&e->remote, e->remote_text);
	return true;
}

void
ends_look_up(struct ends *e, const struct lookup *l, const struct ends_wanted *w)
{
	struct buf name = buf_over(e->local_name, sizeof e->local_name);

	if (w->local_name == NULL)
		lookup_name(l, &e->local, false, e->local_name);
	else {
		buf_add_string(&name, w->local_name);
		if (buf_string(&name) == NULL)
			e->local_name[0] = '\0';
	}
	if (w->remote_name)
		lookup_name(l, &e->remote, w->certain, e->remote_name);
	if (w->info)
		lookup_ident(l, &e->local, &e->remote, e->remote_info);
}

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
put_family(const char *family, const struct ends *e, bool set)
{
	static const char *const names[] = { "LOCALIP", "LOCALPORT", "LOCALHOST", "REMOTEIP", "REMOTEPORT",
		"REMOTEHOST", "REMOTEINFO" };

	for (size_t i = 0; i < nitems(names); i++)
		put_of(family, names[i], NULL);
	if (!set)
		return;
	put_of(family, "LOCALIP", e->local_text);
	put_port(family, "LOCALPORT", e->local.port);
	put_of(family, "LOCALHOST", e->local_name[0] == '\0' ? NULL : e->local_name);
	put_of(family, "REMOTEIP", e->remote_text);
	put_port(family, "REMOTEPORT", e->remote.port);
	put_of(family, "REMOTEHOST", e->remote_name[0] == '\0' ? NULL : e->remote_name);
	put_of(family, "REMOTEINFO", e->remote_info[0] == '\0' ? NULL : e->remote_info);
}

bool
environment_tells_of_handshake(struct bytes variable)
{
	static const char *const begins[] = { "SSL_CLIENT_", "SSL_SERVER_", "SSL_CIPHER=", "SSL_CIPHER_",
		"SSL_VERSION_", "SSL_PROTOCOL=", "SSL_SESSION_ID=", "SSL_TLS_SNI=" };
	size_t name = bytes_find(variable, '=');
	bool known = false;

	for (size_t i = 0; i < nitems(begins); i++)
		known |= bytes_starts(variable, bytes_of_string(begins[i]));
	for (size_t i = 0; i < name; i++)
		known = known && (ascii_is_alnum(variable.at[i]) || variable.at[i] == '_');
	return known && name < variable.len && name <= NAME_LEN;
}

/* What another connection's handshake has left: that SSL_PROTOCOL is there means TLS to many programs. */
static void
forget_handshakes(void)
{
	char name[NAME_LEN + 1];

	for (size_t at = 0; environ != NULL && environ[at] != NULL;) {
		struct bytes variable = bytes_of_string(environ[at]);
		size_t len = bytes_find(variable, '=');

		if (!environment_tells_of_handshake(variable)) {
			at++;
			continue;
		}
		memcpy(name, variable.at, len);
		name[len] = '\0';
		environment_put(name, NULL); /* what follows moves up */
	}
}

void
environment_set(const struct ends *e, bool tls, bool tcp)
{
	bool six = e->remote.len == 16;
	char interface[IF_NAMESIZE];

	forget_handshakes();
	put_family("TCP", e, tcp);
	put_family("TCP6", e, tcp && six);
	put_family("SSL", e, tls);
	environment_put(
	    "TCP6INTERFACE", tcp && six && e->remote.scope != 0 ? if_indextoname(e->remote.scope, interface) : NULL);
	environment_put("PROTO", !tcp ? "SSL" : six ? "TCP6" : "TCP");
}

void
environment_take(struct bytes list)
{
	struct bytes one;
	char name[NAME_LEN + 1];

	while (list.len > 0 && bytes_split(&list, '\0', &one) && one.len > 0) {
		size_t len = bytes_find(one, '=');

		if (!environment_tells_of_handshake(one))
			continue;
		memcpy(name, one.at, len);
		name[len] = '\0';
		environment_put(name, (const char *)one.at + len + 1); /* a zero octet is behind each */
	}
}
