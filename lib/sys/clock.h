/* The time. */
#pragma once

#include <stdint.h>

uint64_t clock_wall_us(void); /* microseconds since 1970 */
uint64_t clock_wall_s(void);  /* seconds since 1970 */
uint64_t clock_ms(void);      /* milliseconds that never go back; from an arbitrary start */

/* Milliseconds from now to a time of clock_ms; 0 once it has come. */
uint64_t clock_left_ms(uint64_t until);
