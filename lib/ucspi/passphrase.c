/* A secret on its way from a descriptor to a memory file.
 * Trusts whoever started the command.
 * Never keeps it in this process's own memory. */
#include "ucspi/passphrase.h"

#include "base/secret.h"
#include "ucspi/say.h"

#include <sys/mman.h>
#include <unistd.h>

#define PASSPHRASE_FD 3
#define PASSPHRASE_MAX 1024
#define EXIT_TROUBLE 111

int
passphrase_take(void)
{
	int fd = memfd_create("passphrase", MFD_CLOEXEC);
	uint8_t text[PASSPHRASE_MAX];
	size_t n = 0;
	ssize_t written;

	while (n < sizeof text && read(PASSPHRASE_FD, text + n, 1) == 1 && text[n] != '\0')
		n++;
	if (n == sizeof text)
		say_die(EXIT_TROUBLE, "the passphrase is too long");
	text[n] = '\n';
	written = fd < 0 ? -1 : write(fd, text, n + 1);
	secret_wipe(text, sizeof text);
	if (written != (ssize_t)n + 1)
		say_die(EXIT_TROUBLE, "unable to keep the passphrase");
	(void)close(PASSPHRASE_FD);
	return fd;
}
