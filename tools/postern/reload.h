/* postern reload. */
#pragma once

int reload_main(int argc, char *argv[]);
