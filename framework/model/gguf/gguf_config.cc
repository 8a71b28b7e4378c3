#include "model/gguf/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "model/gguf/key_reader.h"
#include "model/json_reader.h"

namespace dbsa::gguf {
namespace {

constexpr int64_t kMaxHeads = 65536;
constexpr const char* kRopeFactors = "rope_freqs.weight";

// Keys of one architecture: "llama.block_count" for "block_count".
class ConfigReader {
 public:
  ConfigReader(const GgufParts& parts, const Architecture& architecture)
      : parts_(parts),
        architecture_(architecture),
        keys_(parts.first().path(), parts.first().keys(), &faults_),
        prefix_(std::string(architecture.name) + ".") {}

  Result<ModelConfig> read() {
    config_.family = architecture_.family;
    config_.model_type = architecture_.model_type;
    read_shape();
    config_.rms_norm_eps = keys_.number(key("attention.layer_norm_rms_epsilon"), std::nullopt, 0);
    read_tensors();
    read_rope();
    if (keys_.has(key("attention.sliding_window")))
      if (const int64_t window =
              keys_.integer(key("attention.sliding_window"), 0, 0, kMaxDimension);
          window > 0)
        config_.sliding_window = window;
    read_tokens();
    if (keys_.integer(key("expert_count"), 0, 0, kMaxDimension) > 0)
      keys_.fault(key("expert_count"),
                  "expected a model without experts, found one with them; use a dense model");
    keys_.integer(key("expert_used_count"), 0, 0, kMaxDimension);
    keys_.refuse_unread(prefix_, prefix_ + "tensor_data_layout",
                        "the engine does not know whether it changes the result: use a supported "
                        "model");
    if (faults_.empty()) return config_;
    std::string message = faults_[0];
    for (size_t i = 1; i < faults_.size(); ++i) message += "\n" + faults_[i];
    return Error{ErrorCode::kConfig, message, {}};
  }

 private:
  std::string key(const char* name) const { return prefix_ + name; }

  void read_shape() {
    const size_t before = faults_.size();
    config_.hidden_size = keys_.integer(key("embedding_length"), std::nullopt, 1, kMaxDimension);
    config_.intermediate_size =
        keys_.integer(key("feed_forward_length"), std::nullopt, 1, kMaxDimension);
    config_.layers = keys_.integer(key("block_count"), std::nullopt, 1, 65536);
    config_.heads = keys_.integer(key("attention.head_count"), std::nullopt, 1, kMaxHeads);
    config_.kv_heads = keys_.integer(key("attention.head_count_kv"), config_.heads, 1, kMaxHeads);
    config_.head_dim = keys_.integer(key("attention.key_length"),
                                     config_.hidden_size / config_.heads, 1, kMaxHeads);
    const int64_t values =
        keys_.integer(key("attention.value_length"), config_.head_dim, 1, kMaxHeads);
    const int64_t rotated =
        keys_.integer(key("rope.dimension_count"), config_.head_dim, 1, kMaxHeads);
    config_.max_position_embeddings =
        keys_.integer(key("context_length"), std::nullopt, 1, kMaxDimension);
    config_.max_positions = config_.max_position_embeddings;
    if (faults_.size() != before) return;  // the rest would follow from those
    if (config_.heads % config_.kv_heads != 0)
      keys_.fault(key("attention.head_count_kv"),
                  "expected a divisor of the " + std::to_string(config_.heads) + " heads, found " +
                      std::to_string(config_.kv_heads));
    if (config_.head_dim % 2 != 0 || config_.head_dim == 0)
      keys_.fault(key("attention.key_length"),
                  "expected an even number for rotary embedding, found " +
                      std::to_string(config_.head_dim));
    expect_head_dim("attention.value_length", values, "values as wide as keys");
    expect_head_dim("rope.dimension_count", rotated, "rotation of whole heads");
  }

  void expect_head_dim(const char* name, int64_t found, const char* what) {
    if (found != config_.head_dim)
      keys_.fault(key(name), std::string("expected ") + what + ", " +
                                 std::to_string(config_.head_dim) + ", found " +
                                 std::to_string(found) + "; use a model that has them");
  }

  // What only the tensors say.
  void read_tensors() {
    const auto has = [&](const char* name) { return parts_.contains(name); };
    config_.tie_word_embeddings = !has("output.weight");
    config_.qkv_bias = architecture_.qkv_bias || has("blk.0.attn_q.bias");
    config_.output_bias = has("blk.0.attn_output.bias");
    config_.mlp_bias = has("blk.0.ffn_gate.bias");
    const GgufFile* file = parts_.file_of("token_embd.weight");
    const TensorEntry* table = file == nullptr ? nullptr : file->find("token_embd.weight");
    if (table == nullptr) {
      faults_.push_back(parts_.first().path() +
                        ": tensor 'token_embd.weight' is missing; fetch the file again");
      return;
    }
    config_.vocab_size = table->shape.front();
    const int64_t said = keys_.integer(key("vocab_size"), config_.vocab_size, 1, kMaxDimension);
    if (said != config_.vocab_size)
      keys_.fault(key("vocab_size"), "expected the " + std::to_string(config_.vocab_size) +
                                         " rows of token_embd.weight, found " +
                                         std::to_string(said) + "; fetch the file again");
  }

  void read_rope() {
    RopeParameters& rope = config_.rope;
    rope.head_dim = config_.head_dim;
    rope.theta = keys_.number(key("rope.freq_base"), 10000.0, 1);
    (void)keys_.boolean(key("rope.scaling.finetuned"));
    const std::string type = keys_.text(key("rope.scaling.type"), "none");
    if (type == "linear") {
      rope.kind = RopeKind::kLinear;
      rope.factor = keys_.number(key("rope.scaling.factor"), std::nullopt, 0);
      extend_positions(rope.factor);
    } else if (type == "yarn") {
      rope.kind = RopeKind::kYarn;
      rope.factor = keys_.number(key("rope.scaling.factor"), std::nullopt, 0);
      rope.original_max_position_embeddings = keys_.integer(
          key("rope.scaling.original_context_length"), std::nullopt, 1, kMaxDimension);
      if (rope.original_max_position_embeddings == config_.max_position_embeddings)
        extend_positions(rope.factor);
    } else if (type != "none") {
      keys_.fault(key("rope.scaling.type"), "expected none, linear or yarn, found " +
                                                printable_name(type) +
                                                "; use a model with one of these");
    }
    read_rope_factors();
  }

  void extend_positions(double factor) {
    const double reach =
        static_cast<double>(config_.max_position_embeddings) * std::max(factor, 1.0);
    config_.max_positions =
        static_cast<int64_t>(std::min(reach, static_cast<double>(kMaxDimension)));
  }

  // Llama 3's scaling is a tensor: inverse frequency j is divided by its element j.
  void read_rope_factors() {
    const GgufFile* file = parts_.file_of(kRopeFactors);
    if (file == nullptr) return;
    const TensorEntry& entry = *file->find(kRopeFactors);
    const auto fault = [&](const std::string& what) {
      faults_.push_back(file->path() + ": tensor '" + kRopeFactors + "': " + what +
                        "; fetch the file again");
    };
    const std::vector<int64_t> shape = {config_.head_dim / 2};
    if (entry.dtype != TensorDtype::kF32 || entry.shape != shape) {
      fault("expected F32 " + shape_text(shape) + ", found " + entry.dtype_name + " " +
            shape_text(entry.shape));
      return;
    }
    std::vector<float>& divisors = config_.rope.divisors;
    divisors.resize(static_cast<size_t>(shape[0]));
    std::memcpy(divisors.data(), file->bytes(entry).data(), entry.bytes);
    for (const float divisor : divisors)
      if (!std::isfinite(divisor) || divisor <= 0) {
        fault("expected numbers above 0, found " + std::to_string(divisor));
        return;
      }
  }

  // Ids outside the model's vocabulary are passed over: they stand for no token.
  void read_tokens() {
    const auto id = [&](const char* name) -> std::optional<int64_t> {
      const std::string full = std::string("tokenizer.ggml.") + name;
      if (!keys_.has(full)) return std::nullopt;
      const int64_t found = keys_.integer(full, 0, 0, int64_t{UINT32_MAX});
      return found < config_.vocab_size ? std::optional<int64_t>(found) : std::nullopt;
    };
    config_.bos_token_id = id("bos_token_id");
    std::vector<int64_t>& ends = config_.eos_token_ids;
    for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"})
      if (const auto end = id(name)) ends.push_back(*end);
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  }

  const GgufParts& parts_;
  const Architecture& architecture_;
  std::vector<std::string> faults_;
  KeyReader keys_;
  std::string prefix_;
  ModelConfig config_;
};

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
  return ConfigReader(parts, architecture).read();
}

int64_t head_dim_of(const GgufFile& file, const Architecture& architecture) {
  std::vector<std::string> faults;
  KeyReader keys(file.path(), file.keys(), &faults);
  const std::string prefix = std::string(architecture.name) + ".";
  const int64_t hidden = keys.integer(prefix + "embedding_length", std::nullopt, 1, kMaxDimension);
  const int64_t heads = keys.integer(prefix + "attention.head_count", std::nullopt, 1, kMaxHeads);
  const int64_t head_dim =
      keys.integer(prefix + "attention.key_length", hidden / heads, 1, kMaxHeads);
  return faults.empty() ? head_dim : 0;
}

}  // namespace dbsa::gguf
