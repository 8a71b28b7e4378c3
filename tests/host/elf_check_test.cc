#include "host/elf_check.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "tests/support/workspace.h"

namespace dbsa::host {
namespace {

constexpr const char* kRemedy = "; build the plugin again, or copy its library again";

class ElfCheck : public testing::Test {
 protected:
  std::string said_of(const std::string& bytes) const {
    const Status status = check_shared_library(workspace_.write("lib.so", bytes));
    return status.ok() ? "ok" : status.error().message;
  }

  // The smallest library: a header, two segments, and one section at the end.
  static std::string library(const std::function<void(Elf64_Ehdr&)>& edit = {}) {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] =
        std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
    header.e_type = ET_DYN;
    header.e_machine = machine();
    header.e_phoff = sizeof header;
    header.e_phnum = 2;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_shoff = 1000;
    header.e_shnum = 1;
    header.e_shentsize = sizeof(Elf64_Shdr);
    if (edit) edit(header);
    Elf64_Phdr load = {};
    load.p_type = PT_LOAD;
    load.p_filesz = load.p_memsz = 900;
    Elf64_Phdr dynamic = {};
    dynamic.p_type = PT_DYNAMIC;
    dynamic.p_offset = 500;
    dynamic.p_filesz = dynamic.p_memsz = 100;
    std::string bytes(1000 + sizeof(Elf64_Shdr), '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, &load, sizeof load);
    std::memcpy(bytes.data() + sizeof header + sizeof load, &dynamic, sizeof dynamic);
    return bytes;
  }
  // As this program's own file says.
  static uint16_t machine() {
    std::ifstream self("/proc/self/exe", std::ios::binary);
    Elf64_Ehdr header = {};
    self.read(reinterpret_cast<char*>(&header), sizeof header);
    return header.e_machine;
  }
  static uint16_t other_machine() { return machine() == EM_AARCH64 ? EM_X86_64 : EM_AARCH64; }

  Workspace workspace_;
};

TEST_F(ElfCheck, TakesAWholeLibrary) {
  EXPECT_EQ(said_of(library()), "ok");
  EXPECT_EQ(said_of(library() + "more at the end"), "ok");
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_shoff = 0; })), "ok");  // stripped
}

TEST_F(ElfCheck, OneThatWasCutAnywhereIsNone) {
  const std::string whole = library();
  EXPECT_EQ(said_of(""), std::string("expected a shared library, found an empty file") + kRemedy);
  for (size_t size = 1; size < sizeof(Elf64_Ehdr); ++size)
    ASSERT_EQ(said_of(whole.substr(0, size)), "expected a shared library, found the first " +
                                                  std::to_string(size) + " bytes of one" + kRemedy);
  for (size_t size = sizeof(Elf64_Ehdr); size < whole.size(); ++size) {
    const std::string said = said_of(whole.substr(0, size));
    ASSERT_TRUE(said.starts_with("expected a shared library, found the first " +
                                 std::to_string(size) + " of its "))
        << said;
  }
  EXPECT_EQ(
      said_of(whole.substr(0, 990)),
      "expected a shared library, found the first 990 of its 1064 bytes" + std::string(kRemedy));
}

TEST_F(ElfCheck, WhatIsNoLibraryIsNamed) {
  const std::string found = "expected a shared library, found ";
  EXPECT_EQ(said_of("int main() {}\n"),
            found + "a text file, which begins with \"int main() {}\\n\"" + kRemedy);
  EXPECT_EQ(said_of(std::string("MZ\x90\0\x03", 5)), found + "a file of another format" + kRemedy);
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_type = ET_REL; })),
            found + "an object file (.o)");
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_type = ET_EXEC; })), found + "a program");
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_type = ET_CORE; })),
            found + "an ELF file of another kind");
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_phnum = 0; })),
            found + "one whose headers are damaged (no segments)" + kRemedy);
  EXPECT_EQ(
      said_of(library([](Elf64_Ehdr& h) { h.e_phoff = UINT64_MAX - 8; })),
      found + "one whose headers are damaged (a table of segments beyond any file)" + kRemedy);
  EXPECT_EQ(
      said_of(library([](Elf64_Ehdr& h) { h.e_shoff = UINT64_MAX - 8; })),
      found + "one whose headers are damaged (a table of sections beyond any file)" + kRemedy);
  const Status folder = check_shared_library(workspace_.path());
  EXPECT_EQ(folder.error().message, found + "a folder");
  const std::string pipe = workspace_.path("pipe.so");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(check_shared_library(pipe).error().message, found + "no regular file");
  EXPECT_EQ(check_shared_library(workspace_.path("none")).error().code, ErrorCode::kEnvironment);
}

TEST_F(ElfCheck, AnotherMachineIsNamed) {
  if (machine() != EM_X86_64) GTEST_SKIP() << "the names are those of x86-64";
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_machine = other_machine(); })),
            "expected a shared library, found one for AArch64, this program is for x86-64; build "
            "the plugin on such a machine");
  EXPECT_EQ(
      said_of(library([](Elf64_Ehdr& h) { h.e_machine = 999; })),
      "expected a shared library, found one for machine 999 of the ELF format, this program is "
      "for x86-64; build the plugin on such a machine");
  EXPECT_EQ(said_of(library([](Elf64_Ehdr& h) { h.e_ident[EI_CLASS] = ELFCLASS32; })),
            "expected a shared library, found one for machines of another word size or byte order");
}

// Headers may say anything: nothing is read beyond the file, and no more memory taken than it has.
TEST_F(ElfCheck, AnyByteOfTheHeadersMayBeWrong) {
  const std::string whole = library();
  for (size_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr); ++at)
    for (const char value : {'\x00', '\x01', '\x7f', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = value;
      EXPECT_FALSE(said_of(bytes).empty());
    }
}

}  // namespace
}  // namespace dbsa::host
