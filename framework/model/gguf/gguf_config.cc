#include "model/gguf/gguf_config.h"

#include <algorithm>

#include "model/config/json_reader.h"
#include "model/gguf/config_reader.h"
#include "model/gguf/gguf_experts.h"
#include "model/gguf/gguf_family.h"
#include "model/gguf/gguf_rope.h"

namespace dbsa::gguf {
namespace {

constexpr int64_t kMaxHeads = 65536;
void expect_head_dim(ConfigReader& reader, const char* name, int64_t found, const char* what) {
  if (found != reader.config.head_dim)
    reader.keys.fault(reader.key(name), std::string("expected ") + what + ", " +
                                            std::to_string(reader.config.head_dim) + ", found " +
                                            std::to_string(found) + "; use a model that has them");
}

// How many dimensions of a head are rotated.
void check_rotated(ConfigReader& reader, int64_t rotated) {
  if (reader.config.family != ModelFamily::kPhi3)
    return expect_head_dim(reader, "rope.dimension_count", rotated, "rotation of whole heads");
  if (rotated % 2 != 0 || rotated > reader.config.head_dim)
    reader.keys.fault(reader.key("rope.dimension_count"),
                      "expected an even number up to the head's " +
                          std::to_string(reader.config.head_dim) + " dimensions, found " +
                          std::to_string(rotated) + "; fetch the file again");
}

void read_shape(ConfigReader& reader) {
  KeyReader& keys = reader.keys;
  ModelConfig& config = reader.config;
  const auto integer = [&](const char* name, std::optional<int64_t> absent, int64_t most) {
    return keys.integer(reader.key(name), absent, 1, most);
  };
  const size_t before = reader.faults.size();
  config.hidden_size = integer("embedding_length", std::nullopt, kMaxDimension);
  config.intermediate_size = integer("feed_forward_length", std::nullopt, kMaxDimension);
  config.layers = integer("block_count", std::nullopt, 65536);
  config.heads = integer("attention.head_count", std::nullopt, kMaxHeads);
  config.kv_heads = integer("attention.head_count_kv", config.heads, kMaxHeads);
  config.head_dim = integer("attention.key_length", config.hidden_size / config.heads, kMaxHeads);
  const int64_t values = integer("attention.value_length", config.head_dim, kMaxHeads);
  config.rope.head_dim = integer("rope.dimension_count", config.head_dim, kMaxHeads);
  config.max_position_embeddings = integer("context_length", std::nullopt, kMaxDimension);
  config.max_positions = config.max_position_embeddings;
  if (reader.faults.size() != before) return;  // the rest would follow from those
  if (config.heads % config.kv_heads != 0)
    keys.fault(reader.key("attention.head_count_kv"),
               "expected a divisor of the " + std::to_string(config.heads) + " heads, found " +
                   std::to_string(config.kv_heads));
  if (config.head_dim % 2 != 0 || config.head_dim == 0)
    keys.fault(
        reader.key("attention.key_length"),
        "expected an even number for rotary embedding, found " + std::to_string(config.head_dim));
  expect_head_dim(reader, "attention.value_length", values, "values as wide as keys");
  check_rotated(reader, config.rope.head_dim);
}

// What only the tensors say.
void read_tensors(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  const auto has = [&](const char* name) { return reader.parts.contains(name); };
  config.tie_word_embeddings = !has("output.weight");
  config.qkv_bias = reader.architecture.qkv_bias || has("blk.0.attn_q.bias");
  config.output_bias = has("blk.0.attn_output.bias");
  config.mlp_bias = config.experts.count == 0 && has("blk.0.ffn_gate.bias");
  const GgufFile* file = reader.parts.file_of("token_embd.weight");
  const TensorEntry* table = file == nullptr ? nullptr : file->find("token_embd.weight");
  if (table == nullptr) {
    reader.faults.push_back(reader.parts.first().path() +
                            ": tensor 'token_embd.weight' is missing; fetch the file again");
    return;
  }
  config.vocab_size = table->shape.front();
  const std::string key = reader.key("vocab_size");
  const int64_t said = reader.keys.integer(key, config.vocab_size, 1, kMaxDimension);
  if (said != config.vocab_size)
    reader.keys.fault(key, "expected the " + std::to_string(config.vocab_size) +
                               " rows of token_embd.weight, found " + std::to_string(said) +
                               "; fetch the file again");
}

// Ids outside the model's vocabulary are passed over: they stand for no token.
void read_tokens(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  const auto id = [&](const char* name) -> std::optional<int64_t> {
    const std::string full = std::string("tokenizer.ggml.") + name;
    if (!reader.keys.has(full)) return std::nullopt;
    const int64_t found = reader.keys.integer(full, 0, 0, int64_t{UINT32_MAX});
    return found < config.vocab_size ? std::optional<int64_t>(found) : std::nullopt;
  };
  config.bos_token_id = id("bos_token_id");
  std::vector<int64_t>& ends = config.eos_token_ids;
  for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"})
    if (const auto end = id(name)) ends.push_back(*end);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

}  // namespace

Result<const Architecture*> read_architecture(const GgufFile& file) {
  std::vector<std::string> faults;
  KeyReader keys(file.path(), file.keys(), &faults);
  const std::string name = keys.text("general.architecture", std::nullopt);
  const Architecture* architecture = find_architecture(name);
  if (architecture == nullptr && faults.empty())
    keys.fault("general.architecture", "expected one of " + known_architectures() + ", found " +
                                           printable_name(name) +
                                           "; the engine does not compute this architecture: use "
                                           "a model of one of these");
  if (!faults.empty()) return Error{ErrorCode::kConfig, faults[0], {}};
  return architecture;
}

Result<ModelConfig> read_gguf_config(const GgufParts& parts, const Architecture& architecture) {
  std::vector<std::string> faults;
  KeyReader keys(parts.first().path(), parts.first().keys(), &faults);
  ModelConfig config;
  ConfigReader reader = {parts, architecture, keys, faults, config};
  config.family = architecture.family;
  config.model_type = architecture.model_type;
  read_shape(reader);
  read_gguf_experts(reader);
  config.rms_norm_eps =
      keys.number(reader.key("attention.layer_norm_rms_epsilon"), std::nullopt, 0);
  read_tensors(reader);
  read_gguf_rope(reader);
  read_gguf_family(reader);
  read_tokens(reader);
  keys.refuse_unread(reader.key(""), reader.key("tensor_data_layout"),
                     "the engine does not know whether it changes the result: use a supported "
                     "model");
  if (faults.empty()) return config;
  std::string message = faults[0];
  for (size_t i = 1; i < faults.size(); ++i) message += "\n" + faults[i];
  return Error{ErrorCode::kConfig, message, {}};
}

TensorLayout read_tensor_layout(const GgufFile& file, const Architecture& architecture) {
  std::vector<std::string> faults;
  KeyReader keys(file.path(), file.keys(), &faults);
  const std::string prefix = std::string(architecture.name) + ".";
  const int64_t hidden = keys.integer(prefix + "embedding_length", std::nullopt, 1, kMaxDimension);
  const int64_t heads = keys.integer(prefix + "attention.head_count", std::nullopt, 1, kMaxHeads);
  const TensorLayout layout = {
      keys.integer(prefix + "attention.key_length", hidden / heads, 1, kMaxHeads),
      keys.integer(prefix + "expert_count", 0, 0, kMaxLayerExperts)};
  return faults.empty() ? layout : TensorLayout();
}

}  // namespace dbsa::gguf
