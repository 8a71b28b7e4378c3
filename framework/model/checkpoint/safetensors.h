// A safetensors file, mapped read-only: tensors are views of the mapping, nothing is copied.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <string>
#include <string_view>

#include "model/checkpoint/tensor_file.h"

namespace dbsa {

class SafetensorsFile final : public TensorFile {
 public:
  // Maps the file and checks its header, see parse_safetensors_header. A file that changed just now
  // is waited for, see settled_identity. Fails with kEnvironment.
  static Result<SafetensorsFile> open(const std::string& path);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // A tensor of type F32, F16 or BF16. Fails with kNotFound if absent, kConfig for another type.
  Result<TensorView> tensor(std::string_view name) const;

 private:
  SafetensorsFile() = default;

  std::map<std::string, std::string> metadata_;
};

}  // namespace dbsa
