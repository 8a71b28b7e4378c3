#include "model/gguf/gguf_weights.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "model/checkpoint/tensor_faults.h"
#include "model/gguf/block_decoder.h"
#include "model/gguf/gguf_rope.h"
#include "model/gguf/tensor_type.h"

namespace dbsa::gguf {
namespace {

std::string tensor_label(const GgufFile& file, const TensorEntry& entry, int64_t expert = -1) {
  return file.path() + ": tensor '" + entry.name +
         "': " + (expert < 0 ? "" : "expert " + std::to_string(expert) + ", ");
}

// Of a tensor, or of an expert that its stack has.
std::span<const unsigned char> part_bytes(const GgufFile& file, const TensorEntry& entry,
                                          int64_t expert) {
  const std::span<const unsigned char> all = file.bytes(entry);
  if (expert < 0) return all;
  const uint64_t bytes = all.size() / static_cast<uint64_t>(entry.shape.front());
  return all.subspan(static_cast<uint64_t>(expert) * bytes, bytes);
}

// Which row of the file is row `row` of the model.
int64_t file_row(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim, half = head_dim / 2;
  return row - in_head + 2 * (in_head % half) + in_head / half;
}

}  // namespace

Result<GgufWeights::Found> GgufWeights::find(std::string_view name,
                                             std::span<const int64_t> shape) const {
  const auto [stored, expert] = stored_tensor(architecture_, name);
  const GgufFile* file = parts_->file_of(stored);
  if (file == nullptr)
    return Error{ErrorCode::kConfig,
                 parts_->first().path() + ": tensor '" + stored +
                     "' is missing; the file is incomplete or does not fit its keys",
                 {}};
  const TensorEntry* entry = file->find(stored);
  std::vector<int64_t> expected(shape.begin(), shape.end());
  if (expert >= 0) expected.insert(expected.begin(), std::max(layout_.experts, expert + 1));
  if (entry->shape != expected)
    return Error{ErrorCode::kConfig,
                 tensor_label(*file, *entry) + "expected shape " + shape_text(expected) +
                     ", found " + shape_text(entry->shape) +
                     "; the keys and the tensors do not fit together",
                 {}};
  // A row of a vector is one element, which is no block; no converter quantises vectors.
  if (shape.size() == 1 && entry->dtype == TensorDtype::kBlocks)
    return Error{ErrorCode::kConfig,
                 tensor_label(*file, *entry) + "expected F32, F16 or BF16 for a vector, found " +
                     entry->dtype_name + "; fetch another conversion of the model",
                 {}};
  return Found{entry, std::span(entry->shape).subspan(expert < 0 ? 0 : 1),
               part_bytes(*file, *entry, expert), tensor_label(*file, *entry, expert)};
}

bool GgufWeights::is_interleaved(std::string_view name) const {
  return architecture_.pairs_interleaved && (name.find(".q_proj.") != std::string_view::npos ||
                                             name.find(".k_proj.") != std::string_view::npos);
}

Result<TensorData> GgufWeights::read(std::string_view name, std::span<const int64_t> shape,
                                     TensorDtype decoded,
                                     std::span<const uint32_t> kept_types) const {
  DBSA_ASSIGN_OR_RETURN(const Found found, find(name, shape));
  const TensorEntry& entry = *found.entry;
  const std::span<const unsigned char> bytes = found.bytes;
  const bool interleaved = is_interleaved(name), blocks = entry.dtype == TensorDtype::kBlocks;
  const TensorType& type = *find_tensor_type(entry.dtype_name);
  const bool kept =
      blocks && std::find(kept_types.begin(), kept_types.end(), type.id) != kept_types.end();
  TensorData out;
  out.view = {entry.name,   blocks && !kept ? decoded : entry.dtype,
              found.shape,  bytes.data(),
              bytes.size(), blocks ? type.id : 0};
  if (!interleaved && !blocks) return aligned(out.view);

  // Rows are moved and decoded one by one; of a bias a row is one element.
  const int64_t rows = found.shape.front(), head_dim = layout_.head_dim;
  if (interleaved && (head_dim < 2 || rows % head_dim != 0))
    return Error{ErrorCode::kConfig,
                 found.label + "expected a multiple of the head's " + std::to_string(head_dim) +
                     " rows, found " + std::to_string(rows) +
                     "; the keys and the tensors do not fit together",
                 {}};
  const uint64_t row_bytes = bytes.size() / static_cast<uint64_t>(rows);
  const auto check_row = [&](bool numbers, int64_t row) -> Status {
    if (numbers) return {};
    return Error{ErrorCode::kEnvironment,
                 found.label + "row " + std::to_string(row) +
                     ": expected numbers, found a scale or an element that is none; fetch the "
                     "file again",
                 {}};
  };
  for (int64_t row = 0; kept && row < rows; ++row)
    DBSA_RETURN_IF_ERROR(check_row(
        are_numbers(type, bytes.subspan(static_cast<uint64_t>(row) * row_bytes, row_bytes)), row));
  if (kept && !interleaved) return out;
  const uint64_t width = row_bytes / type.bytes * type.elements;
  const uint64_t element = out.view.dtype == TensorDtype::kF32 ? 4 : 2;
  const uint64_t row_out = kept ? row_bytes : width * element;
  out.view.bytes = row_out * static_cast<uint64_t>(rows);
  out.copy.resize((out.view.bytes + 3) / 4);
  auto* to = reinterpret_cast<unsigned char*>(out.copy.data());
  out.view.data = to;
  std::vector<float> numbers(blocks && !kept ? width : 0);
  for (int64_t row = 0; row < rows; ++row, to += row_out) {
    const int64_t from = interleaved ? file_row(row, head_dim) : row;
    const std::span stored(bytes.data() + static_cast<uint64_t>(from) * row_bytes, row_bytes);
    if (!blocks || kept) {
      std::memcpy(to, stored.data(), row_bytes);
      continue;
    }
    DBSA_RETURN_IF_ERROR(check_row(decode_blocks(type, stored, numbers.data()), from));
    if (out.view.dtype == TensorDtype::kF32)
      std::memcpy(to, numbers.data(), row_out);
    else
      round_to_bf16(numbers, reinterpret_cast<uint16_t*>(to));
  }
  return out;
}

// Converters before April 2024 wrote each expert of Mixtral as a tensor.
Status GgufWeights::check_stacked() const {
  constexpr const char* kOld = "blk.0.ffn_gate.0.weight";
  const GgufFile* file = parts_->file_of(kOld);
  if (file == nullptr) return {};
  return Error{ErrorCode::kConfig,
               tensor_label(*file, *file->find(kOld)) +
                   "expected the experts of a layer in one tensor, blk.0.ffn_gate_exps.weight, "
                   "found a tensor for each; fetch a newer conversion of the model, or convert it "
                   "again with llama.cpp",
               {}};
}

Status GgufWeights::check(const ModelConfig& config) const {
  if (layout_.experts > 0) DBSA_RETURN_IF_ERROR(check_stacked());
  TensorFaults faults;
  const std::vector<std::string> rope = rope_tensors(config);
  std::set<std::string, std::less<>> known(rope.begin(), rope.end());
  for (const TensorSpec& spec : expected_tensors(config)) {
    const std::string stored = stored_tensor(architecture_, spec.name).name;
    if (!known.insert(stored).second) continue;  // another expert's
    if (!parts_->contains(stored)) {
      faults.add(
          parts_->first().path() + ": $ missing; the file is incomplete or does not fit its keys",
          stored);
      continue;
    }
    if (const auto found = find(spec.name, spec.shape); !found.ok())
      faults.add_message(found.error().message, stored);
  }
  for (const GgufFile& file : parts_->files())
    for (const TensorEntry& entry : file.entries())
      if (!known.contains(entry.name))
        faults.add(file.path() + ": $ not part of a model of architecture " +
                       std::string(architecture_.name) +
                       " with these keys; the model is of a kind that is not supported",
                   entry.name);
  const std::string text = faults.text();
  if (text.empty()) return {};
  return Error{ErrorCode::kConfig, text, {}};
}

void GgufWeights::release_pages(std::string_view name) const {
  const auto [stored, expert] = stored_tensor(architecture_, name);
  const GgufFile* file = parts_->file_of(stored);
  if (file == nullptr) return;
  const TensorEntry& entry = *file->find(stored);
  if (expert < entry.shape.front()) file->release_pages(part_bytes(*file, entry, expert));
}

std::vector<const TensorFile*> GgufWeights::tensor_files() const {
  std::vector<const TensorFile*> files;
  for (const GgufFile& file : parts_->files()) files.push_back(&file);
  return files;
}

std::string GgufWeights::layout() const {
  return "gguf 1 " + std::string(architecture_.name) + "\n";
}

}  // namespace dbsa::gguf
