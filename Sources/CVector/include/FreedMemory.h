// What the C library does with memory that is given back; Swift does not see this part of it.
#pragma once

/// Keeps freed blocks of up to `block` bytes, `total` bytes altogether, for later allocations. Does nothing where the C
/// library has no such setting.
void cvector_keep_freed_memory(int block, int total);
