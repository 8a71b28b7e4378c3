#include "model/checkpoint/safetensors.h"

#include <utility>

#include "model/checkpoint/safetensors_header.h"

namespace dbsa {

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  DBSA_RETURN_IF_ERROR(file.map(path, "; expected a whole Hugging Face model folder"));
  const std::span<const unsigned char> bytes = file.mapped();
  DBSA_ASSIGN_OR_RETURN(SafetensorsHeader header,
                        parse_safetensors_header(path, bytes.size(), bytes));
  file.set_entries(std::move(header.entries));
  file.metadata_ = std::move(header.metadata);
  return file;
}

Result<TensorView> SafetensorsFile::tensor(std::string_view name) const {
  const TensorEntry* entry = find(name);
  const std::string label = path() + ": tensor '" + std::string(name) + "'";
  if (entry == nullptr) return Error{ErrorCode::kNotFound, label + " is not in this file", {}};
  if (entry->dtype == TensorDtype::kOther) {
    return Error{ErrorCode::kConfig,
                 label + ": expected F32, F16 or BF16, found " + entry->dtype_name +
                     "; convert the checkpoint to one of these types (quantised checkpoints are "
                     "not read)",
                 {}};
  }
  return TensorView{entry->name, entry->dtype, entry->shape, bytes(*entry).data(), entry->bytes};
}

}  // namespace dbsa
