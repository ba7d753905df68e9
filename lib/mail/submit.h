/* Handing a message to this host: SMTP (RFC 5321) over the submission socket. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

struct submit {
	int fd;
	size_t in_at, in_len;
	unsigned seconds; /* it waits for the next reply */
	uint8_t last;     /* octet of content that was sent */
	bool line_start;
	uint8_t in[4096];
	struct buf out;
	uint8_t out_octets[65536];
};

/* Connects and greets. AGAIN: nobody serves the socket now, or it says 4xx; REFUSED: 5xx; MALFORMED: no SMTP. The reply
 * that refused is in why, as in all of these; a success leaves why as it was. */
enum result submit_open(struct submit *s, const char *socket_path, struct why *why);

/* MAIL, a RCPT for each of the n zero-ended recipients, DATA. All or nothing: if one is refused the message is not sent.
 * parameters: behind MAIL FROM:<…>, with a leading blank; rcpt_parameters likewise. A sender of the form prefix-@host-@[] (mail/verp.h)
 * becomes another one for each recipient; addresses with octets above 127 are said to be SMTPUTF8 (RFC 6531). */
enum result submit_envelope(struct submit *s, struct bytes sender, const char *parameters, struct bytes recipients,
    const char *rcpt_parameters, struct why *why);

/* Content in any pieces: LF, CRLF and lone CR all end a line; dots are stuffed. */
enum result submit_content(struct submit *s, struct bytes content, struct why *why);

/* Ends the content. OK: the message is on disk. */
enum result submit_end(struct submit *s, struct why *why);
void submit_close(struct submit *s);
