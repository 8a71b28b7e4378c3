#include "host/elf_check.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <vector>

#include "config/file_calls.h"
#include "config/schema_check.h"

namespace dbsa::host {
namespace {

constexpr const char* kRemedy = "; build the plugin again, or copy its library again";

Error not_a_library(const std::string& found) {
  return {ErrorCode::kPlugin, "expected a shared library, found " + found, ""};
}

struct Machine {
  uint16_t number;
  const char* name;
};
constexpr std::array kMachines = {
    Machine{EM_X86_64, "x86-64"},  Machine{EM_AARCH64, "AArch64"}, Machine{EM_386, "32-bit x86"},
    Machine{EM_ARM, "32-bit ARM"}, Machine{EM_RISCV, "RISC-V"},    Machine{EM_PPC64, "PowerPC 64"},
    Machine{EM_S390, "IBM S/390"},
};
#if defined(__x86_64__)
constexpr uint16_t kOwnMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kOwnMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t kOwnMachine = EM_RISCV;
#else
constexpr uint16_t kOwnMachine = EM_NONE;  // the loader will tell
#endif

std::string machine_name(uint16_t number) {
  for (const Machine& machine : kMachines)
    if (machine.number == number) return machine.name;
  return "machine " + std::to_string(number) + " of the ELF format";
}

// The headers of one file.
class ElfFile {
 public:
  ElfFile(int descriptor, uint64_t size) : descriptor_(descriptor), size_(size) {}

  Status check() {
    if (size_ == 0) return not_a_library(std::string("an empty file") + kRemedy);
    DBSA_RETURN_IF_ERROR(read_header());
    DBSA_RETURN_IF_ERROR(check_header());
    DBSA_RETURN_IF_ERROR(check_segments());
    DBSA_RETURN_IF_ERROR(check_sections());
    if (needed_ > size_)
      return not_a_library("the first " + std::to_string(size_) + " of its " +
                           std::to_string(needed_) + " bytes" + kRemedy);
    return {};
  }

 private:
  Status read_header() {
    std::array<char, sizeof header_> start{};
    const size_t there = std::min<size_t>(size_, start.size());
    if (!read(start.data(), there, 0)) return not_a_library("a file that cannot be read");
    const std::string_view text(start.data(), there);
    if (!text.starts_with(std::string_view(ELFMAG, std::min<size_t>(SELFMAG, there)))) {
      const bool readable = std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return (c >= ' ' && c < 127) || c == '\n' || c == '\r' || c == '\t';
      });
      return not_a_library((readable
                                ? "a text file, which begins with " + in_quotes(text.substr(0, 32))
                                : std::string("a file of another format")) +
                           kRemedy);
    }
    if (there < start.size())
      return not_a_library("the first " + std::to_string(there) + " bytes of one" + kRemedy);
    header_ = std::bit_cast<Elf64_Ehdr>(start);
    return {};
  }

  Status check_header() const {
    constexpr auto kOwnOrder =
        std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
    const bool same_order = header_.e_ident[EI_DATA] == kOwnOrder;
    const uint16_t machine = same_order ? header_.e_machine : std::rotl(header_.e_machine, 8);
    if (kOwnMachine != EM_NONE && machine != kOwnMachine)
      return not_a_library("one for " + machine_name(machine) + ", this program is for " +
                           machine_name(kOwnMachine) + "; build the plugin on such a machine");
    if (!same_order || header_.e_ident[EI_CLASS] != ELFCLASS64)
      return not_a_library("one for machines of another word size or byte order");
    if (header_.e_type == ET_REL) return not_a_library("an object file (.o)");
    if (header_.e_type == ET_EXEC) return not_a_library("a program");
    if (header_.e_type != ET_DYN) return not_a_library("an ELF file of another kind");
    if (header_.e_phnum == 0 || header_.e_phentsize != sizeof(Elf64_Phdr))
      return damaged("no segments");
    if (header_.e_shoff != 0 && header_.e_shentsize != sizeof(Elf64_Shdr))
      return damaged("sections of an unknown form");
    return {};
  }

  // What is loaded: a segment's bytes lie in the file, and fit its memory.
  Status check_segments() {
    if (!need(header_.e_phoff, header_.e_phnum * sizeof(Elf64_Phdr)))
      return damaged("a table of segments beyond any file");
    if (needed_ > size_) return {};  // cut short
    std::vector<Elf64_Phdr> segments(header_.e_phnum);
    if (!read(segments.data(), segments.size() * sizeof segments[0], header_.e_phoff))
      return damaged("segments that cannot be read");
    bool loads = false;
    bool dynamic = false;
    for (const Elf64_Phdr& segment : segments) {
      loads = loads || segment.p_type == PT_LOAD;
      dynamic = dynamic || segment.p_type == PT_DYNAMIC;
      if (segment.p_type == PT_NULL) continue;
      if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
        return damaged("a segment that is larger in the file than in memory");
      if (segment.p_filesz > 0 && !need(segment.p_offset, segment.p_filesz))
        return damaged("a segment beyond any file");
    }
    if (!loads || !dynamic) return damaged("nothing to load");
    return {};
  }

  // They stand last in a file, so that one which lacks its end lacks some of them. A stripped file
  // may have none.
  Status check_sections() {
    if (header_.e_shoff == 0 || needed_ > size_) return {};
    uint64_t count = header_.e_shnum;
    if (!need(header_.e_shoff, std::max<uint64_t>(count, 1) * sizeof(Elf64_Shdr)))
      return damaged("a table of sections beyond any file");
    if (needed_ > size_) return {};
    if (count == 0) {  // more than the header can say
      Elf64_Shdr first;
      if (!read(&first, sizeof first, header_.e_shoff)) return damaged("unreadable sections");
      count = first.sh_size;
      if (count > size_ / sizeof first) return damaged("more sections than the file has bytes");
      if (!need(header_.e_shoff, count * sizeof first)) return damaged("too many sections");
      if (needed_ > size_) return {};
    }
    std::vector<Elf64_Shdr> sections(count);
    if (!read(sections.data(), count * sizeof(Elf64_Shdr), header_.e_shoff))
      return damaged("sections that cannot be read");
    for (const Elf64_Shdr& section : sections)
      if (section.sh_type != SHT_NULL && section.sh_type != SHT_NOBITS && section.sh_size > 0 &&
          !need(section.sh_offset, section.sh_size))
        return damaged("a section beyond any file");
    return {};
  }

  static Error damaged(const std::string& what) {
    return not_a_library("one whose headers are damaged (" + what + ")" + kRemedy);
  }

  // Notes that the file must reach to offset + bytes; false where no file can.
  bool need(uint64_t offset, uint64_t bytes) {
    uint64_t end = 0;
    if (__builtin_add_overflow(offset, bytes, &end) || end > INT64_MAX) return false;
    needed_ = std::max(needed_, end);
    return true;
  }

  bool read(void* into, size_t bytes, uint64_t offset) const {
    auto* at = static_cast<char*>(into);
    while (bytes > 0) {
      const ssize_t got = uninterrupted(
          [&] { return ::pread(descriptor_, at, bytes, static_cast<off_t>(offset)); });
      if (got <= 0) return false;
      at += got;
      offset += static_cast<uint64_t>(got);
      bytes -= static_cast<size_t>(got);
    }
    return true;
  }

  int descriptor_;
  uint64_t size_;
  uint64_t needed_ = 0;  // bytes that the headers say the file has
  Elf64_Ehdr header_{};
};

}  // namespace

Status check_shared_library(const std::string& path) {
  // Without waiting for the writer of a pipe.
  const Descriptor file(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  if (!file.valid()) return file_error(path, "be opened", errno);
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return file_error(path, "be read", errno);
  if (S_ISDIR(status.st_mode)) return not_a_library("a folder");
  if (!S_ISREG(status.st_mode)) return not_a_library("no regular file");
  return ElfFile(file.get(), static_cast<uint64_t>(status.st_size)).check();
}

}  // namespace dbsa::host
