#include "cpu_features.h"

#include <array>
#include <cstring>

#ifdef DBSA_CPU_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace dbsa::cpu {
namespace {

#ifdef DBSA_CPU_X86
bool has_amx_bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kBf16) != 0 &&
         (edx & kTile) != 0;
}

// Linux gives a process the tiles' registers, 8 KiB a thread, when it asks for them: all of its
// threads, for good. It refuses where a signal stack would be too small for them.
bool may_use_tiles() {
#ifdef __linux__
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // asm/prctl.h, from Linux 5.16 on
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

CpuFeatures detect_features() {
  CpuFeatures features;
#ifdef DBSA_CPU_X86
  // The system's support for the wider registers is part of each answer.
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512_bf16 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512bf16");
  features.amx_bf16 = features.avx512_bf16 && has_amx_bf16() && may_use_tiles();
#endif
  return features;
}

std::string cpu_name() {
#ifdef DBSA_CPU_X86
  std::array<unsigned, 12> words = {};
  unsigned highest = 0;
  unsigned unused[3];
  if (__get_cpuid(0x80000000u, &highest, &unused[0], &unused[1], &unused[2]) != 0 &&
      highest >= 0x80000004u) {
    for (unsigned leaf = 0; leaf < 3; ++leaf) {
      __get_cpuid(0x80000002u + leaf, &words[leaf * 4], &words[leaf * 4 + 1], &words[leaf * 4 + 2],
                  &words[leaf * 4 + 3]);
    }
    char text[sizeof words + 1] = {};
    std::memcpy(text, words.data(), sizeof words);
    std::string name = text;
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) return name;
  }
#endif
  return "unknown CPU";
}

}  // namespace dbsa::cpu
