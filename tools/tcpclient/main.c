/* tcpclient: connects and starts a program with the connection as descriptors 6 and 7, as tcpclient of ucspi-tcp6 does.
 * Trusts whoever starts it.
 * Never reads from the connection. */
#include "ucspi/client.h"

int
main(int argc, char *argv[])
{
	struct client_options o;
	static struct ends e;
	int fd;

	client_options_read(&o, "tcpclient", false, argc, argv);
	say_open("tcpclient", o.level);
	fd = client_connect(&o, false, &e);
	client_execute(&o, fd, fd);
}
