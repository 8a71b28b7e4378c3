// A safetensors file, mapped read-only: tensors are views of the mapping, nothing is copied.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "config/file_calls.h"
#include "config/file_identity.h"
#include "model/safetensors_header.h"

namespace dbsa {

// A tensor in mapped memory, row-major. Valid as long as the file object it came from.
struct TensorView {
  std::string_view name;
  TensorDtype dtype = TensorDtype::kOther;
  std::span<const int64_t> shape;
  // At any address: the format asks for no alignment, and older writers give none.
  const unsigned char* data = nullptr;
  uint64_t bytes = 0;
};

class SafetensorsFile {
 public:
  // Maps the file and checks its header, see parse_safetensors_header. A file that changed just now
  // is waited for, see settled_identity. Fails with kEnvironment.
  static Result<SafetensorsFile> open(const std::string& path);

  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  const std::string& path() const { return path_; }
  const FileIdentity& identity() const { return identity_; }
  // kEnvironment when the file was changed since it was opened: what was read of it may be of
  // either state. Cost: one fstat.
  Status check_unchanged() const {
    return dbsa::check_unchanged(descriptor_.get(), identity_, path_);
  }
  std::span<const SafetensorsEntry> entries() const { return header_.entries; }
  const SafetensorsEntry* find(std::string_view name) const;  // nullptr if absent
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  // A tensor of type F32, F16 or BF16. Fails with kNotFound if absent, kConfig for another type.
  Result<TensorView> tensor(std::string_view name) const;

  // The bytes of an entry of any type.
  std::span<const unsigned char> bytes(const SafetensorsEntry& entry) const;

  // Gives back the memory of the pages that lie wholly inside a tensor, for after its weights were
  // copied elsewhere. The view stays valid; reading it again reads the file again.
  void release_pages(const SafetensorsEntry& entry) const;

 private:
  SafetensorsFile() = default;

  std::string path_;
  Descriptor descriptor_;
  FileIdentity identity_;
  SafetensorsHeader header_;
  unsigned char* map_ = nullptr;
  uint64_t map_bytes_ = 0;
};

}  // namespace dbsa
