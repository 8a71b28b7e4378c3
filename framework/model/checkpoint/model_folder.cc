#include "model/checkpoint/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/json_text.h"
#include "config/model_path.h"
#include "config/path_kind.h"
#include "config/read_file.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Names in the folder, sorted; at most some thousands are looked at.
std::vector<std::string> names_in(const fs::path& folder) {
  constexpr size_t kMost = 4096;
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end && names.size() < kMost;
       at.increment(failed))
    names.push_back(at->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string first_with(const std::vector<std::string>& names, std::string_view ending) {
  const auto it = std::find_if(names.begin(), names.end(),
                               [&](const std::string& name) { return name.ends_with(ending); });
  return it == names.end() ? "" : *it;
}

Error wrong(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kEnvironment, path + ": " + what, ""};
}

// "meta-llama/Llama-3.1-8B", from adapter_config.json; "" where it does not say.
std::string base_model(const fs::path& folder) {
  constexpr uint64_t kMaxBytes = 1 << 20;
  const Result<FileText> file = read_file((folder / "adapter_config.json").string(), kMaxBytes);
  nlohmann::json root;
  if (!file.ok() || parse_json(file->text, root) || !root.is_object()) return "";
  const auto base = root.find("base_model_name_or_path");
  return base != root.end() && base->is_string() ? base->get<std::string>() : "";
}

// The folders below that look like a model's, at most two levels down a hub cache.
std::vector<std::string> model_folders_below(const fs::path& folder) {
  std::vector<std::string> found;
  const fs::path snapshots = folder / "snapshots";
  const fs::path& where = is_folder(snapshots) ? snapshots : folder;
  std::error_code ignored;
  for (const std::string& name : names_in(where))
    if (fs::exists(where / name / "config.json", ignored)) found.push_back((where / name).string());
  return found;
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 3); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 3) text += " and " + std::to_string(names.size() - 3) + " more";
  return text;
}

// Of weights that are not safetensors, what they are called; "" where there are none.
std::string pytorch_weights(const std::vector<std::string>& names) {
  for (const char* ending : {"pytorch_model.bin", "pytorch_model.bin.index.json", ".pth", ".pt",
                             ".bin", "tf_model.h5", "flax_model.msgpack"})
    if (std::string name = first_with(names, ending);
        !name.empty() && name != "training_args.bin" && name != "optimizer.pt" &&
        name != "scheduler.pt")
      return name;
  return "";
}

bool has_adapter_weights(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("adapter_model") &&
           (name.ends_with(".safetensors") || name.ends_with(".bin"));
  });
}

Status check_contents(const fs::path& path) {
  const std::string folder = path.string();
  const std::vector<std::string> names = names_in(path);
  const auto has = [&](const char* name) {
    return std::binary_search(names.begin(), names.end(), std::string(name));
  };
  const bool has_weights = has("model.safetensors") || has("model.safetensors.index.json");
  if (has("adapter_config.json") && (!has_weights || has_adapter_weights(names))) {
    const std::string base = base_model(path);
    const std::string adapter = "a LoRA adapter" + (base.empty() ? "" : " of " + base);
    const std::string merge =
        "merge it into its base model: `AutoPeftModelForCausalLM.from_pretrained(FOLDER)"
        ".merge_and_unload().save_pretrained(OUT)` of peft (AutoPeftModelForFeatureExtraction for "
        "a "
        "sentence encoder), with the tokenizer beside it, and name OUT";
    if (!has_weights) return wrong(folder, "is " + adapter + ", not a whole model; " + merge);
    return wrong(folder, "holds " + adapter +
                             " beside whole weights; transformers would load it and this program "
                             "does not: " +
                             merge +
                             "; or remove adapter_config.json and adapter_model.* to use the whole "
                             "weights as they are");
  }
  if (has("config.json") && has_weights) return {};
  if (const std::string gguf = first_with(names, ".gguf"); !gguf.empty() && !has_weights)
    return wrong(folder, "holds a GGUF file; name it: " + (path / gguf).string());
  if (!has("config.json")) {
    const std::vector<std::string> below = model_folders_below(path);
    if (below.size() == 1)
      return wrong(folder, "has no config.json, but a folder in it has; name " + below[0]);
    if (!below.empty())
      return wrong(folder, "has no config.json, but folders in it have; name one of them: " +
                               quoted_list(below));
  }
  if (has_weights) return {};
  if (const std::string file = pytorch_weights(names); !file.empty())
    return wrong(folder, "has weights in " + file +
                             " and no safetensors; convert them: "
                             "`AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OUT)` "
                             "of transformers, with the tokenizer beside it, and name OUT");
  std::vector<std::string> others;
  for (const std::string& name : names)
    if (name.ends_with(".safetensors")) others.push_back(name);
  if (others.size() == 1)
    return wrong(folder, "has weights in " + others[0] +
                             "; expected model.safetensors: rename the file if it holds the whole "
                             "model in transformers' names");
  if (!others.empty())
    return wrong(folder, "has weights in " + quoted_list(others) +
                             " and no model.safetensors.index.json, which says what is in which; "
                             "fetch it");
  return {};
}

}  // namespace

Status check_model_folder(const std::string& path) {
  // A slash at the end names the same folder.
  const std::string trimmed = path.substr(0, path.find_last_not_of('/') + 1);
  const fs::path at = trimmed.empty() ? path : trimmed;
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(at.string()));
  const std::string name = (at.parent_path().filename() / at.filename()).string();
  if (kind == PathKind::kNothing)
    return wrong(at.string(), "no such folder or file" + absent_model_hint(name, at.string()));
  if (kind == PathKind::kFile)
    return wrong(at.string(), "must be a folder or a GGUF file" + model_file_hint(at.string()));
  return check_contents(at);
}

}  // namespace dbsa
