/* postern queue: looks at messages and acts on them, through the admin door of `queue`. */
#pragma once

/* argv[0] is "queue"; then what to do. Returns the exit status: 0 done, 100 asked for nonsense or for what is not there,
 * 111 it could not be done. */
int queue_main(int argc, char *argv[]);
