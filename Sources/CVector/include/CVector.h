// Inline helpers for which Swift has no good form: lane-wise minimum and maximum, CPU features.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// True when the CPU has everything that code compiled for x86-64-v3 uses (AVX2, FMA, F16C, BMI2 …).
bool cvector_cpu_supports_v3(void);
