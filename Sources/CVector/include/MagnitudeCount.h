// Counting floats by the bits of their magnitude, which order like the magnitudes themselves.
// In C because picking the few numbers in range out of a vector takes one instruction of the 512-bit units.
#pragma once
#include <stdint.h>

/// Adds one to bins[(bits − low) >> shift] for each of n magnitudes with low ≤ bits < low + (count << shift).
/// Returns how many magnitudes lie at or above that range.
long cvector_count_magnitudes(long n, const float *x, uint32_t low, int shift, uint32_t count, uint32_t *bins);
