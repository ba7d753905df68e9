/* postern passwd: who may log in. Arguments from the word on; returns the exit status. */
#pragma once

int passwd_main(int argc, char *argv[]);
