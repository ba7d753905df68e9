/* Submission by local programs.
 * Trusts the control items that root wrote; what is piped in and the environment are the user's own, with the user's rights.
 * Never keeps more than a header in memory, never has more rights than who calls it. */
#include "mail/local_mail.h"

#include "config.h"
#include "control/control.h"
#include "control/source.h"
#include "mail/author.h"
#include "mail/command_line.h"
#include "mail/compose.h"
#include "mail/header.h"
#include "mail/submit.h"
#include "mail/verp.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536
#define LISTS_MAX (1u << 20)

static enum result
open_control(struct control *c, int *fd, struct why *why)
{
	const char *directory = getenv("POSTERN_CONTROLDIR");
	struct control_from from = { directory != NULL ? directory : POSTERN_CONTROLDIR, "inject", BY_INJECT, NULL,
		NULL };
	static struct control_source source;
	enum result r = control_read(&source, &from, why);

	if (r == OK)
		r = control_seal(&source, "inject", fd, why);
	if (r == OK)
		r = control_open(c, *fd, "inject", why);
	control_forget(&source);
	return r;
}

enum result
local_mail_socket(char path[108], struct why *why)
{
	struct control c = CONTROL_NONE;
	struct bytes socket_path;
	int fd = -1;
	enum result r = open_control(&c, &fd, why);

	if (r != OK)
		return r;
	socket_path = control_text(&c, ITEM_SUBMISSIONSOCKET);
	(void)snprintf(path, 108, "%.*s", (int)socket_path.len, (const char *)socket_path.at);
	control_close(&c);
	fd_close(&fd);
	return OK;
}

static struct bytes
first_of(const char *const names[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (getenv(names[i]) != NULL && getenv(names[i])[0] != '\0')
			return bytes_of_string(getenv(names[i]));
	return BYTES_NONE;
}

/* who calls, and under which name: qmail-inject's variables first, then the account */
static void
find_caller(struct compose *c, const struct local_mail *m, struct buf *from, struct buf *name)
{
	static const char *const users[] = { "QMAILUSER", "MAILUSER", "USER", "LOGNAME" };
	static const char *const hosts[] = { "QMAILHOST", "MAILHOST" };
	static const char *const names[] = { "QMAILNAME", "MAILNAME", "NAME" };
	struct bytes user = first_of(users, nitems(users)), host = first_of(hosts, nitems(hosts));
	struct passwd *pw = getpwuid(getuid());

	if (user.len == 0)
		user = pw != NULL ? bytes_of_string(pw->pw_name) : BYTES("anonymous");
	if (host.len == 0 && bytes_find(user, '@') < user.len)
		buf_add(from, user); /* a whole address */
	else
		author_put_local(from, user);
	if (host.len > 0) {
		buf_add_octet(from, '@');
		buf_add(from, host);
	}
	c->name = m->full_name != NULL ? bytes_of_string(m->full_name) : first_of(names, nitems(names));
	if (c->name.len == 0 && pw != NULL)
		buf_add(
		    name, bytes_first(bytes_of_string(pw->pw_gecos), bytes_find(bytes_of_string(pw->pw_gecos), ',')));
	if (c->name.len == 0)
		c->name = buf_bytes(name);
}

enum result
local_mail_gather(int *fd, struct why *why)
{
	const char *directory = getenv("TMPDIR");
	static uint8_t piece[PIECE];
	struct stat st;
	ssize_t n;

	*fd = STDIN_FILENO;
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return OK;
	*fd = open(directory != NULL ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd < 0)
		*fd = memfd_create("message", MFD_CLOEXEC);
	if (*fd < 0)
		return why_errno(why, EXHAUSTED, "making a file for the message");
	while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
		if (n < 0 && errno != EINTR)
			return why_errno(why, BROKEN, "reading the message");
		if (n > 0 && fd_write_all(*fd, bytes_of(piece, (size_t)n)) != OK)
			return why_errno(why, EXHAUSTED, "keeping the message");
	}
	return lseek(*fd, 0, SEEK_SET) == 0 ? OK : why_errno(why, BROKEN, "reading the message");
}

struct input {
	struct buf head; /* the header, and the beginning of the body */
	int rest_fd;     /* where the rest comes from */
	struct header_end end;
	bool ended;
};

/* There is no room for the header's end. If most of it is one line, that line is what is too long. */
static enum result
header_too_large(const struct input *in, struct why *why)
{
	struct bytes line = bytes_skip(buf_bytes(&in->head), in->end.line_at);
	size_t colon = bytes_find(line, ':');

	if (in->head.len <= COMPOSE_HEADER_MAX / 2)
		return why_set(why, EXHAUSTED, "no memory for the header");
	if (line.len <= COMPOSE_HEADER_MAX / 2)
		return why_set(why, MALFORMED, "the header is larger than %u octets", COMPOSE_HEADER_MAX);
	return why_set(why, MALFORMED, "the header has a line %.*s: that makes it larger than %u octets",
	    (int)(colon < 78 ? colon : 78), (const char *)line.at, COMPOSE_HEADER_MAX);
}

static enum result
read_header(struct input *in, struct why *why)
{
	in->head = buf_growing(COMPOSE_HEADER_MAX);
	for (;;) {
		uint8_t *room = buf_room(&in->head, PIECE);
		ssize_t n;

		if (room == NULL)
			return header_too_large(in, why);
		n = read(STDIN_FILENO, room, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, BROKEN, "reading the message");
		in->head.len += (size_t)n;
		in->ended = n == 0;
		if (header_find_end(&in->end, buf_bytes(&in->head), in->ended))
			return OK;
	}
}

/* header lines without CR */
static void
drop_cr(struct input *in)
{
	size_t kept = 0;

	for (size_t i = 0; i < in->end.header_len; i++)
		if (in->head.at[i] != '\r' || (i + 1 < in->end.header_len && in->head.at[i + 1] != '\n'))
			in->head.at[kept++] = in->head.at[i];
	in->end.header_len = kept;
}

typedef enum result give(void *ctx, struct bytes what, struct why *why);

static enum result
print(void *ctx, struct bytes what, struct why *why)
{
	(void)ctx;
	return fd_write_all(STDOUT_FILENO, what) == OK ? OK : why_errno(why, BROKEN, "writing");
}

static enum result
to_server(void *ctx, struct bytes what, struct why *why)
{
	return submit_content(ctx, what, why);
}

static enum result
give_content(const struct compose *c, const struct input *in, give *to, void *ctx, struct why *why)
{
	static uint8_t piece[PIECE];
	enum result r = to(ctx, buf_bytes(&c->header), why);
	bool ended = in->ended;

	if (r == OK)
		r = to(ctx, BYTES("\n"), why);
	if (r == OK)
		r = to(ctx, bytes_skip(buf_bytes(&in->head), in->end.body_at), why);
	while (r == OK && !ended) {
		ssize_t n = read(in->rest_fd, piece, sizeof piece);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, BROKEN, "reading the message");
		ended = n == 0;
		r = to(ctx, bytes_of(piece, (size_t)n), why);
	}
	return r;
}

static enum result
submit(const struct local_mail *m, const struct compose *c, const struct input *in, struct bytes sender,
    struct bytes socket_path, struct why *why)
{
	static struct submit s;
	char path[108], parameters[256];
	enum result r;

	(void)snprintf(path, sizeof path, "%.*s", (int)socket_path.len, (const char *)socket_path.at);
	(void)snprintf(parameters, sizeof parameters, " BODY=8BITMIME%s", m->parameters == NULL ? "" : m->parameters);
	r = submit_open(&s, path, why);
	if (r == OK)
		r = submit_envelope(&s, sender, parameters, buf_bytes(&c->recipients),
		    m->rcpt_parameters == NULL ? "" : m->rcpt_parameters, why);
	if (r == OK)
		r = give_content(c, in, to_server, &s, why);
	if (r == OK)
		r = submit_end(&s, why);
	submit_close(&s);
	return r;
}

static bool
has_letter(char letter)
{
	const char *letters = getenv("QMAILINJECT");

	return letters != NULL && strchr(letters, letter) != NULL;
}

/* whom failures go to, if neither the command line nor the header says it: who calls, but for the variables */
static void
put_sender(const struct compose *c, struct buf *sender)
{
	static const char *const users[] = { "QMAILSUSER" }, *const hosts[] = { "QMAILSHOST" };
	struct bytes user = first_of(users, 1), host = first_of(hosts, 1);
	size_t at = bytes_find_last(c->from, '@');

	if (user.len > 0)
		author_put_local(sender, user);
	else
		buf_add(sender, bytes_first(c->from, at));
	if (has_letter('m')) /* a sender for this message alone */
		buf_format(sender, "-%llu.%ld.", (unsigned long long)c->now_s, (long)getpid());
	if (has_letter('r')) /* one for each recipient */
		buf_add_octet(sender, '-');
	buf_add_octet(sender, '@');
	buf_add(sender, host.len > 0 ? host : bytes_skip(c->from, at + 1));
	if (has_letter('r'))
		buf_add_string(sender, VERP_MARK);
}

/* the caller's list of mailing lists; one that can't be read is none */
static void
read_lists(struct buf *lists)
{
	const char *name = getenv("QMAILMFTFILE");
	int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
	uint8_t *room;
	ssize_t n;

	while (fd >= 0 && (room = buf_room(lists, 4096)) != NULL && (n = read(fd, room, 4096)) > 0)
		lists->len += (size_t)n;
	if (lists->failed)
		buf_clear(lists);
	fd_close(&fd);
}

static struct bytes
variable_or(const char *name, struct bytes other)
{
	struct bytes value = first_of(&name, 1);

	return value.len > 0 ? value : other;
}

static void
find_names(struct compose *c, const struct control *control)
{
	c->default_host = variable_or("QMAILDEFAULTHOST", control_text(control, ITEM_DEFAULTHOST));
	c->default_domain = variable_or("QMAILDEFAULTDOMAIN", control_text(control, ITEM_DEFAULTDOMAIN));
	c->plus_domain = variable_or("QMAILPLUSDOMAIN", control_text(control, ITEM_PLUSDOMAIN));
	c->id_host = variable_or("QMAILIDHOST", control_text(control, ITEM_IDHOST));
	c->own_from = has_letter('f');
	c->own_id = has_letter('i');
	c->comments = has_letter('c');
	c->take_sender = !has_letter('s');
}

/* The first that says it: the command line, the header, the variables, the account. */
static enum result
find_sender(const struct local_mail *m, const struct compose *c, struct buf *sender, struct why *why)
{
	uint8_t room[ADDRESS_MAX];
	struct bytes address;
	enum result r;

	if (m->sender == NULL && c->has_sender) {
		buf_add(sender, buf_bytes(&c->sender));
	} else if (m->sender == NULL) {
		put_sender(c, sender);
	} else if (bytes_trim(bytes_of_string(m->sender)).len > 0 && strcmp(m->sender, "<>") != 0) {
		if ((r = command_line_address(m->sender, "sender (-f)", room, &address, why)) != OK)
			return r;
		compose_qualify(c, address, sender);
	}
	return sender->failed ? why_set(why, REFUSED, "the sender's address is too long") : OK;
}

static enum result
add_recipient(void *ctx, const struct address *a, struct why *why)
{
	return compose_recipient(ctx, a->text, why);
}

static enum result
send_or_print(const struct local_mail *m, const struct compose *c, const struct control *control, struct input *in,
    struct why *why)
{
	uint8_t sender_room[1200];
	struct buf sender = BUF_OVER(sender_room);
	enum result r;

	if (m->print)
		return give_content(c, in, print, NULL, why);
	if (c->n_recipients == 0)
		return why_set(why, REFUSED,
		    "no recipients: name them on the command line, or in To, Cc or Bcc and have these read (sendmail "
		    "-t)");
	if ((r = find_sender(m, c, &sender, why)) != OK)
		return r;
	if (!in->ended && (r = local_mail_gather(&in->rest_fd, why)) != OK)
		return r;
	return submit(m, c, in, buf_bytes(&sender), control_text(control, ITEM_SUBMISSIONSOCKET), why);
}

static enum result
complete_and_send(const struct local_mail *m, const struct control *control, struct input *in, struct why *why)
{
	uint8_t from_room[512], name_room[256], whole_room[800];
	struct buf from = BUF_OVER(from_room), name = BUF_OVER(name_room), whole = BUF_OVER(whole_room),
		   lists = buf_growing(LISTS_MAX);
	struct compose c = { .now_s = clock_wall_s(), .take_recipients = m->from_header };
	enum result r;

	find_names(&c, control);
	read_lists(&lists);
	c.lists = buf_bytes(&lists);
	c.unique = clock_wall_us() % 1000000 << 32 | (uint64_t)getpid();
	find_caller(&c, m, &from, &name);
	compose_qualify(&c, buf_bytes(&from), &whole);
	c.from = buf_bytes(&whole);
	r = compose_header(&c, bytes_first(buf_bytes(&in->head), in->end.header_len), why);
	for (char *const *one = m->recipients; r == OK && *one != NULL; one++)
		r = command_line_list(*one, "recipient", add_recipient, &c, why);
	if (r == OK && (from.failed || whole.failed))
		r = why_set(why, REFUSED, "the sender's address is too long");
	if (r == OK)
		r = send_or_print(m, &c, control, in, why);
	compose_free(&c);
	buf_free(&lists);
	return r;
}

enum result
local_mail_submit(const struct local_mail *m, struct why *why)
{
	struct control control = CONTROL_NONE;
	struct input in = { .rest_fd = STDIN_FILENO };
	int fd = -1;
	enum result r = open_control(&control, &fd, why);

	if (r != OK)
		return r == EXHAUSTED ? r : BROKEN; /* the installation is at fault, not the message */
	if ((r = read_header(&in, why)) == OK) {
		drop_cr(&in);
		r = complete_and_send(m, &control, &in, why);
	}
	buf_free(&in.head);
	control_close(&control);
	fd_close(&fd);
	return r;
}

int
local_mail_exit(const char *program, enum result r, const struct why *why)
{
	if (r != OK)
		(void)fprintf(stderr, "%s: %s\n", program, why->text);
	return result_meaning(r)->exit_status;
}
