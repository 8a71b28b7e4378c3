#include "model/config/rope_config.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dbsa {
namespace {

using nlohmann::json;

constexpr int64_t kMostPositions = int64_t{1} << 31;

std::optional<RopeKind> kind_of(JsonReader& scaling, bool longrope) {
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
  // Older files of Phi-3 have other names for it.
  if (longrope && (name == "longrope" || name == "su")) return RopeKind::kLongRope;
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

// Only the first dimensions of a head may be rotated.
void read_rotated_part(JsonReader& reader, const RopeContext& context, RopeParameters& rope) {
  if (!context.partial) {
    reader.expect("partial_rotary_factor", 1.0, "rotating part of a head is not supported");
    return;
  }
  if (reader.field("partial_rotary_factor") == nullptr) return;
  const double share = reader.number("partial_rotary_factor", 1.0, 0);
  const auto rotated = static_cast<int64_t>(static_cast<double>(context.head_dim) * share);
  if (rotated < 2 || rotated > context.head_dim || rotated % 2 != 0) {
    reader.fault("partial_rotary_factor", "expected a share of the head's " +
                                              std::to_string(context.head_dim) +
                                              " dimensions that is even, found " +
                                              std::to_string(rotated) + " dimensions; correct it");
    return;
  }
  rope.head_dim = rotated;
}

// One factor above 0 for each rotated pair.
std::vector<float> read_factors(JsonReader& scaling, const char* key, int64_t pairs) {
  const json* list = scaling.field(key);
  std::vector<float> factors;
  if (list != nullptr && list->is_array())
    for (const json& value : *list)
      if (value.is_number() && value.get<double>() > 0) factors.push_back(value.get<float>());
  if (list != nullptr && list->is_array() && factors.size() == list->size() &&
      static_cast<int64_t>(factors.size()) == pairs)
    return factors;
  scaling.fault(key, "expected a list of " + std::to_string(pairs) +
                         " numbers above 0, one a rotated pair, found " +
                         (list == nullptr ? "none" : json_excerpt(*list)));
  return {};
}

void read_longrope(JsonReader& scaling, const RopeContext& context, RopeParameters& rope) {
  rope.short_factors = read_factors(scaling, "short_factor", rope.head_dim / 2);
  rope.long_factors = read_factors(scaling, "long_factor", rope.head_dim / 2);
  rope.original_max_position_embeddings = scaling.integer(
      "original_max_position_embeddings", context.original_positions, 2, kMostPositions);
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  const double factor = scaling.field("factor") != nullptr
                            ? scaling.number("factor", 1.0, 0)
                            : static_cast<double>(context.max_position_embeddings) / original;
  const double usual = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
  rope.rotation_factor = scaling.field("attention_factor") != nullptr
                             ? scaling.number("attention_factor", 1.0, 0)
                             : usual;
}

// The object of rope_scaling or rope_parameters: kind, base and what belongs to the kind.
void read_kind(JsonReader& scaling, const RopeContext& context, RopeConfig& out) {
  RopeParameters& rope = out.rope;
  const std::optional<RopeKind> kind = kind_of(scaling, context.partial);
  if (!kind) return;
  rope.kind = *kind;
  double extension = 1.0;  // how far positions reach beyond what max_position_embeddings says
  if (rope.kind == RopeKind::kLongRope) {
    read_longrope(scaling, context, rope);
  } else if (rope.kind != RopeKind::kDefault) {
    rope.factor = scaling.number("factor", std::nullopt, 0);
  }
  if (rope.kind == RopeKind::kLinear) {
    // Positions are divided by the factor; the configured maximum is that of the original model,
    // except in Gemma 3.
    scaling.integer("original_max_position_embeddings", 1, 1, kMostPositions);
    if (!context.by_layer_type) extension = rope.factor;
  } else if (rope.kind == RopeKind::kLlama3) {
    rope.low_freq_factor = scaling.number("low_freq_factor", std::nullopt, 0);
    rope.high_freq_factor = scaling.number("high_freq_factor", std::nullopt, 0);
    if (rope.high_freq_factor <= rope.low_freq_factor) {
      scaling.fault("high_freq_factor", "expected more than low_freq_factor");
    }
    rope.original_max_position_embeddings =
        scaling.integer("original_max_position_embeddings", std::nullopt, 1, kMostPositions);
  } else if (rope.kind == RopeKind::kYarn) {
    read_yarn(scaling, context.max_position_embeddings, rope);
    if (rope.original_max_position_embeddings == context.max_position_embeddings)
      extension = rope.factor;
  }
  const double reach =
      static_cast<double>(context.max_position_embeddings) * std::max(extension, 1.0);
  out.max_positions = static_cast<int64_t>(std::min(reach, static_cast<double>(kMostPositions)));
  scaling.refuse_unread({}, "remove it if it does not belong to this kind of RoPE");
}

// The object `form` of `config`, whose base may also stand in config itself.
void read_form(JsonReader& config, const char* name, const json& form, const RopeContext& context,
               RopeConfig& out) {
  if (!form.is_object()) {
    config.fault(name, "expected an object or null, found " + json_excerpt(form));
    return;
  }
  JsonReader scaling(form, config.file(), config.pointer(name), config.faults());
  if (scaling.field("rope_theta") != nullptr) {
    const double theta = scaling.number("rope_theta", context.theta, 1);
    if (config.field("rope_theta") != nullptr && theta != out.rope.theta) {
      scaling.fault("rope_theta", "contradicts /rope_theta; keep the right one");
    }
    out.rope.theta = theta;
  }
  read_rotated_part(scaling, context, out.rope);
  read_kind(scaling, context, out);
}

// Gemma 3: rope_theta, rope_scaling and rope_local_base_freq, or one object for each kind of layer.
void read_by_layer_type(JsonReader& config, const RopeContext& context, RopeConfig& out) {
  RopeConfig local;
  local.rope.head_dim = context.head_dim;
  local.rope.theta = config.number("rope_local_base_freq", 10000.0, 1);
  if (const json* form = config.field("rope_parameters"); form != nullptr && form->is_object()) {
    JsonReader forms(*form, config.file(), config.pointer("rope_parameters"), config.faults());
    if (const json* full = forms.field("full_attention"))
      read_form(forms, "full_attention", *full, context, out);
    if (const json* window = forms.field("sliding_attention"))
      read_form(forms, "sliding_attention", *window, context, local);
    forms.refuse_unread({}, "expected full_attention and sliding_attention");
  } else if (form != nullptr) {
    config.fault("rope_parameters", "expected an object or null, found " + json_excerpt(*form));
  }
  if (const json* form = config.field("rope_scaling"))
    read_form(config, "rope_scaling", *form, context, out);
  out.window_rope = local.rope;
}

}  // namespace

RopeConfig read_rope(JsonReader& config, const RopeContext& context) {
  RopeConfig out;
  out.rope.head_dim = context.head_dim;
  out.rope.theta = config.number("rope_theta", context.theta, 1);
  out.max_positions = context.max_position_embeddings;
  config.expect("rope_interleaved", false, "interleaved rotary pairs are not supported");
  read_rotated_part(config, context, out.rope);
  RopeContext known = context;
  if (context.partial)
    known.original_positions =
        config.integer("original_max_position_embeddings", 4096, 2, kMostPositions);
  if (context.by_layer_type) {
    read_by_layer_type(config, context, out);
    return out;
  }
  const json* old_form = config.field("rope_scaling");
  const json* new_form = config.field("rope_parameters");
  if (old_form != nullptr && new_form != nullptr && *old_form != *new_form) {
    config.fault("rope_scaling", "contradicts rope_parameters; keep one of them");
    return out;
  }
  const json* form = new_form != nullptr ? new_form : old_form;
  if (form != nullptr)
    read_form(config, new_form != nullptr ? "rope_parameters" : "rope_scaling", *form, known, out);
  return out;
}

}  // namespace dbsa
