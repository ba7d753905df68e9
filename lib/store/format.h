/* The queue file as it lies on disk; doc/STATES says which states of it are legal. All numbers little-endian.
 *
 *	0   magic[8]
 *	8   crc         u32, of octets 12 to 63 and of the envelope
 *	12  flags       u32, enum store_flag
 *	16  recipients  u32
 *	20  uid         u32, of the local user who sent it; UINT32_MAX: none
 *	24  received    u64, microseconds since 1970
 *	32  content     u64, octets
 *	40  content_at  u32, = 80 + recipients + envelope
 *	44  envelope    u32, octets
 *	48  id[11], an octet of zero
 *	60  sum         u32, CRC-32C of the content
 *	64  mark        u32 ┐
 *	68  attempts    u32 │ mutable, not in the CRC
 *	72  due         u64 ┘ seconds since 1970
 *	80  statuses, one octet a recipient (mutable)
 *	    envelope: five fields, then three fields a recipient, as store.h has them; each u16 length, octets
 *	    content
 *	    notes, each: u32 crc of the rest, u32 recipient, u16 length, text
 *
 * A file with STORE_MAGIC_OLD has zero in the place of the sum, which means that there is none. Such files are read, and
 * never written. */
#pragma once

#define STORE_MAGIC "pnqueue2"
#define STORE_MAGIC_OLD "pnqueue1"
#define STORE_MAGIC_LEN 8u

enum store_place {
	STORE_AT_CRC = 8,
	STORE_AT_FLAGS = 12,
	STORE_AT_RECIPIENTS = 16,
	STORE_AT_UID = 20,
	STORE_AT_RECEIVED = 24,
	STORE_AT_CONTENT = 32,
	STORE_AT_CONTENT_AT = 40,
	STORE_AT_ENVELOPE = 44,
	STORE_AT_ID = 48,
	STORE_AT_ID_END = 59,
	STORE_AT_SUM = 60,
	STORE_AT_MARK = 64,
	STORE_AT_ATTEMPTS = 68,
	STORE_AT_DUE = 72,
	STORE_HEAD_LEN = 80,
};

enum store_mark { STORE_NOT_HELD = 0, STORE_HELD = 0x646c6568 };

#define STORE_NOTE_HEAD 10u /* octets before a note's text */
