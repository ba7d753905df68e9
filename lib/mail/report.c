/* Writing of delivery reports.
 * Trusts the envelope's addresses (checked when they came in); texts of other hosts and the returned content not at all.
 * Never lets a control octet of a text into a field, never returns more than it may. */
#include "mail/report.h"

#include "base/crc32c.h"
#include "mail/date.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/random.h>

#define PIECE 32768
#define FIELD_TEXT_MAX 900 /* of a text in one field: a line has at most 998 octets (RFC 5322 2.1.1) */

void
report_begin(struct report_writer *w)
{
	w->text = buf_growing(REPORT_HEAD_MAX);
	w->status = buf_growing(REPORT_HEAD_MAX);
	w->n_omitted = 0;
}

void
report_free(struct report_writer *w)
{
	buf_free(&w->text);
	buf_free(&w->status);
}

static void
put_clean(struct buf *b, struct bytes text)
{
	text = bytes_first(text, FIELD_TEXT_MAX);
	for (size_t i = 0; i < text.len; i++)
		buf_add_octet(b, text.at[i] >= ' ' && text.at[i] < 0x7f ? text.at[i] : text.at[i] >= 0x80 ? '?' : ' ');
}

static int
hex_digit(uint8_t c)
{
	return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3461 4: +XX; what can't be decoded stays as it is */
static void
put_xtext(struct buf *b, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text.at[i + 2]) : -1;

		if (text.at[i] == '+' && low >= 0 && high * 16 + low >= ' ' && high * 16 + low < 0x7f) {
			buf_add_octet(b, (uint8_t)(high * 16 + low));
			i += 2;
		} else
			buf_add_octet(b, text.at[i] >= ' ' && text.at[i] != 0x7f ? text.at[i] : '?');
	}
}

static void
put_status(struct buf *b, const struct report *r, const struct report_recipient *who)
{
	static const char *const actions[] = { "failed", "delivered", "delayed", "relayed" };

	buf_add_string(b, "\r\n");
	if (who->orcpt.len > 0) {
		size_t n = bytes_find(who->orcpt, ';');

		buf_add_string(b, "Original-Recipient: ");
		buf_add(b, bytes_first(who->orcpt, n));
		buf_add_string(b, ";");
		put_xtext(b, bytes_skip(who->orcpt, n + 1));
		buf_add_string(b, "\r\n");
	}
	buf_add_string(b, r->utf8 ? "Final-Recipient: utf-8;" : "Final-Recipient: rfc822;");
	buf_add(b, who->address);
	buf_format(b, "\r\nAction: %s\r\nStatus: %u.%u.%u\r\n", actions[who->action], who->status[0], who->status[1],
	    who->status[2]);
	if (who->host.len > 0) {
		buf_add_string(b, "Remote-MTA: dns; ");
		put_clean(b, who->host);
		buf_add_string(b, "\r\n");
	}
	if (who->text.len > 0 && who->action != REPORT_DELIVERED && who->action != REPORT_RELAYED) {
		buf_add_string(b, who->from_peer ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-postern; ");
		put_clean(b, who->text);
		buf_add_string(b, "\r\n");
	}
	if (who->action == REPORT_DELAYED) {
		buf_add_string(b, "Will-Retry-Until: ");
		date_put(b, r->until_s);
		buf_add_string(b, "\r\n");
	}
}

static void
put_words(struct buf *b, const struct report *r, const struct report_recipient *who)
{
	buf_add_string(b, "<");
	buf_add(b, who->address);
	buf_add_string(b, ">:\r\n");
	if (who->from_peer && who->host.len > 0) {
		put_clean(b, who->host);
		buf_add_string(b, " said: ");
	}
	put_clean(b, who->text);
	if (who->action == REPORT_DELAYED) {
		buf_add_string(b, "\r\nThere is no need to send it again: it is tried until ");
		date_put(b, r->until_s);
	}
	buf_add_string(b, "\r\n\r\n");
}

void
report_add(struct report_writer *w, const struct report *r, const struct report_recipient *who)
{
	size_t text_len = w->text.len, status_len = w->status.len;

	put_words(&w->text, r, who);
	put_status(&w->status, r, who);
	if (!w->text.failed && !w->status.failed)
		return;
	w->text.len = text_len; /* whole recipients only */
	w->status.len = status_len;
	w->text.failed = w->status.failed = false;
	w->n_omitted++;
}

static bool
has_action(const struct report_writer *w, struct bytes line)
{
	return w->status.len > 0 && memmem(w->status.at, w->status.len, line.at, line.len) != NULL;
}

static const char *
subject(const struct report *r, const struct report_writer *w)
{
	if (r->double_bounce)
		return "failure notice: a report that could not be delivered";
	if (has_action(w, BYTES("\r\nAction: failed")))
		return "failure notice";
	if (has_action(w, BYTES("\r\nAction: delayed")))
		return "delay notice";
	return "success notice";
}

/* of the whole, and of the part that has the message (RFC 2045 6.4: what holds it has it too) */
static const char *
encoding(const struct report *r)
{
	return r->eight_bit || r->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "";
}

static void
put_header(struct buf *b, const struct report *r, const struct report_writer *w, const char *boundary)
{
	buf_add_string(b, "Date: ");
	date_put(b, r->now_s);
	buf_add_string(b, "\r\nFrom: Mail Delivery System <");
	buf_add(b, r->from);
	buf_add_string(b, ">\r\nTo: <");
	buf_add(b, r->to);
	buf_format(b, ">\r\nSubject: %s\r\nMessage-ID: <%s.", subject(r, w), boundary);
	buf_add(b, r->id);
	buf_add_octet(b, '@');
	buf_add(b, r->host);
	buf_format(b,
	    ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "%sContent-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n\r\n",
	    encoding(r), r->utf8 ? "global-delivery-status" : "delivery-status", boundary);
}

static void
put_text(struct buf *b, const struct report *r, struct report_writer *w, const char *boundary)
{
	buf_format(b, "--%s\r\nContent-Type: text/plain; charset=%s\r\n%s\r\n", boundary,
	    r->utf8 ? "utf-8" : "us-ascii", r->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	buf_add_string(b, "Hi. This is the mail system at ");
	buf_add(b, r->host);
	buf_add_string(b, ".\r\nThis is what became of your message to the following addresses.\r\n");
	if (r->double_bounce)
		buf_add_string(b, "The message was itself a report, which could not be delivered.\r\n");
	buf_add_string(b, "\r\n");
	buf_add(b, buf_bytes(&w->text));
	if (w->n_omitted > 0)
		buf_format(b, "and %u more.\r\n\r\n", w->n_omitted);
}

static void
put_machine_part(struct buf *b, const struct report *r, struct report_writer *w, const char *boundary)
{
	buf_format(b, "--%s\r\nContent-Type: message/%s\r\n%s\r\nReporting-MTA: dns; ", boundary,
	    r->utf8 ? "global-delivery-status" : "delivery-status", r->utf8 ? encoding(r) : "");
	buf_add(b, r->host);
	buf_add_string(b, "\r\n");
	if (r->envid.len > 0) {
		buf_add_string(b, "Original-Envelope-Id: ");
		put_xtext(b, r->envid);
		buf_add_string(b, "\r\n");
	}
	buf_add_string(b, "X-Postern-Queue-ID: ");
	buf_add(b, r->id);
	buf_add_string(b, "\r\nArrival-Date: ");
	date_put(b, r->arrived_s);
	buf_add_string(b, "\r\n");
	buf_add(b, buf_bytes(&w->status));
}

static void
put_returned_head(struct buf *b, const struct report *r, bool headers_only, const char *boundary)
{
	const char *type = r->utf8 ? (headers_only ? "message/global-headers" : "message/global")
				   : (headers_only ? "text/rfc822-headers" : "message/rfc822");

	buf_format(b, "\r\n--%s\r\n%sContent-Type: %s\r\n\r\nReturn-Path: <", boundary, encoding(r), type);
	buf_add(b, r->reverse_path);
	buf_add_string(b, ">\r\n");
	buf_add(b, r->trace);
}

struct writer {
	int fd;
	struct report_size size;
};

static enum result
write_out(struct writer *w, struct bytes what, struct why *why)
{
	enum result r = fd_write_all(w->fd, what);

	w->size.octets += what.len;
	w->size.sum = crc32c_add(w->size.sum, what);
	return r == OK ? OK : why_errno(why, r, "writing a report");
}

/* where the header section ends within in, which begins at a line's start or in a line; in.len: not in here */
static size_t
header_end(struct bytes in, uint32_t *seen)
{
	for (size_t i = 0; i < in.len; i++) {
		*seen = *seen << 8 | in.at[i];
		if (*seen == 0x0d0a0d0a)
			return i + 1;
	}
	return in.len;
}

static enum result
copy_content(const struct report *r, bool headers_only, struct writer *w, struct why *why)
{
	static uint8_t piece[PIECE];
	uint64_t left = r->content_len, at = r->content_at;
	uint32_t seen = 0x0d0a; /* an empty first line ends the header at once */
	size_t n;

	if (r->max_octets > 0 && left > r->max_octets)
		left = r->max_octets; /* a header may be as long as the message */
	while (left > 0) {
		size_t end;
		enum result result = fd_pread_all(r->fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)at, &n);

		if (result != OK || n == 0)
			return why_set(why, BROKEN, "the message in the queue can't be read");
		end = headers_only ? header_end(bytes_of(piece, n), &seen) : n;
		if (end == left && at + left < r->content_at + r->content_len && piece[end - 1] == '\r')
			end--; /* it was cut within a line end: a lone CR is none */
		if ((result = write_out(w, bytes_of(piece, end), why)) != OK)
			return result;
		if (end < n || (headers_only && seen == 0x0d0a0d0a))
			break;
		at += n;
		left -= n;
	}
	return OK;
}

static void
make_boundary(char into[40])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	uint8_t random[24];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		memset(random, 7, sizeof random);
	memcpy(into, "=_postern_", 10); /* "=_" occurs in no encoded text (RFC 2045 6.7) */
	for (size_t i = 0; i < sizeof random; i++)
		into[10 + i] = digits[random[i] % 32];
	into[10 + sizeof random] = '\0';
}

enum result
report_finish(struct report_writer *w, const struct report *r, int fd, struct report_size *size, struct why *why)
{
	struct buf b = buf_growing(3 * REPORT_HEAD_MAX);
	struct writer out = { .fd = fd };
	/* what is cut in the middle is no message any more: then only its header goes back */
	bool headers_only = r->headers_only || (r->max_octets > 0 && r->content_len > r->max_octets);
	char boundary[40];
	enum result result;

	make_boundary(boundary);
	put_header(&b, r, w, boundary);
	put_text(&b, r, w, boundary);
	put_machine_part(&b, r, w, boundary);
	put_returned_head(&b, r, headers_only, boundary);
	result = b.failed ? why_set(why, EXHAUSTED, "no memory for a report") : write_out(&out, buf_bytes(&b), why);
	if (result == OK)
		result = copy_content(r, headers_only, &out, why);
	buf_clear(&b);
	buf_format(&b, "\r\n--%s--\r\n", boundary);
	if (result == OK)
		result = write_out(&out, buf_bytes(&b), why);
	buf_free(&b);
	*size = out.size;
	return result;
}
