// Which kernels run: chosen once for an instance from what is asked for and what the CPU has.
#pragma once

#include "cpu_features.h"
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

// instructions: a name, or "auto" for the best this CPU has. kConfig for an unknown name,
// kEnvironment for a path this CPU lacks.
Result<CodePath> choose_code_path(const std::string& instructions, const CpuFeatures& features);

}  // namespace dbsa::cpu
