/* sslclient: connects, speaks TLS, and starts a program with the plain text as descriptors 6 and 7, as sslclient of ucspi-ssl
 * does.
 * Trusts whoever starts it, and the CAs that he names.
 * Never reads from the connection, never has a key: tls, keyload and keyring do that. */
#include "base/id.h"
#include "sslclient/house.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "ucspi/handshake.h"
#include "ucspi/passphrase.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_TROUBLE 111

/* ---- the terms ---- */

static enum pt_demand
demand_of(const struct client_options *o)
{
	return !o->verify ? PT_SHOWN : o->match_name ? PT_WILDCARD : PT_CHAIN;
}

static void
put_terms(const struct client_options *o, const struct small_house *h, struct buf *tail)
{
	uint8_t room[HOUSE_PATH + 8], names_room[300];
	struct buf list = BUF_OVER(room), names = BUF_OVER(names_room);

	if (h->certificate[0] != '\0')
		wire_put_string(&list, h->certificate);
	if (o->match_name)
		wire_put_string(&names, o->host);
	wire_put(tail, BYTES_NONE);
	wire_put(tail, buf_bytes(&list));
	wire_put_string(tail, h->ca_file);
	wire_put_string(tail, h->ca_dir);
	wire_put(tail, BYTES_NONE);
	wire_put_string(tail, o->ciphers == NULL ? "" : o->ciphers);
	wire_put_string(tail, o->name_indication ? o->host : "");
	wire_put(tail, buf_bytes(&names));
	wire_put(tail, BYTES_NONE);
	if (names.failed || tail->failed)
		say_die(EXIT_TROUBLE, "the options are too long");
}

/* Until plain text may flow, or the end. */
static void
shake_hands(const struct client_options *o, struct small_house *h, int connection, int plain)
{
	struct pt_session session = { .engine = { .role = PT_CLIENT,
					  .verify = o->verify ? PT_VERIFY_REQUIRED : PT_VERIFY_OPTIONAL,
					  .depth = (uint8_t)o->depth },
		.handshake_ms = o->handshake_seconds * 1000,
		.idle_ms = o->idle_seconds * 1000,
		.variables = o->variables,
		.demand = (uint8_t)demand_of(o) };
	struct handshake how = { .variables = buf_growing(TF_VARIABLES_MAX) };
	struct id id = id_of_number(clock_wall_us());
	uint8_t room[6000];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;
	enum result r;
	int facts = -1;

	memcpy(session.conn, id.text, sizeof session.conn);
	put_terms(o, h, &tail);
	r = handshake_begin(&session, buf_bytes(&tail), command_end(&h->ends, "tls"), command_end(&h->ends, "keyload"),
	    connection, plain, -1, &facts, &why);
	if (r == OK)
		r = handshake_hear(&how, facts, session.handshake_ms, &why);
	fd_close(&facts);
	if (r != OK) {
		small_house_close(h);
		say_die(EXIT_TROUBLE, "unable to speak TLS with %s: %s", o->host, why.text);
	}
	say_status("tls %s %s", how.protocol, how.cipher);
	environment_take(buf_bytes(&how.variables));
	buf_free(&how.variables);
}

/* ---- the program ---- */

/* Its exit status is ours; the helpers are children, too, and end by themselves. */
__attribute__((noreturn)) static void
await(pid_t program)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(program, &status, 0)) < 0 && errno == EINTR)
		;
	if (pid < 0 || WIFSIGNALED(status))
		_exit(EXIT_TROUBLE);
	_exit(WEXITSTATUS(status));
}

int
main(int argc, char *argv[])
{
	static struct small_house house;
	static struct ends ends;
	struct client_options o;
	int connection, passphrase, plain[2];
	pid_t program;

	client_options_read(&o, "sslclient", true, argc, argv);
	say_open("sslclient", o.level);
	passphrase = o.passphrase ? passphrase_take() : -1;
	connection = client_connect(&o, true, &ends);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain) != 0)
		say_die(EXIT_TROUBLE, "unable to make a socket pair: %s", strerror(errno));
	small_house_open(&house, &o, passphrase);
	shake_hands(&o, &house, connection, plain[1]);
	(void)close(plain[1]);
	(void)close(connection);
	small_house_close(&house);
	program = fork();
	if (program == 0)
		client_execute(&o, plain[0], plain[0]);
	if (program < 0)
		say_die(EXIT_TROUBLE, "unable to fork: %s", strerror(errno));
	(void)close(plain[0]);
	await(program);
}
