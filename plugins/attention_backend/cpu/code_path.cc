#include "code_path.h"

#include <dbsa/sdk/config.h>

#include <array>

namespace dbsa::cpu {
namespace {

struct Candidate {
  const char* name;
  bool present;
  const char* needs;
  const Kernels* kernels;
  bool onednn_f32;
  bool onednn_bf16;
};

// Best first.
std::array<Candidate, 4> candidates([[maybe_unused]] const CpuFeatures& features) {
#ifdef DBSA_CPU_X86
  return {{{"amx_bf16", features.amx_bf16, "AMX with BF16, and what avx512_bf16 needs",
            &amx_bf16_kernels(), true, false},
           {"avx512_bf16", features.avx512_bf16, "AVX-512 F, BW, VL, DQ and BF16",
            &avx512_bf16_kernels(), true, true},
           {"avx2", features.avx2, "AVX2 and FMA", &avx2_kernels(), false, false},
           {"portable", true, "", &portable_kernels(), false, false}}};
#else
  return {{{"amx_bf16", false, "an x86-64 processor", nullptr, false, false},
           {"avx512_bf16", false, "an x86-64 processor", nullptr, false, false},
           {"avx2", false, "an x86-64 processor", nullptr, false, false},
           {"portable", true, "", &portable_kernels(), false, false}}};
#endif
}

}  // namespace

Result<CodePath> choose_code_path(const std::string& instructions, const CpuFeatures& features) {
  for (const Candidate& candidate : candidates(features)) {
    const bool named = instructions == candidate.name;
    if (instructions != "auto" && !named) continue;
    if (candidate.present) {
      return CodePath{candidate.name, candidate.kernels, candidate.onednn_f32,
                      candidate.onednn_bf16};
    }
    if (named) {
      return Error{ErrorCode::kEnvironment,
                   "instructions = \"" + instructions + "\" needs " + candidate.needs +
                       ", which this processor (" + cpu_name() +
                       ") does not have; use \"auto\" or \"portable\"",
                   "/instructions"};
    }
  }
  return Config::fault(
      "instructions",
      "must be auto, amx_bf16, avx512_bf16, avx2 or portable, got \"" + instructions + "\"");
}

}  // namespace dbsa::cpu
