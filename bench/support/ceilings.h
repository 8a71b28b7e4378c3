// Ceilings of this machine, measured in the same run as what is held against them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bench/support/kernels.h"

namespace dbsa::bench {

// Operations a second on `threads` threads at once; none where the processor lacks it.
std::optional<double> peak_rate(Peak peak, int threads);

// Bytes a second that `threads` threads read, each over and over from its own `bytes` bytes: from a
// cache if they fit into it.
double read_rate(int64_t bytes, int threads);

// Bytes a second that memcpy moves (read once, written once: counted once).
double copy_rate(int64_t bytes, int threads);

// A buffer larger than the caches, as far as memory allows.
int64_t memory_buffer_bytes();

// What an attention backend is held against, of the CPU or of the GPU as --backend says.
struct Ceilings {
  double operations = 0;  // a second
  std::string operations_name;
  double bandwidth = 0;  // bytes a second
  std::string bandwidth_name;
};
// backend: its description; bf16: what it computes with.
Ceilings backend_ceilings(const std::string& backend, bool bf16, int threads);

// The peak that a code path of the CPU backend, by its description, computes bfloat16 with.
Peak bf16_peak(const std::string& backend);
const char* peak_name(Peak peak);

}  // namespace dbsa::bench
