/* stdlib.h -- see as_msvc.h; the intrinsics' headers ask for it. */
#pragma once
#include <stddef.h>

void *malloc(size_t n);
void free(void *p);
