// Which kernels run: chosen once for an instance from what is asked for and what the CPU has.
#pragma once

#include "kernels.h"

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa::cpu {

struct CodePath {
  std::string name;  // "amx_bf16", "avx512_bf16", "avx2" or "portable"
  const Kernels* kernels = nullptr;
  // Linear layers by oneDNN; else by the kernels themselves. oneDNN knows one instruction set in a
  // process, AVX-512 with BF16, so that products in tiles are the kernels'.
  bool onednn_f32 = false;
  bool onednn_bf16 = false;
};

// What the processor and the system offer.
struct CpuFeatures {
  bool avx2 = false;         // with FMA
  bool avx512_bf16 = false;  // with F, BW, VL and DQ
  bool amx_bf16 = false;     // with avx512_bf16
};
CpuFeatures detect_features();

// instructions: a name, or "auto" for the best this CPU has. kConfig for an unknown name,
// kEnvironment for a path this CPU lacks.
Result<CodePath> choose_code_path(const std::string& instructions, const CpuFeatures& features);

// The processor's own name for itself, or "unknown CPU".
std::string cpu_name();

}  // namespace dbsa::cpu
