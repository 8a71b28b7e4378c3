#include "model/config/model_config.h"

#include <algorithm>
#include <filesystem>

#include "model/config/family_config.h"
#include "model/config/generation_config.h"
#include "model/config/json_reader.h"
#include "model/config/rope_config.h"

namespace dbsa {
namespace {

using nlohmann::json;

// Keys that leave the logits unchanged: bookkeeping, training, and defaults of text generation.
constexpr std::string_view kUnusedByDecoder[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "cache_implementation",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "full_attn_mod",  // 1 in every published file
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "interpolate_factor",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "max_window_layers",  // of families that have no use for it
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "router_jitter_noise",  // of training
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
};

const FamilyConfig* read_family(JsonReader& reader, std::string* model_type) {
  *model_type = reader.text("model_type", std::nullopt);
  const FamilyConfig* family = find_family(*model_type);
  if (family == nullptr && !model_type->empty()) reader.fault("model_type", refusal(*model_type));
  return family;
}

void read_shape(JsonReader& reader, const FamilyConfig& family, ModelConfig& config) {
  const size_t faults_before = reader.faults()->size();
  config.hidden_size = reader.integer("hidden_size", std::nullopt, 1, kMaxDimension);
  config.intermediate_size = reader.integer("intermediate_size", std::nullopt, 1, kMaxDimension);
  config.layers = reader.integer("num_hidden_layers", std::nullopt, 1, 65536);
  // The text part of Gemma 3's larger models leaves out what is the class's own.
  const bool gemma3 = config.family == ModelFamily::kGemma3;
  using Size = std::optional<int64_t>;
  config.heads = reader.integer("num_attention_heads", gemma3 ? Size(8) : Size(), 1, 65536);
  config.vocab_size =
      reader.integer("vocab_size", gemma3 ? Size(262208) : Size(), 1, kMaxDimension);

  // An absent key and an explicit null are told apart by transformers here.
  const int64_t kv_heads =
      family.kv_heads > 0 && !reader.has("num_key_value_heads") ? family.kv_heads : config.heads;
  config.kv_heads = reader.integer("num_key_value_heads", kv_heads, 1, 65536);
  const bool usual = family.head_dim > 0 && !reader.has("head_dim");
  const bool given = reader.field("head_dim") != nullptr || usual;
  config.head_dim = reader.integer(
      "head_dim", usual ? family.head_dim : config.hidden_size / config.heads, 1, 65536);
  if (reader.faults()->size() != faults_before) return;  // the rest would follow from those

  if (config.heads % config.kv_heads != 0) {
    reader.fault("num_key_value_heads", "expected a divisor of num_attention_heads " +
                                            std::to_string(config.heads) + ", found " +
                                            std::to_string(config.kv_heads));
  }
  if (!given && config.hidden_size % config.heads != 0) {
    reader.fault("hidden_size", "expected a multiple of num_attention_heads " +
                                    std::to_string(config.heads) + ", found " +
                                    std::to_string(config.hidden_size) + "; or give head_dim");
  } else if (config.head_dim % 2 != 0 || config.head_dim == 0) {
    reader.fault("head_dim", "expected an even number for rotary embedding, found " +
                                 std::to_string(config.head_dim));
  } else if ((config.family == ModelFamily::kQwen2 || config.family == ModelFamily::kPhi3) &&
             config.head_dim * config.heads != config.hidden_size) {
    // transformers takes hidden_size / heads, no matter what head_dim says.
    reader.fault("head_dim", "expected hidden_size / num_attention_heads, found " +
                                 std::to_string(config.head_dim));
  }
}

void read_biases(JsonReader& reader, ModelConfig& config) {
  const std::string fix = "models of type " + config.model_type + " do not have this bias";
  switch (config.family) {
    case ModelFamily::kLlama:
    case ModelFamily::kSmolLm3:
    case ModelFamily::kGranite:
      config.qkv_bias = config.output_bias = reader.boolean("attention_bias", false);
      config.mlp_bias = reader.boolean("mlp_bias", false);
      return;
    case ModelFamily::kQwen3:
    case ModelFamily::kQwen3Moe:
    case ModelFamily::kGemma2:
    case ModelFamily::kGemma3:
    case ModelFamily::kOlmo2:
      config.qkv_bias = config.output_bias = reader.boolean("attention_bias", false);
      break;
    default:
      config.qkv_bias = config.family == ModelFamily::kQwen2;
      reader.expect("attention_bias", config.qkv_bias, fix);
  }
  reader.expect("mlp_bias", false, fix);
}

// A default outside a small vocabulary stands for no token.
std::optional<int64_t> known_token(std::optional<int64_t> id, int64_t vocabulary) {
  return id && *id < vocabulary ? id : std::nullopt;
}

void read_tokens(JsonReader& reader, const FamilyConfig& family, ModelConfig& config) {
  if (reader.field("bos_token_id") != nullptr) {
    config.bos_token_id = reader.integer("bos_token_id", 0, 0, config.vocab_size - 1);
  } else if (!reader.has("bos_token_id")) {
    config.bos_token_id = known_token(family.begin, config.vocab_size);
  }
  const json* eos = reader.field("eos_token_id");
  if (eos == nullptr) {
    const auto end = known_token(family.end, config.vocab_size);
    if (end && !reader.has("eos_token_id")) config.eos_token_ids = {*end};
    return;
  }
  if (!eos->is_array()) {
    config.eos_token_ids = {reader.integer("eos_token_id", 0, 0, config.vocab_size - 1)};
    return;
  }
  for (const json& id : *eos) {
    if (!id.is_number_integer() || id < 0 || id >= config.vocab_size) {
      reader.fault("eos_token_id", "expected token ids from 0 to " +
                                       std::to_string(config.vocab_size - 1) + ", found " +
                                       json_excerpt(id));
      return;
    }
    config.eos_token_ids.push_back(id.get<int64_t>());
  }
}

// Keys with one value under which the logits are those of a plain model.
void read_fixed(JsonReader& reader) {
  const std::string structure = "this variant of the model is not supported";
  reader.expect("pretraining_tp", 1, "set it to 1: the sums are the same");
  reader.expect("is_encoder_decoder", false, structure);
  reader.expect("add_cross_attention", false, structure);
  reader.expect("cross_attention_hidden_size", nullptr, structure);
  reader.expect("tie_encoder_decoder", false, structure);
  reader.expect("pruned_heads", json::object(), structure);
  reader.expect("use_mrope", false, structure);
  reader.expect("quantization_config", nullptr,
                "quantised checkpoints are not supported: use the F32, F16 or BF16 one");
}

// The text part of a model that reads images, too, with what the whole says for it.
json text_part(const json& root) {
  json text = root["text_config"];
  if (!text.contains("model_type")) text["model_type"] = "gemma3_text";
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "quantization_config",
                          "tie_word_embeddings", "torch_dtype"})
    if (root.contains(key)) text[key] = root[key];
  return text;
}

Result<ModelConfig> read_config(const std::string& file, const json& root) {
  if (!root.is_object()) {
    return Error{
        ErrorCode::kConfig, file + ": expected a JSON object, found " + json_excerpt(root), {}};
  }
  std::vector<std::string> faults;
  const bool with_images = root.value("model_type", json()) == "gemma3" &&
                           root.contains("text_config") && root["text_config"].is_object();
  const json text = with_images ? text_part(root) : json();
  JsonReader reader(with_images ? text : root, file, with_images ? "/text_config" : "", &faults);
  ModelConfig config;
  const FamilyConfig* family = read_family(reader, &config.model_type);
  // Without a family the meaning of the other keys is unknown.
  if (family != nullptr) {
    config.family = family->family;
    read_shape(reader, *family, config);
    config.rms_norm_eps = reader.number("rms_norm_eps", family->epsilon, 0);
    config.tie_word_embeddings = reader.boolean("tie_word_embeddings", family->tied);
    read_biases(reader, config);
    config.max_position_embeddings =
        reader.integer("max_position_embeddings", family->positions, 1, kMaxDimension);
    const RopeConfig rope =
        read_rope(reader, {.head_dim = config.head_dim,
                           .max_position_embeddings = config.max_position_embeddings,
                           .theta = family->theta,
                           .partial = config.family == ModelFamily::kPhi3,
                           .by_layer_type = config.family == ModelFamily::kGemma3});
    config.rope = rope.rope;
    config.window_rope = rope.window_rope;
    config.max_positions = rope.max_positions;
    limit_positions(config, 0);
    read_windows(reader, config);
    read_experts(reader, config);
    read_tokens(reader, *family, config);
    config.torch_dtype = reader.text("torch_dtype", "");
    read_fixed(reader);
    read_family_keys(reader, config);
    reader.refuse_unread(kUnusedByDecoder,
                         "the engine does not know whether it changes the result: remove it if it "
                         "does not, or use a supported model");
  }
  if (faults.empty()) return config;
  std::string message = faults[0];
  for (size_t i = 1; i < faults.size(); ++i) message += "\n" + faults[i];
  return Error{ErrorCode::kConfig, message, {}};
}

}  // namespace

void limit_positions(ModelConfig& config, int64_t positions) {
  if (positions > 0) config.max_positions = std::min(config.max_positions, positions);
  RopeParameters& rope = config.rope;
  if (rope.kind == RopeKind::kLongRope)
    rope.divisors = config.max_positions > rope.original_max_position_embeddings
                        ? rope.long_factors
                        : rope.short_factors;
}

Result<ModelConfig> load_model_config(const std::string& folder) {
  const std::string file = (std::filesystem::path(folder) / "config.json").string();
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_file(file));
  DBSA_ASSIGN_OR_RETURN(ModelConfig config, read_config(file, root));
  DBSA_RETURN_IF_ERROR(read_generation_config(folder, config));
  return config;
}

Result<ModelConfig> parse_model_config(const std::string& file, const std::string& text) {
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_text(file, text));
  return read_config(file, root);
}

}  // namespace dbsa
