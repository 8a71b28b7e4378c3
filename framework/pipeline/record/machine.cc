#include "pipeline/record/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>

#include "config/read_file.h"

namespace dbsa {
namespace {

// The value of the first line "key<separator>value" of a small text file; "" when there is none.
std::string value_in_file(const char* path, std::string_view key, char separator) {
  const Result<FileText> file = read_file(path, 64 << 20);
  if (!file.ok()) return "";
  std::istringstream lines(file->text);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(separator);
    if (at == line.npos || !line.starts_with(key)) continue;
    if (line.find_first_not_of(" \t", key.size()) != at) continue;
    const size_t begin = line.find_first_not_of(" \t\"", at + 1);
    if (begin == line.npos) return "";
    return line.substr(begin, line.find_last_not_of(" \t\"") + 1 - begin);
  }
  return "";
}

int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return ::sysconf(_SC_NPROCESSORS_ONLN);
}

}  // namespace

MachineInfo machine_info() {
  MachineInfo machine;
  machine.cpu = value_in_file("/proc/cpuinfo", "model name", ':');
  machine.cores = usable_cores();
  machine.memory_bytes = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  machine.os = value_in_file("/etc/os-release", "PRETTY_NAME", '=');
  utsname names = {};
  if (::uname(&names) == 0) {
    machine.architecture = names.machine;
    machine.kernel = std::string(names.sysname) + " " + names.release;
  }
  return machine;
}

uint64_t peak_memory_bytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts KiB
}

}  // namespace dbsa
