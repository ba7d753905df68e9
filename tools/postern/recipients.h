/* postern recipients. */
#pragma once

int recipients_main(int argc, char *argv[]);
