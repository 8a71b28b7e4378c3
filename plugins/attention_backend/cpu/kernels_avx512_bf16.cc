// Kernels for AVX-512 with BF16: sixteen lanes, and a dot product of bfloat16 pairs.
#include "vector_avx512_bf16.h"

#define DBSA_KERNEL_TABLE avx512_bf16_kernels
#define DBSA_KERNEL_REGISTERS
#include "kernels_body.h"
