/* Octets beyond ASCII in the header of a stored message.
 * Trusts nothing in it: it may have no end, or be all header.
 * Never holds more of it than a piece. */
#include "mail/header_ascii.h"

#include "sys/fd.h"

#define PIECE 16384

bool
text_is_ascii(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] >= 0x80)
			return false;
	return true;
}

/* Where the header ends within the piece; its length if it does not. *line_len: octets of the line that goes on, without CR. */
static size_t
end_within(struct bytes piece, size_t *line_len)
{
	for (size_t i = 0; i < piece.len; i++) {
		if (piece.at[i] == '\n' && *line_len == 0)
			return i;
		if (piece.at[i] == '\n')
			*line_len = 0;
		else if (piece.at[i] != '\r')
			++*line_len;
	}
	return piece.len;
}

bool
header_is_ascii(int fd, uint64_t at, uint64_t len)
{
	static uint8_t room[PIECE];
	size_t n = 0, line_len = 0;

	for (; len > 0; at += n, len -= n) {
		size_t end;

		if (fd_pread_all(fd, room, len < PIECE ? (size_t)len : PIECE, (off_t)at, &n) != OK || n == 0)
			return false;
		end = end_within(bytes_of(room, n), &line_len);
		if (!text_is_ascii(bytes_of(room, end)))
			return false;
		if (end < n)
			return true;
	}
	return true;
}
