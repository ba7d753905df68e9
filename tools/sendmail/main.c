/* sendmail: what programs that know no other interface call. Options that would let a caller choose files or queues are
 * ignored, as is all that only sendmail itself understood.
 * Trusts who calls it with no more than their own rights; not setuid.
 * Never takes a recipient for an option behind --. */
#include "config.h"
#include "mail/local_mail.h"
#include "sys/about.h"
#include "sys/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum mode { MODE_SEND, MODE_LIST, MODE_SMTP, MODE_NOTHING, MODE_REFUSE };

struct options {
	struct local_mail mail;
	enum mode mode;
	const char *notify, *ret, *envid;
	char parameters[200], rcpt_parameters[128];
};

static const char usage_text[] =
    "usage: sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N WHEN] [-R FULL|HDRS] [-V ENVID] [RECIPIENT…] <message\n"
    "       sendmail -bs | -bp\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return 100;
}

static enum mode
mode_of(char c)
{
	switch (c) {
	case 'm':
		return MODE_SEND;
	case 'p':
		return MODE_LIST;
	case 's':
		return MODE_SMTP;
	case 'i': /* newaliases */
	case 'I':
		return MODE_NOTHING;
	default: /* -bd, -be, -bt, -bv: not here */
		return MODE_REFUSE;
	}
}

/* " NAME=value", for the server to judge; false if it is too long, or would be more than one parameter */
static bool
add_parameter(char *into, size_t size, const char *name, const char *value)
{
	size_t len = strlen(into);
	int n;

	if (value == NULL)
		return true;
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f)
			return false;
	n = snprintf(into + len, size - len, " %s=%s", name, value);
	return n > 0 && (size_t)n < size - len;
}

static bool
parse(int argc, char *argv[], struct options *o)
{
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+tivUGnmb:f:r:F:N:R:V:o:O:B:C:X:p:h:L:q::e:d::A:s:M:")) != -1)
		switch (c) {
		case 't':
			o->mail.from_header = true;
			break;
		case 'b':
			o->mode = mode_of(optarg[0]);
			break;
		case 'f':
		case 'r':
			o->mail.sender = strcmp(optarg, "<>") == 0 ? "" : optarg;
			break;
		case 'F':
			o->mail.full_name = optarg;
			break;
		case 'N':
			o->notify = optarg;
			break;
		case 'R':
			o->ret = optarg;
			break;
		case 'V':
			o->envid = optarg;
			break;
		case 'q': /* a run of the queue, which never rests */
			o->mode = MODE_NOTHING;
			break;
		case '?':
			return false;
		default: /* -i (a lone dot never ends a message here), and what means nothing here or must not */
			break;
		}
	return add_parameter(o->rcpt_parameters, sizeof o->rcpt_parameters, "NOTIFY", o->notify) &&
	    add_parameter(o->parameters, sizeof o->parameters, "RET", o->ret) &&
	    add_parameter(o->parameters, sizeof o->parameters, "ENVID", o->envid);
}

/* What a caller says to the SMTP server. Some programs end their lines with LF: if the first line ends so, every LF
 * without a CR before it becomes a CRLF. */
struct caller {
	bool knows, adds_cr; /* the first line has ended; it ended with a lone LF */
	uint8_t last;
};

static struct bytes
with_cr(struct caller *c, struct bytes piece, uint8_t *room)
{
	size_t n = 0;

	for (size_t i = 0; i < piece.len; i++) {
		if (piece.at[i] == '\n') {
			bool alone = c->last != '\r';

			if (!c->knows)
				c->adds_cr = alone;
			c->knows = true;
			if (alone && c->adds_cr)
				room[n++] = '\r';
		}
		room[n++] = c->last = piece.at[i];
	}
	return bytes_of(room, n);
}

/* Copies what is there from one descriptor to the other. c: null, or who says it. False at the end. */
static bool
copy(int from, int to, struct caller *c)
{
	static uint8_t piece[16384], room[2 * sizeof piece];
	ssize_t n = read(from, piece, sizeof piece);
	struct bytes what;

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	what = bytes_of(piece, (size_t)n);
	return fd_write_all(to, c == NULL ? what : with_cr(c, what, room)) == OK;
}

static enum result
speak_smtp(struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
	struct caller caller = { .last = '\n' };
	enum result r = local_mail_socket(un.sun_path, why);

	if (r != OK)
		return r;
	(void)signal(SIGPIPE, SIG_IGN); /* our caller wants an exit status */
	p[1].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p[1].fd < 0 || connect(p[1].fd, (const struct sockaddr *)&un, sizeof un) != 0)
		return why_errno(why, AGAIN, "the mail system does not answer at %s", un.sun_path);
	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[1].revents != 0 && !copy(p[1].fd, STDOUT_FILENO, NULL))
			return OK;
		if (p[0].revents != 0 && !copy(STDIN_FILENO, p[1].fd, &caller)) {
			(void)shutdown(p[1].fd, SHUT_WR);
			p[0].fd = -1;
		}
		p[0].revents = p[1].revents = 0;
	}
	return why_errno(why, BROKEN, "waiting");
}

static int
list_queue(void)
{
	(void)execl(POSTERN_SBINDIR "/postern", "postern", "queue", "list", (char *)NULL);
	(void)execlp("postern", "postern", "queue", "list", (char *)NULL);
	(void)fprintf(stderr, "sendmail: can't run postern queue list: %s\n", strerror(errno));
	return 111;
}

int
main(int argc, char *argv[])
{
	static struct options o;
	struct why why = WHY_NONE;
	const char *name = strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;

	about(argc, argv, name, usage_text);
	if (strcmp(name, "mailq") == 0)
		o.mode = MODE_LIST;
	else if (strcmp(name, "newaliases") == 0)
		o.mode = MODE_NOTHING;
	if (!parse(argc, argv, &o))
		return usage();
	o.mail.recipients = argv + optind;
	o.mail.parameters = o.parameters;
	o.mail.rcpt_parameters = o.rcpt_parameters;
	switch (o.mode) {
	case MODE_LIST:
		return list_queue();
	case MODE_SMTP:
		return local_mail_exit(name, speak_smtp(&why), &why);
	case MODE_NOTHING:
		return 0; /* tables are read as they are */
	case MODE_REFUSE:
		return usage();
	case MODE_SEND:
		break;
	}
	return local_mail_exit(name, local_mail_submit(&o.mail, &why), &why);
}
