// The machine a run was made on, as far as it explains the figures. Nothing that names it.
#pragma once

#include <cstdint>
#include <string>

namespace dbsa {

struct MachineInfo {
  std::string cpu;           // "AMD EPYC 9655 96-Core Processor"; "" if unknown
  std::string architecture;  // "x86_64"
  int64_t cores = 0;         // logical processors this process may use
  uint64_t memory_bytes = 0;
  std::string os;      // "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;  // "Linux 6.1.0"
};

MachineInfo machine_info();

// The most memory this process has had resident so far.
uint64_t peak_memory_bytes();

}  // namespace dbsa
