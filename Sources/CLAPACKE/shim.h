#pragma once
#include <stdint.h>
// Debian's header makes lapack_int a macro, which Swift cannot see.
typedef int32_t lapack_int;
#define lapack_int lapack_int
// Swift has no C99 _Complex.
#define LAPACK_COMPLEX_STRUCTURE
#include <lapacke.h>
