#include "model/rope_config.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

using nlohmann::json;

constexpr int64_t kMostPositions = int64_t{1} << 31;

std::optional<RopeKind> kind_of(JsonReader& scaling) {
  // Older files write "type". Where both stand they must agree: transformers versions differ in
  // which one wins.
  std::string type = scaling.text("type", "");
  std::string name = scaling.text("rope_type", "");
  if (!type.empty() && !name.empty() && type != name) {
    scaling.fault("rope_type", "\"" + name + "\" contradicts type \"" + type +
                                   "\"; keep the one the model was trained with");
    return std::nullopt;
  }
  if (name.empty()) name = type;
  if (name.empty()) {
    scaling.fault("rope_type", "is missing, expected default, linear, llama3 or yarn");
    return std::nullopt;
  }
  for (RopeKind kind :
       {RopeKind::kDefault, RopeKind::kLinear, RopeKind::kLlama3, RopeKind::kYarn}) {
    if (name == rope_kind_name(kind)) return kind;
  }
  std::string why = "expected default, linear, llama3 or yarn, found \"" + name + "\"";
  if (name == "dynamic" || name == "longrope" || name == "su") {
    why +=
        "; its frequencies depend on the length of the text, so stored KV blocks could not be "
        "reused: use a model with one of the other kinds";
  }
  scaling.fault(scaling.has("rope_type") ? "rope_type" : "type", why);
  return std::nullopt;
}

void read_yarn(JsonReader& scaling, int64_t max_position_embeddings, RopeParameters& rope) {
  rope.beta_fast = scaling.number("beta_fast", 32.0, 0);
  rope.beta_slow = scaling.number("beta_slow", 1.0, 0);
  if (scaling.field("attention_factor") != nullptr) {
    rope.attention_factor = scaling.number("attention_factor", 1.0, 0);
  }
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (const json* value = scaling.field(key)) {
      scaling.fault(key, "unsupported key with value " + json_excerpt(*value) +
                             "; give the magnitude as attention_factor");
    }
  }
  scaling.expect("truncate", true, "only whole-pair boundaries are supported");

  const int64_t original = scaling.integer("original_max_position_embeddings",
                                           max_position_embeddings, 1, kMostPositions);
  rope.original_max_position_embeddings = original;
  const double extended = static_cast<double>(original) * rope.factor;
  // Versions of transformers read other pairs of numbers differently, so they are not guessed at.
  if (original != max_position_embeddings &&
      std::abs(extended - static_cast<double>(max_position_embeddings)) > 1.0) {
    scaling.fault("original_max_position_embeddings",
                  std::to_string(original) + " fits neither max_position_embeddings " +
                      std::to_string(max_position_embeddings) +
                      " nor that divided by factor; correct the one that is wrong");
  }
}

}  // namespace

RopeConfig read_rope(JsonReader& config, int64_t head_dim, int64_t max_position_embeddings) {
  RopeConfig out;
  RopeParameters& rope = out.rope;
  rope.head_dim = head_dim;
  rope.theta = config.number("rope_theta", 10000.0, 1);
  out.max_positions = max_position_embeddings;
  config.expect("rope_interleaved", false, "interleaved rotary pairs are not supported");
  config.expect("partial_rotary_factor", 1.0, "rotating part of a head is not supported");

  const json* old_form = config.field("rope_scaling");
  const json* new_form = config.field("rope_parameters");
  if (old_form != nullptr && new_form != nullptr && *old_form != *new_form) {
    config.fault("rope_scaling", "contradicts rope_parameters; keep one of them");
    return out;
  }
  const json* form = new_form != nullptr ? new_form : old_form;
  const char* form_name = new_form != nullptr ? "rope_parameters" : "rope_scaling";
  if (form == nullptr) return out;
  if (!form->is_object()) {
    config.fault(form_name, "expected an object or null, found " + json_excerpt(*form));
    return out;
  }

  JsonReader scaling(*form, config.file(), config.pointer(form_name), config.faults());
  if (scaling.field("rope_theta") != nullptr) {
    const double theta = scaling.number("rope_theta", 10000.0, 1);
    if (config.field("rope_theta") != nullptr && theta != rope.theta) {
      scaling.fault("rope_theta", "contradicts /rope_theta; keep the right one");
    }
    rope.theta = theta;
  }
  scaling.expect("partial_rotary_factor", 1.0, "rotating part of a head is not supported");
  const std::optional<RopeKind> kind = kind_of(scaling);
  if (!kind) return out;
  rope.kind = *kind;

  double extension = 1.0;  // how far positions reach beyond what max_position_embeddings says
  if (rope.kind != RopeKind::kDefault) rope.factor = scaling.number("factor", std::nullopt, 0);
  if (rope.kind == RopeKind::kLinear) {
    // Positions are divided by the factor; the configured maximum is that of the original model.
    scaling.integer("original_max_position_embeddings", 1, 1, kMostPositions);
    extension = rope.factor;
  } else if (rope.kind == RopeKind::kLlama3) {
    rope.low_freq_factor = scaling.number("low_freq_factor", std::nullopt, 0);
    rope.high_freq_factor = scaling.number("high_freq_factor", std::nullopt, 0);
    if (rope.high_freq_factor <= rope.low_freq_factor) {
      scaling.fault("high_freq_factor", "expected more than low_freq_factor");
    }
    rope.original_max_position_embeddings =
        scaling.integer("original_max_position_embeddings", std::nullopt, 1, kMostPositions);
  } else if (rope.kind == RopeKind::kYarn) {
    read_yarn(scaling, max_position_embeddings, rope);
    if (rope.original_max_position_embeddings == max_position_embeddings) extension = rope.factor;
  }
  const double reach = static_cast<double>(max_position_embeddings) * std::max(extension, 1.0);
  out.max_positions = static_cast<int64_t>(std::min(reach, static_cast<double>(kMostPositions)));
  scaling.refuse_unread({}, "remove it if it does not belong to this kind of RoPE");
  return out;
}

}  // namespace dbsa
