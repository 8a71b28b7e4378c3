#include "model/config/generation_config.h"

#include <algorithm>
#include <filesystem>

#include "config/path_kind.h"
#include "model/config/json_reader.h"

namespace dbsa {
namespace {

using nlohmann::json;

constexpr const char* kName = "generation_config.json";

// A setting that changes greedy answers, and the value that changes nothing.
struct Setting {
  const char* key;
  double neutral;
};
constexpr Setting kNumbers[] = {{"repetition_penalty", 1},   {"encoder_repetition_penalty", 1},
                                {"no_repeat_ngram_size", 0}, {"min_length", 0},
                                {"min_new_tokens", 0},       {"num_beams", 1},
                                {"diversity_penalty", 0}};
constexpr const char* kOthers[] = {"bad_words_ids",
                                   "begin_suppress_tokens",
                                   "exponential_decay_length_penalty",
                                   "forced_bos_token_id",
                                   "forced_eos_token_id",
                                   "force_words_ids",
                                   "forced_decoder_ids",
                                   "sequence_bias",
                                   "stop_strings",
                                   "suppress_tokens",
                                   "constraints"};

void note_ignored(const json& root, ModelConfig& config) {
  const auto note = [&](const std::string& key, const json& value) {
    config.ignored_generation.push_back(std::string(kName) + ": " + key + " = " +
                                        json_excerpt(value));
  };
  for (const Setting& setting : kNumbers) {
    const auto value = root.find(setting.key);
    if (value != root.end() && value->is_number() && value->get<double>() != setting.neutral)
      note(setting.key, *value);
  }
  for (const char* key : kOthers) {
    const auto value = root.find(key);
    if (value == root.end() || value->is_null()) continue;
    if ((value->is_array() || value->is_object()) && value->empty()) continue;
    note(key, *value);
  }
}

// Ids of the field, an id or a list of them, that the model has.
std::vector<int64_t> read_ids(JsonReader& reader, const char* key, int64_t vocab_size) {
  std::vector<int64_t> ids;
  const json* value = reader.field(key);
  if (value == nullptr) return ids;
  for (const json& id : value->is_array() ? *value : json::array({*value})) {
    if (!id.is_number_integer()) {
      reader.fault(key, "expected a token id or a list of them, found " + json_excerpt(*value) +
                            "; fetch the file again");
      break;
    }
    if (id >= 0 && id < vocab_size) ids.push_back(id.get<int64_t>());
  }
  return ids;
}

}  // namespace

Status read_generation_config(const std::string& folder, ModelConfig& config) {
  const std::string file = (std::filesystem::path(folder) / kName).string();
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(file));
  if (kind == PathKind::kNothing) return {};
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_file(file));
  if (!root.is_object())
    return Error{
        ErrorCode::kConfig,
        file + ": expected a JSON object, found " + json_excerpt(root) + "; fetch the file again",
        {}};
  std::vector<std::string> faults;
  JsonReader reader(root, file, "", &faults);
  std::vector<int64_t>& ends = config.eos_token_ids;
  for (const int64_t id : read_ids(reader, "eos_token_id", config.vocab_size)) ends.push_back(id);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  const std::vector<int64_t> bos = read_ids(reader, "bos_token_id", config.vocab_size);
  if (!config.bos_token_id && !bos.empty()) config.bos_token_id = bos.front();
  note_ignored(root, config);
  if (faults.empty()) return {};
  std::string message = faults[0];
  for (size_t i = 1; i < faults.size(); ++i) message += "\n" + faults[i];
  return Error{ErrorCode::kConfig, message, {}};
}

}  // namespace dbsa
