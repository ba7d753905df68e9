/* Sending on, for programs that a .qmail line runs.
 * Trusts the delivery for the variables; sender and message are a stranger's, and are handed on as they are.
 * Never changes an octet of the message: it puts the Delivered-To line in front, by which a loop is seen. */
#include "mail/forward.h"

#include "base/buf.h"
#include "mail/local_mail.h"
#include "mail/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECIPIENTS_MAX (16u << 20) /* octets */

enum result
forward_variable(const char *name, const char **value, struct why *why)
{
	*value = getenv(name);
	return *value != NULL
	    ? OK
	    : why_set(why, MALFORMED, "%s is not set: this program is for lines of .qmail files", name);
}

static enum result
give_standard_input(struct submit *s, struct why *why)
{
	static uint8_t piece[65536];
	enum result r = OK;

	while (r == OK) {
		ssize_t n = read(STDIN_FILENO, piece, sizeof piece);

		if (n == 0)
			return OK;
		if (n > 0)
			r = submit_content(s, bytes_of(piece, (size_t)n), why);
		else if (errno != EINTR)
			return why_errno(why, BROKEN, "reading the message");
	}
	return r;
}

/* sender and recipients to the mail system; what is open afterwards is ended with submit_close */
static enum result
begin(struct submit *s, const char *sender, struct bytes recipients, struct why *why)
{
	char path[108];
	enum result r = local_mail_socket(path, why);

	if (r != OK)
		return r == EXHAUSTED ? r : BROKEN; /* the installation is at fault, not the message */
	if ((r = submit_open(s, path, why)) == OK)
		r = submit_envelope(s, bytes_of_string(sender), " BODY=8BITMIME", recipients, "", why);
	return r;
}

enum result
forward_message(const char *sender, char *const recipients[], struct why *why)
{
	static struct submit s;
	const char *delivered_to;
	struct buf all = buf_growing(RECIPIENTS_MAX);
	enum result r = forward_variable("DTLINE", &delivered_to, why);

	s.fd = -1;
	for (char *const *one = recipients; *one != NULL; one++) {
		buf_add_string(&all, *one);
		buf_add_octet(&all, '\0');
	}
	if (r == OK && (r = buf_result(&all)) != OK)
		r = why_set(why, r, "too many recipients");
	if (r == OK)
		r = begin(&s, sender, buf_bytes(&all), why);
	if (r == OK)
		r = submit_content(&s, bytes_of_string(delivered_to), why);
	if (r == OK)
		r = give_standard_input(&s, why);
	if (r == OK)
		r = submit_end(&s, why);
	submit_close(&s);
	buf_free(&all);
	return r;
}

enum result
forward_notice(struct bytes message, const char *recipient, struct why *why)
{
	static struct submit s;
	enum result r;

	s.fd = -1;
	r = begin(&s, "", bytes_of(recipient, strlen(recipient) + 1), why);
	if (r == OK)
		r = submit_content(&s, message, why);
	if (r == OK)
		r = submit_end(&s, why);
	submit_close(&s);
	return r;
}
