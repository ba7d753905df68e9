/* Descriptors. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <sys/types.h>

void fd_close(int *fd); /* if it is open; becomes -1 */

/* Writes all of it, whatever the kernel takes at a time. OK, or EXHAUSTED, ABSENT (EPIPE), BROKEN with errno set. */
enum result fd_write_all(int fd, struct bytes what);
enum result fd_pwrite_all(int fd, struct bytes what, off_t at);

/* Reads up to max octets from offset `at` or until the end; *n is what came. */
enum result fd_pread_all(int fd, void *into, size_t max, off_t at, size_t *n);

/* Seals a memory file that was written in place (content no longer changes, no size change). */
enum result fd_seal(int fd, struct why *why);
bool fd_is_sealed(int fd);

/* The same file by a descriptor that can't write: one that could, sealed or not, can't be mapped shared by older kernels. */
enum result fd_reopen_read_only(int *fd, struct why *why);

bool fd_is_file(int fd); /* a regular one */

/* Octets that are free on the filesystem of an open file for who is not root; 0 if that can't be known. */
uint64_t fd_free_space(int fd);

enum result fd_set_nonblocking(int fd, bool on);
