// A file of tensors, mapped read-only: its name, its state and where its tensors lie. Nothing is
// copied. What a header means is for safetensors.h and gguf/gguf_file.h.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/file_calls.h"
#include "config/file_identity.h"

namespace dbsa {

// The types the engine reads; a file may list others as long as nobody asks for them. kBlocks:
// quantised blocks, see gguf/tensor_type.h.
enum class TensorDtype { kF32, kF16, kBF16, kBlocks, kOther };

struct TensorEntry {
  std::string name;
  TensorDtype dtype = TensorDtype::kOther;
  std::string dtype_name;      // as the format calls it: "F32", "I64", "Q4_K", ...
  std::vector<int64_t> shape;  // slowest dimension first
  uint64_t begin = 0;          // in the file, bytes
  uint64_t bytes = 0;
};

// A tensor in memory, row-major.
struct TensorView {
  std::string_view name;
  TensorDtype dtype = TensorDtype::kOther;
  std::span<const int64_t> shape;
  // At any address: safetensors asks for no alignment, and older writers give none.
  const unsigned char* data = nullptr;
  uint64_t bytes = 0;
  // Of kBlocks and of what was decoded from them, see dbsa/quantised_weights.h; else 0.
  uint32_t block_type = 0;
};

// "[2, 3]".
std::string shape_text(std::span<const int64_t> shape);
// A name of a file in quotes: without control characters, and cut, so that none reach a terminal.
std::string printable_name(std::string_view name);

class TensorFile {
 public:
  TensorFile(TensorFile&& other) noexcept;
  TensorFile& operator=(TensorFile&& other) noexcept;
  ~TensorFile();

  const std::string& path() const { return path_; }
  const FileIdentity& identity() const { return identity_; }
  // kEnvironment when the file was changed since it was opened: what was read of it may be of
  // either state. Cost: one fstat.
  Status check_unchanged() const {
    return dbsa::check_unchanged(descriptor_.get(), identity_, path_);
  }

  // Ascending by name.
  std::span<const TensorEntry> entries() const { return entries_; }
  const TensorEntry* find(std::string_view name) const;  // nullptr if absent
  // The bytes of an entry of any type; valid as long as the file.
  std::span<const unsigned char> bytes(const TensorEntry& entry) const;

  // Gives back the memory of the pages that lie wholly inside these bytes of a tensor, for after
  // its weights were copied elsewhere. What views it stays valid; reading it again reads the file
  // again.
  void release_pages(std::span<const unsigned char> bytes) const;

 protected:
  TensorFile() = default;
  // Maps a regular file. One that changed just now is waited for, see settled_identity. Fails with
  // kEnvironment; absent_fix follows the message where there is no such file.
  Status map(const std::string& path, std::string_view absent_fix);
  std::span<const unsigned char> mapped() const { return {map_, map_bytes_}; }
  void set_entries(std::vector<TensorEntry> entries);  // in any order

 private:
  std::string path_;
  Descriptor descriptor_;
  FileIdentity identity_;
  std::vector<TensorEntry> entries_;
  unsigned char* map_ = nullptr;
  uint64_t map_bytes_ = 0;
};

}  // namespace dbsa
