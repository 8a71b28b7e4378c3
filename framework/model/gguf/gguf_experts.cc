#include "model/gguf/gguf_experts.h"

#include <optional>
#include <string>

#include "model/config/json_reader.h"

namespace dbsa::gguf {
namespace {

// Keys of other models' experts, up to the number with which they change nothing.
constexpr struct {
  const char* key;
  int64_t most;
  const char* what;
} kOtherExperts[] = {
    {"expert_shared_count", 0, "experts that every token gets"},
    {"expert_shared_feed_forward_length", 0, "experts that every token gets"},
    {"expert_group_count", 1, "experts in groups"},
    {"expert_gating_func", 1, "gates other than softmax, 1,"},
    {"leading_dense_block_count", 0, "first layers without experts"},
};

void refuse_other_experts(ConfigReader& reader) {
  KeyReader& keys = reader.keys;
  const auto refuse = [&](const std::string& key, const std::string& expected,
                          const std::string& found, const std::string& what) {
    keys.fault(key, "expected " + expected + ", found " + found + ": " + what +
                        " are not computed for this architecture; use a Mixtral or Qwen3-MoE "
                        "model without them");
  };
  for (const auto& other : kOtherExperts) {
    const std::string key = reader.key(other.key);
    const int64_t found = keys.integer(key, 0, 0, kMaxDimension);
    if (found > other.most)
      refuse(key, other.most == 0 ? "0" : "0 or 1", std::to_string(found), other.what);
  }
  const std::string scale = reader.key("expert_weights_scale"),
                    divided = reader.key("expert_weights_norm");
  if (const double found = keys.number(scale, 1, 0); found != 1)
    refuse(scale, "1", std::to_string(found), "scaled shares of experts");
  if (!keys.boolean(divided).value_or(true))
    refuse(divided, "true", "false", "shares of experts that are not divided by their sum");
  keys.field(reader.key("expert_group_used_count"));  // of one group
}

}  // namespace

void read_gguf_experts(ConfigReader& reader) {
  KeyReader& keys = reader.keys;
  ModelConfig& config = reader.config;
  ExpertConfig experts;
  const bool qwen = config.family == ModelFamily::kQwen3Moe;
  const std::string count = reader.key("expert_count"), used = reader.key("expert_used_count");
  using Absent = std::optional<int64_t>;
  const size_t faults = reader.faults.size();
  experts.count = keys.integer(count, qwen ? Absent() : Absent(0), qwen ? 1 : 0, kMaxLayerExperts);
  const bool sound = reader.faults.size() == faults;
  if (experts.count == 0) {  // dense files may say so
    keys.integer(used, 0, 0, kMaxDimension);
    return;
  }
  if (!qwen && config.family != ModelFamily::kLlama) {
    keys.field(used);
    return keys.fault(count,
                      "expected a model without experts, found one with them; use a dense model, "
                      "Mixtral or Qwen3-MoE");
  }
  experts.used = keys.integer(used, std::nullopt, 1, sound ? experts.count : kMaxLayerExperts);
  experts.intermediate_size =
      keys.integer(reader.key("expert_feed_forward_length"),
                   qwen ? Absent() : Absent(config.intermediate_size), 1, kMaxDimension);
  experts.normalised = true;
  refuse_other_experts(reader);
  if (reader.faults.size() != faults) return;
  if (experts.count > kMaxExperts / config.layers)
    return keys.fault(count, "expected at most " + std::to_string(kMaxExperts) +
                                 " experts in all layers, found " + std::to_string(experts.count) +
                                 " in each of " + std::to_string(config.layers) +
                                 "; use a smaller model");
  config.experts = experts;
  if (qwen) return;
  config.family = ModelFamily::kMixtral;
  config.model_type = "mixtral";
}

}  // namespace dbsa::gguf
