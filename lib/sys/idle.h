/* Memory of a process that will wait for long. */
#pragma once

#include <stddef.h>

/* Gives the kernel the pages of the stack below the caller's frame: what deep calls have left there. */
void idle_trim_stack(void);

/* Gives it the whole pages within len octets of static memory whose content is wanted no more; they read as zero after. */
void idle_trim(void *at, size_t len);
