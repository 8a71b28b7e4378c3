// GGUF files, mapped: one, or the parts that a model was split into.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/tensor_file.h"
#include "model/gguf/gguf_header.h"

namespace dbsa::gguf {

class GgufFile final : public TensorFile {
 public:
  // Maps a regular file and checks its header, see parse_header. A file that changed just now is
  // waited for, see settled_identity. Fails with kEnvironment or kConfig.
  static Result<GgufFile> open(const std::string& path);

  std::span<const Key> keys() const { return keys_; }  // ascending by name
  const Key* key(std::string_view name) const;         // nullptr if absent

 private:
  GgufFile() = default;

  std::vector<Key> keys_;
};

// All parts of a model: a file without `split.count`, or NAME-00001-of-0000N.gguf with the others
// beside it.
class GgufParts {
 public:
  static constexpr uint64_t kMaxParts = 1000;

  // path: the file, or the first part. Fails with kEnvironment, naming the part and what to do.
  static Result<GgufParts> open(const std::string& path);

  const GgufFile& first() const { return files_.front(); }  // whose keys count
  std::span<const GgufFile> files() const { return files_; }
  bool contains(std::string_view tensor) const { return place_.find(tensor) != place_.end(); }
  // The file and the entry of a tensor; nullptr where no part holds it.
  const GgufFile* file_of(std::string_view tensor) const;

 private:
  std::vector<GgufFile> files_;
  std::map<std::string, size_t, std::less<>> place_;  // tensor -> index in files_
};

}  // namespace dbsa::gguf
