#include "model/sentence/sentence_config.h"

#include <algorithm>
#include <filesystem>

#include "model/config/json_reader.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Keys that leave the encoder's output unchanged.
constexpr std::string_view kUnusedByEncoder[] = {"_attn_implementation_autoset",
                                                 "_commit_hash",
                                                 "_name_or_path",
                                                 "attention_probs_dropout_prob",
                                                 "bos_token_id",
                                                 "chunk_size_feed_forward",
                                                 "classifier_dropout",
                                                 "directionality",
                                                 "dtype",
                                                 "eos_token_id",
                                                 "finetuning_task",
                                                 "gradient_checkpointing",
                                                 "hidden_dropout_prob",
                                                 "id2label",
                                                 "initializer_range",
                                                 "label2id",
                                                 "output_attentions",
                                                 "output_hidden_states",
                                                 "output_past",
                                                 "pad_token_id",
                                                 "pooler_fc_size",
                                                 "pooler_num_attention_heads",
                                                 "pooler_num_fc_layers",
                                                 "pooler_size_per_head",
                                                 "pooler_type",
                                                 "problem_type",
                                                 "return_dict",
                                                 "tie_word_embeddings",
                                                 "torch_dtype",
                                                 "torchscript",
                                                 "transformers_version",
                                                 "use_bfloat16",
                                                 "use_cache"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Runs `read` on the object in a file; its faults become one error.
template <typename Read>
Status read_object(const fs::path& path, const Read& read) {
  const std::string file = path.string();
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_file(file));
  std::string message;
  if (root.is_object()) {
    std::vector<std::string> faults;
    JsonReader reader(root, file, "", &faults);
    read(reader);
    for (const std::string& fault : faults) message += (message.empty() ? "" : "\n") + fault;
  } else {
    message = file + ": expected a JSON object, found " + json_excerpt(root);
  }
  if (message.empty()) return {};
  return Error{ErrorCode::kConfig, message, {}};
}

void read_architectures(JsonReader& reader) {
  const json* value = reader.field("architectures");
  // Those with a head on top hold the same encoder, under the prefix "bert.".
  const json known = {"BertModel", "BertForMaskedLM", "BertForPreTraining"};
  if (value == nullptr) return;
  const bool fits = value->is_array() && value->size() == 1 &&
                    std::find(known.begin(), known.end(), value->front()) != known.end();
  if (!fits) {
    reader.fault("architectures", "expected [\"BertModel\"], found " + json_excerpt(*value) +
                                      "; use a sentence encoder of the BERT family");
  }
}

void read_bert(JsonReader& reader, BertConfig& out) {
  const std::string type = reader.text("model_type", std::nullopt);
  if (type != "bert") {
    if (!type.empty()) {
      reader.fault("model_type", "expected bert, found \"" + type +
                                     "\"; use a sentence encoder of the BERT family");
    }
    return;  // the meaning of the other keys is unknown
  }
  read_architectures(reader);
  const size_t faults_before = reader.faults()->size();
  out.hidden_size = reader.integer("hidden_size", std::nullopt, 1, kMaxDimension);
  out.intermediate_size = reader.integer("intermediate_size", std::nullopt, 1, kMaxDimension);
  out.layers = reader.integer("num_hidden_layers", std::nullopt, 1, 65536);
  out.heads = reader.integer("num_attention_heads", std::nullopt, 1, 65536);
  out.vocab_size = reader.integer("vocab_size", std::nullopt, 1, kMaxDimension);
  out.max_position_embeddings =
      reader.integer("max_position_embeddings", std::nullopt, 2, kMaxDimension);
  out.type_vocab_size = reader.integer("type_vocab_size", 2, 1, kMaxDimension);
  out.layer_norm_eps = reader.number("layer_norm_eps", 1e-12, 0);
  if (reader.faults()->size() == faults_before && out.hidden_size % (2 * out.heads) != 0) {
    reader.fault("hidden_size", "expected an even multiple of num_attention_heads " +
                                    std::to_string(out.heads) + ", found " +
                                    std::to_string(out.hidden_size));
  }
  const std::string variant = "this variant of the model is not supported";
  reader.expect("hidden_act", "gelu", "only the exact GELU is supported");
  reader.expect("position_embedding_type", "absolute", variant);
  reader.expect("is_decoder", false, variant);
  reader.expect("add_cross_attention", false, variant);
  reader.expect("is_encoder_decoder", false, variant);
  reader.expect("pruned_heads", json::object(), variant);
  reader.expect("quantization_config", nullptr,
                "quantised checkpoints are not supported: use the F32, F16 or BF16 one");
  reader.refuse_unread(kUnusedByEncoder,
                       "the engine does not know whether it changes the result: remove it if it "
                       "does not, or use a supported model");
}

void read_pooling(JsonReader& reader, int64_t width) {
  const std::string fix = "only mean pooling is supported";
  reader.expect("word_embedding_dimension", width, "it must be hidden_size of config.json");
  reader.expect("pooling_mode_mean_tokens", true, fix);
  for (const char* other :
       {"pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"})
    reader.expect(other, false, fix);
  constexpr std::string_view kNeutral[] = {"include_prompt"};  // there are no prompts
  reader.refuse_unread(kNeutral, fix);
}

struct Modules {
  std::string transformer, pooling;  // folders
  bool has_pooling = false;          // else there is no modules.json
};

Result<Modules> read_modules(const fs::path& folder) {
  Modules out{folder.string(), "", false};
  const fs::path file = folder / "modules.json";
  if (!is_there(file)) return out;
  DBSA_ASSIGN_OR_RETURN(const json root, read_json_file(file.string()));
  std::string kinds;  // "Transformer, Pooling"
  for (const json& module : root.is_array() ? root : json::array()) {
    if (!module.is_object() || !module.contains("type") || !module["type"].is_string()) break;
    const std::string type = module["type"];
    const std::string kind = type.substr(type.rfind('.') + 1);
    kinds += (kinds.empty() ? "" : ", ") + kind;
    const auto path = module.find("path");
    const std::string sub = path != module.end() && path->is_string() ? *path : json("");
    const fs::path place = sub.empty() ? folder : folder / sub;
    if (kind == "Transformer") out.transformer = place.string();
    if (kind == "Pooling") out.pooling = place.string();
  }
  out.has_pooling = true;
  if (kinds == "Transformer, Pooling, Normalize" || kinds == "Transformer, Pooling") return out;
  return Error{ErrorCode::kConfig,
               file.string() + ": expected the modules Transformer, Pooling and, if any more, " +
                   "Normalize, found " + (kinds.empty() ? json_excerpt(root) : kinds) +
                   "; other modules are not supported",
               {}};
}

// What sentence-transformers takes where sentence_bert_config.json gives no length.
Result<int64_t> default_length(const fs::path& folder, int64_t positions) {
  const fs::path file = folder / "tokenizer_config.json";
  if (!is_there(file)) return positions;
  double most = static_cast<double>(positions);
  DBSA_RETURN_IF_ERROR(read_object(file, [&](JsonReader& reader) {
    most = std::min(most, reader.number("model_max_length", most, 2));
  }));
  return static_cast<int64_t>(most);
}

Status read_length(const fs::path& folder, SentenceConfig& out) {
  const int64_t positions = out.bert.max_position_embeddings;
  DBSA_ASSIGN_OR_RETURN(out.max_seq_length, default_length(folder, positions));
  const fs::path file = folder / "sentence_bert_config.json";
  if (!is_there(file)) return {};
  return read_object(file, [&](JsonReader& reader) {
    out.max_seq_length = reader.integer("max_seq_length", out.max_seq_length, 2, positions);
    out.do_lower_case = reader.boolean("do_lower_case", false);
  });
}

// A default prompt would stand before every text.
Status check_prompt(const fs::path& folder) {
  const fs::path file = folder / "config_sentence_transformers.json";
  if (!is_there(file)) return {};
  return read_object(file, [](JsonReader& reader) {
    reader.expect("default_prompt_name", nullptr, "prompts are not supported");
  });
}

}  // namespace

Result<SentenceConfig> load_sentence_config(const std::string& folder) {
  SentenceConfig out;
  DBSA_ASSIGN_OR_RETURN(const Modules modules, read_modules(folder));
  out.model_folder = modules.transformer;
  const fs::path model = modules.transformer;
  DBSA_RETURN_IF_ERROR(
      read_object(model / "config.json", [&](JsonReader& reader) { read_bert(reader, out.bert); }));
  if (modules.has_pooling) {
    DBSA_RETURN_IF_ERROR(
        read_object(fs::path(modules.pooling) / "config.json",
                    [&](JsonReader& reader) { read_pooling(reader, out.bert.hidden_size); }));
  }
  DBSA_RETURN_IF_ERROR(check_prompt(folder));
  DBSA_RETURN_IF_ERROR(read_length(model, out));
  return out;
}

}  // namespace dbsa
