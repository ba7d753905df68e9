/* The log: standard error, one event a line, key=value. A line is written by one write, so that lines of several
 * processes do not mix, and is cut at LOG_LINE_MAX. Values with blanks, quotes or `=` are quoted; control octets and
 * invalid UTF-8 are escaped as \xNN, so nothing from outside can forge a line or drive a terminal.
 *
