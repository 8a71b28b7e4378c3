#include "model/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "config/path_kind.h"
#include "model/checkpoint/tensor_faults.h"
#include "model/config/json_reader.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// tensor name -> file name, from the index.
Result<std::map<std::string, std::string>> read_index(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_file(path));
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::kEnvironment, path + ": " + what, {}};
  };
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object()) {
    return wrong("expected an object weight_map from tensor names to files");
  }
  std::map<std::string, std::string> out;
  for (const auto& [tensor, file] : root["weight_map"].items()) {
    const std::string pointer = "/weight_map/" + tensor;
    if (!file.is_string()) {
      return wrong(pointer + ": expected a file name, found " + json_excerpt(file));
    }
    const std::string name = file.get<std::string>();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      return wrong(pointer + ": expected the name of a file in the same folder, found " +
                   json_excerpt(file));
    }
    out[tensor] = name;
  }
  if (out.empty()) return wrong("/weight_map: expected at least one tensor, found none");
  return out;
}

Error wrong_index(const std::string& index, const std::string& what) {
  return Error{ErrorCode::kEnvironment, index + ": " + what, {}};
}

// "'a', 'b' and 3 more".
std::string quoted(const std::vector<std::string>& names, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), most); ++i)
    text += (i == 0 ? "'" : ", '") + names[i] + "'";
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

bool is_stored_rope(std::string_view name) { return name.ends_with("rotary_emb.inv_freq"); }

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  Checkpoint out;
  out.folder_ = folder;
  const std::string single = (fs::path(folder) / kSingle).string();
  const std::string index = (fs::path(folder) / kIndex).string();
  std::error_code unknown;
  // A link that leads nowhere, and what cannot be examined, is reported by open, as what it is.
  if (fs::symlink_status(single, unknown).type() != fs::file_type::not_found) {
    DBSA_ASSIGN_OR_RETURN(auto file, SafetensorsFile::open(single));
    for (const auto& entry : file.entries()) out.place_[entry.name] = 0;
    out.files_.push_back(std::move(file));
    out.find_text_part();
    return out;
  }
  DBSA_ASSIGN_OR_RETURN(const PathKind there, path_kind(index));
  if (there == PathKind::kNothing) {
    return Error{ErrorCode::kEnvironment,
                 folder + ": expected " + kSingle + " or " + kIndex +
                     ", found neither; point to a Hugging Face model folder with safetensors "
                     "weights",
                 {}};
  }

  DBSA_ASSIGN_OR_RETURN(const auto weight_map, read_index(index));
  std::set<std::string> names;
  for (const auto& [tensor, file] : weight_map) names.insert(file);
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    DBSA_ASSIGN_OR_RETURN(const PathKind shard, path_kind((fs::path(folder) / name).string()));
    if (shard == PathKind::kNothing) missing.push_back(name);
  }
  // Whoever fetches shards again is told all of them.
  std::string faults;
  if (missing.size() == 1)
    faults = index + ": names the file '" + missing[0] + "', which is not there; fetch it";
  if (missing.size() > 1)
    faults = index + ": names " + std::to_string(missing.size()) + " of its " +
             std::to_string(names.size()) +
             " files that are not there: " + quoted(missing, missing.size()) + "; fetch them";
  for (const std::string& name : names) {
    if (std::find(missing.begin(), missing.end(), name) != missing.end()) continue;
    Result<SafetensorsFile> file = SafetensorsFile::open((fs::path(folder) / name).string());
    if (file.ok())
      out.files_.push_back(std::move(file).value());
    else
      faults += (faults.empty() ? "" : "\n") + file.error().message;
  }
  if (!faults.empty()) return Error{ErrorCode::kEnvironment, std::move(faults), {}};
  DBSA_RETURN_IF_ERROR(out.place_tensors(index, weight_map));
  out.find_text_part();
  return out;
}

// The two forms that transformers writes.
void Checkpoint::find_text_part() {
  for (const char* part : {"language_model.model.", "model.language_model."})
    if (place_.contains(std::string(part) + "embed_tokens.weight")) text_part_ = part;
}

// How a tensor of the text part is called in the files.
std::string Checkpoint::stored_name(std::string_view name) const {
  constexpr std::string_view kModel = "model.";
  if (text_part_.empty()) return std::string(name);
  if (name.starts_with(kModel)) return text_part_ + std::string(name.substr(kModel.size()));
  return (text_part_.starts_with(kModel) ? "" : "language_model.") + std::string(name);
}

// What reads images.
bool Checkpoint::is_other_part(std::string_view stored) const {
  if (text_part_.empty()) return false;
  if (stored.starts_with("model.")) stored.remove_prefix(6);
  return stored.starts_with("vision_tower.") || stored.starts_with("multi_modal_projector.");
}

// files_ are the index's, ascending by name.
Status Checkpoint::place_tensors(const std::string& index,
                                 const std::map<std::string, std::string>& weight_map) {
  const auto listed_here = [&](size_t i, const std::string& tensor) {
    const auto it = weight_map.find(tensor);
    return it != weight_map.end() && it->second == fs::path(files_[i].path()).filename().string();
  };
  for (size_t i = 0; i < files_.size(); ++i)
    for (const TensorEntry& entry : files_[i].entries())
      if (listed_here(i, entry.name)) place_[entry.name] = i;
  for (size_t i = 0; i < files_.size(); ++i) {
    for (const TensorEntry& entry : files_[i].entries()) {
      const auto [at, placed] = place_.emplace(entry.name, i);
      if (placed || at->second == i || listed_here(at->second, entry.name)) continue;
      const TensorEntry* other = files_[at->second].find(entry.name);
      if (other->shape == entry.shape && other->dtype_name == entry.dtype_name &&
          std::ranges::equal(files_[at->second].bytes(*other), files_[i].bytes(entry)))
        continue;
      return wrong_index(index, "tensor '" + entry.name + "' differs in '" +
                                    files_[at->second].path() + "' and '" + files_[i].path() +
                                    "' and is listed for neither; fetch the index and the shards "
                                    "of one version");
    }
  }
  std::vector<std::string> nowhere;
  for (const auto& [tensor, file] : weight_map)
    if (!place_.contains(tensor)) nowhere.push_back(tensor);
  if (nowhere.size() == 1)
    return wrong_index(index, "tensor '" + nowhere[0] + "' is not in '" +
                                  weight_map.at(nowhere[0]) +
                                  "'; fetch the index and the shards of one version");
  if (!nowhere.empty())
    return wrong_index(index, std::to_string(nowhere.size()) +
                                  " tensors are in none of its files: " + quoted(nowhere, 3) +
                                  "; fetch the index and the shards of one version");
  return {};
}

Result<TensorView> Checkpoint::find(std::string_view name) const {
  const std::string stored = stored_name(name);
  auto it = place_.find(stored);
  if (it != place_.end()) return files_[it->second].tensor(stored);
  return Error{ErrorCode::kConfig,
               folder_ + ": tensor '" + stored +
                   "' is missing; the checkpoint is incomplete or does not fit config.json",
               {}};
}

Result<TensorView> Checkpoint::tensor(std::string_view name, std::span<const int64_t> shape) const {
  DBSA_ASSIGN_OR_RETURN(const TensorView view, find(name));
  if (!std::equal(view.shape.begin(), view.shape.end(), shape.begin(), shape.end())) {
    return Error{ErrorCode::kConfig,
                 files_[place_.find(stored_name(name))->second].path() + ": tensor '" +
                     stored_name(name) + "': expected shape " + shape_text(shape) + ", found " +
                     shape_text(view.shape) + "; config.json and the weights do not fit together",
                 {}};
  }
  return view;
}

Status Checkpoint::check(const ModelConfig& config) const {
  TensorFaults faults;
  std::set<std::string, std::less<>> known;
  for (const TensorSpec& spec : expected_tensors(config)) {
    const std::string stored = stored_name(spec.name);
    known.insert(stored);
    if (!contains(spec.name)) {
      faults.add(folder_ + ": $ missing; the checkpoint is incomplete or does not fit config.json",
                 stored);
      continue;
    }
    const auto view = tensor(spec);
    if (!view.ok()) faults.add_message(view.error().message, stored);
  }
  for (const auto& [name, file] : place_) {
    if (known.contains(name) || is_stored_rope(name) || is_other_part(name)) continue;
    if (name == stored_name("lm_head.weight")) {
      auto head = find(name), table = find("model.embed_tokens.weight");
      if (head.ok() && table.ok() && head->bytes == table->bytes && head->dtype == table->dtype &&
          std::memcmp(head->data, table->data, head->bytes) == 0) {
        continue;
      }
      faults.add_message(
          files_[file].path() + ": tensor 'lm_head.weight' differs from the embeddings although " +
              "tie_word_embeddings is true in config.json; correct the one that is wrong",
          name);
      continue;
    }
    faults.add(
        files_[file].path() +
            ": $ not part of a model of this config.json; the model is of a kind that is not "
            "supported or the two do not fit together",
        name);
  }
  const std::string text = faults.text();
  if (text.empty()) return {};
  return Error{ErrorCode::kConfig, text, {}};
}

Result<TensorData> Checkpoint::read(std::string_view name, std::span<const int64_t> shape,
                                    TensorDtype, std::span<const uint32_t>) const {
  DBSA_ASSIGN_OR_RETURN(const TensorView view, tensor(name, shape));
  return aligned(view);
}

std::vector<const TensorFile*> Checkpoint::tensor_files() const {
  std::vector<const TensorFile*> files;
  for (const SafetensorsFile& file : files_) files.push_back(&file);
  return files;
}

bool Checkpoint::is_read_from(size_t file, std::string_view name) const {
  const auto it = place_.find(name);
  return it != place_.end() && it->second == file;
}

void Checkpoint::release_pages(std::string_view name) const {
  const std::string stored = stored_name(name);
  auto it = place_.find(stored);
  if (it == place_.end()) return;
  const SafetensorsFile& file = files_[it->second];
  if (const TensorEntry* entry = file.find(stored)) file.release_pages(file.bytes(*entry));
}

}  // namespace dbsa
