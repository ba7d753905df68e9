/* Sockets that outlive generations: what a service listens on, and its doors. */
#pragma once

#include "control/control.h"
#include "house/instance.h"

#define SOCKETS_MAX 64

struct kept_socket {
	int fd;
	struct endpoint endpoint;
	char path[108]; /* of a unix socket or door */
	bool wanted;
};

struct sockets {
	struct kept_socket listening[SOCKETS_MAX];
	size_t n_listening;
	struct kept_socket doors[SOCKETS_MAX]; /* as in house_doorways; fd -1: not ours */
};

/* Brings the listening sockets in line with the control item `listen`: new ones are bound, those no longer named are
 * closed, the others are not touched. If one can't be bound nothing changes. A service without that item has none. */
enum result sockets_listen(struct sockets *s, const struct control *control, struct why *why);

/* Fills *k with the listening socket fd, which becomes the caller's of *k. False: it is none of a kind known here. */
bool sockets_adopt(int fd, struct kept_socket *k);

/* Keeps a door (fd and path) that was bound by the version of this program before; closes one that the plan no longer has. Before
 * sockets_open_doors. */
void sockets_keep_door(struct sockets *s, const struct instance *in, const struct kept_socket *door);

/* Binds the doors that processes of this service own and that are not kept. Once, at start. */
enum result sockets_open_doors(struct sockets *s, const struct instance *in, struct why *why);

/* Connects to a door of another service. ABSENT if that service is not running. */
enum result sockets_connect_door(const struct instance *in, const char *socket, int *fd, struct why *why);
