// What this processor has, as far as code paths and benches ask.
#pragma once

#include <string>

namespace dbsa::cpu {

// Of the processor and the system. amx_bf16: asked for and granted, for this process and for good.
struct CpuFeatures {
  bool avx2 = false;         // with FMA
  bool avx512_bf16 = false;  // with F, BW, VL and DQ
  bool amx_bf16 = false;     // with avx512_bf16
};
CpuFeatures detect_features();

// The processor's own name for itself, or "unknown CPU".
std::string cpu_name();

}  // namespace dbsa::cpu
