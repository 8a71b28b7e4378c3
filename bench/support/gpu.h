// Ceilings of the GPU, measured in the same run as what is held against them. In a build without
// CUDA the program ends with that said.
#pragma once

#include <cstdint>

namespace dbsa::bench {

// Operations a second of a large square product of bfloat16 by cuBLASLt, on random
// numbers.
double gpu_matmul_rate();

// Bytes a second of a copy from memory of the GPU to memory of the GPU, those read and those
// written.
double gpu_copy_rate();

// Bytes a second from pinned memory of the host.
double gpu_upload_rate();

}  // namespace dbsa::bench
