/* The log.
 * Trusts keys and event names (literals of the program), no value.
 * Never writes an octet of a value that is not printable, never more than one line an event, never waits. */
#include "sys/log.h"

#include "base/utf8.h"
#include "sys/log_out.h"

#include <string.h>
#include <unistd.h>

static struct {
	const char *process, *service;
} self = { "postern", NULL };

static struct {
	bool on;
	size_t len;
	uint8_t octets[LOG_GATHER_MAX];
} gathered;

void
log_open(const char *process, const char *service)
{
	self.process = process;
	self.service = service;
}

static const char *const severities[] = {
	[SEVERITY_INFO] = "info",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_ERROR] = "error",
};

void
log_begin(struct log_line *l, enum severity severity, const char *event)
{
	l->buf = buf_over(l->octets, sizeof l->octets - 1); /* the line end always fits */
	buf_format(
	    &l->buf, "process=%s pid=%d level=%s event=%s", self.process, (int)getpid(), severities[severity], event);
	if (self.service != NULL)
		log_text(l, "service", self.service);
}

static bool
is_plain(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* octets at the front that stay as they are: one that is printable, or a sequence of UTF-8 other than the controls of C1 */
static size_t
legible(struct bytes v)
{
	uint8_t c = v.at[0];
	size_t n = utf8_sequence(v);

	return n == 1 ? c >= ' ' && c < 0x7f : c == 0xc2 && v.len > 1 && v.at[1] < 0xa0 ? 0 : n;
}

static void
add_escaped(struct buf *b, struct bytes v)
{
	static const char hex[] = "0123456789abcdef";

	while (v.len > 0) {
		uint8_t c = v.at[0];
		size_t n = legible(v);
		uint8_t escape[4] = { '\\', 'x', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };

		if (c == '"' || c == '\\')
			buf_add_octet(b, '\\');
		if (n > 0)
			buf_add(b, bytes_first(v, n));
		else
			buf_add(b, bytes_of(escape, sizeof escape));
		v = bytes_skip(v, n > 0 ? n : 1);
	}
}

void
log_bytes(struct log_line *l, const char *key, struct bytes value)
{
	bool plain = value.len > 0;

	for (size_t i = 0; i < value.len && plain; i++)
		plain = is_plain(value.at[i]);
	buf_add_octet(&l->buf, ' ');
	buf_add_string(&l->buf, key);
	buf_add_octet(&l->buf, '=');
	if (plain) {
		buf_add(&l->buf, value);
		return;
	}
	buf_add_octet(&l->buf, '"');
	add_escaped(&l->buf, value);
	buf_add_octet(&l->buf, '"');
}

void
log_text(struct log_line *l, const char *key, const char *value)
{
	if (value != NULL)
		log_bytes(l, key, bytes_of_string(value));
}

void
log_number(struct log_line *l, const char *key, uint64_t value)
{
	buf_add_octet(&l->buf, ' ');
	buf_add_string(&l->buf, key);
	buf_add_octet(&l->buf, '=');
	buf_add_number(&l->buf, value);
}

static void
close_line(struct log_line *l)
{
	if (l->buf.failed) { /* cut: say so in the room of the last octets */
		if (l->buf.len > sizeof l->octets - 5)
			l->buf.len = sizeof l->octets - 5;
		memcpy(l->octets + l->buf.len, " ...", 4);
		l->buf.len += 4;
	}
	l->octets[l->buf.len++] = '\n';
}

static bool
tell_of_dropped(unsigned n)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "log-dropped");
	log_number(&l, "n", n);
	close_line(&l);
	return log_out_write(bytes_of(l.octets, l.buf.len));
}

static void
put(struct bytes lines)
{
	unsigned dropped = log_out_take_dropped();

	if (dropped == 0 || tell_of_dropped(dropped))
		dropped = 0;
	if (dropped == 0 && log_out_write(lines))
		return;
	for (size_t i = 0; i < lines.len; i++)
		dropped += lines.at[i] == '\n';
	log_out_count_dropped(dropped);
}

void
log_end(struct log_line *l)
{
	close_line(l);
	if (!gathered.on) {
		put(bytes_of(l->octets, l->buf.len));
		return;
	}
	if (gathered.len + l->buf.len > sizeof gathered.octets)
		log_flush();
	memcpy(gathered.octets + gathered.len, l->octets, l->buf.len);
	gathered.len += l->buf.len;
}

void
log_gather(void)
{
	gathered.on = true;
}

void
log_flush(void)
{
	if (gathered.len > 0)
		put(bytes_of(gathered.octets, gathered.len));
	gathered.len = 0;
}

void
log_why(const char *event, enum result r, const struct why *why)
{
	struct log_line l;

	log_begin(&l, result_meaning(r)->severity, event);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_end(&l);
}

void
log_simple(enum severity severity, const char *event, const char *key, const char *value)
{
	struct log_line l;

	log_begin(&l, severity, event);
	log_text(&l, key, value);
	log_end(&l);
}
