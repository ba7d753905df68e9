/* postern import. */
#pragma once

int import_main(int argc, char *argv[]);
