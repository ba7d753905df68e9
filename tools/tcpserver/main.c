/* tcpserver: accepts connections and starts a program for each, as tcpserver of ucspi-tcp6 does.
 * Trusts whoever starts it, and the rules file.
 * Never reads from a connection. */
#include "ucspi/server.h"

#include <stdlib.h>

int
main(int argc, char *argv[])
{
	static struct server s;
	const char *most = getenv("MAXCONIP");

	server_options_read(&s.o, "tcpserver", false, argc, argv);
	say_open("tcpserver", s.o.level);
	if (most != NULL && !options_number(most, 100000, &s.per_address))
		say_die(111, "MAXCONIP is no number");
	server_open(&s);
	server_run(&s);
}
