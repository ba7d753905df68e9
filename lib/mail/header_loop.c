/* Delivered-To in the header of a stored message.
 * Trusts nothing in it: it may have no end, or be all header.
 * Never holds more of a line than an address can have. */
#include "mail/header_loop.h"

#include "sys/fd.h"

#include <string.h>

#define PIECE 16384

struct watching {
	struct bytes address;
	uint8_t line[1024]; /* as far as it fits */
	size_t line_len;
	bool ended, found;
};

static void
end_line(struct watching *w)
{
	const struct bytes field = BYTES("Delivered-To:");
	struct bytes line = bytes_of(w->line, w->line_len);

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	w->ended = line.len == 0;
	w->found = bytes_starts_nocase(line, field) &&
	    bytes_equal_nocase(bytes_trim(bytes_skip(line, field.len)), w->address);
	w->line_len = 0;
}

static void
watch(struct watching *w, struct bytes in)
{
	while (in.len > 0 && !w->ended && !w->found) {
		size_t n = bytes_find(in, '\n'), room = sizeof w->line - w->line_len;

		memcpy(w->line + w->line_len, in.at, n < room ? n : room);
		w->line_len += n < room ? n : room;
		if (n < in.len)
			end_line(w);
		in = bytes_skip(in, n + 1);
	}
}

enum result
header_finds_loop(int fd, uint64_t at, uint64_t len, struct bytes address)
{
	static uint8_t room[PIECE];
	struct watching w = { .address = address };
	size_t n = 0;

	for (; len > 0 && !w.ended && !w.found; at += n, len -= n) {
		if (fd_pread_all(fd, room, len < PIECE ? (size_t)len : PIECE, (off_t)at, &n) != OK || n == 0)
			return BROKEN;
		watch(&w, bytes_of(room, n));
	}
	return w.found ? OK : ABSENT;
}
