#include "pipeline/settings/settings.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "config/schema_check.h"
#include "icl/dataset.h"
#include "icl/example_check.h"
#include "icl/field_names.h"

namespace dbsa {
namespace {

ModelSettings read_model(const nlohmann::json& table) {
  return {table.at("path"),           table.at("dtype"),         table.at("kv_dtype"),
          table.at("chunk_tokens"),   table.at("batch_size"),    table.at("kv_error_queries"),
          table.at("packed_weights"), table.at("max_positions"), table.at("block_cache_bytes")};
}

Result<DataSettings> read_data(const nlohmann::json& table, const TextFields& text) {
  DBSA_ASSIGN_OR_RETURN(
      LabelNames names,
      LabelNames::make(table.at("label_names").get<std::map<std::string, std::string>>()));
  const std::string delimiter = table.at("delimiter");
  const std::string truncate = table.at("truncate");
  return DataSettings{table.at("demonstrations"),
                      table.value("queries", ""),
                      table.value("query_indices", ""),
                      table.value("labels", ""),
                      text,
                      table.at("label_field"),
                      table.at("demonstration_count"),
                      table.at("held_out"),
                      table.at("query_count"),
                      table.at("seed"),
                      delimiter == "auto" ? '\0' : delimiter.front(),
                      table.at("on_error") == "fail" ? OnError::kFail : OnError::kReport,
                      truncate == "left"    ? Truncate::kLeft
                      : truncate == "right" ? Truncate::kRight
                                            : Truncate::kNone,
                      std::move(names)};
}

PromptSettings read_prompt(const nlohmann::json& table) {
  return {table.at("input_prefix"),
          "\n",
          table.at("output_prefix"),
          table.at("chat").get<bool>() ? "" : table.at("separator").get<std::string>(),
          table.at("anchor") == "prefix" ? PromptHead::kPrefix : PromptHead::kFirstBlocks,
          table.at("bos"),
          table.at("instruction"),
          table.at("head").get<std::string>(),
          table.at("tail"),
          table.at("chat"),
          table.at("system")};
}

Error prompt_fault(const std::string& key, const std::string& what) {
  return {ErrorCode::kConfig, "prompt." + key + ": " + what, "/prompt/" + key};
}

bool is_default(const nlohmann::json& prompt, const std::string& key) {
  return prompt.at(key) == pipeline_schema().at(nlohmann::json::json_pointer(
                               "/properties/prompt/properties/" + key + "/default"));
}

// Takes prompt.demonstration apart, where it is given. text: set to its fields.
Status read_template(const nlohmann::json& resolved, PromptSettings& prompt, TextFields& text) {
  const nlohmann::json& table = resolved.at("prompt");
  const std::string written = table.at("demonstration");
  if (written.empty()) return {};
  for (const char* key : {"input_prefix", "output_prefix"})
    if (!is_default(table, key))
      return prompt_fault(key,
                          "prompt.demonstration says what stands before texts and labels, got " +
                              table.at(key).dump() + ", too; leave one of them out");
  DBSA_ASSIGN_OR_RETURN(DemonstrationTemplate parts,
                        parse_demonstration_template(
                            written, resolved.at("data").at("label_field").get<std::string>()));
  if (!prompt.chat && is_blank(parts.lead))
    return prompt_fault("demonstration",
                        "expected text between the last field and {label} that announces the "
                        "label, found " +
                            quote_for_message(parts.lead) + "; write e.g. \"\\nAnswer: {label}\"");
  prompt.input_prefix = std::move(parts.before);
  prompt.label_break = "";
  prompt.output_prefix = std::move(parts.lead);
  prompt.separator = parts.after + prompt.separator;
  text = std::move(parts.text);
  return {};
}

// What the model's chat template decides is in no other key.
Status check_chat(const nlohmann::json& table) {
  if (!table.at("chat").get<bool>()) {
    if (is_default(table, "system")) return {};
    return prompt_fault("system",
                        "is text for the model's chat template, which prompt.chat = true uses; "
                        "write prompt.instruction without it");
  }
  for (const char* key : {"separator", "bos", "instruction", "head", "tail"})
    if (!is_default(table, key))
      return prompt_fault(
          key,
          "the model's chat template (prompt.chat = true) decides this; leave "
          "it out" +
              std::string(key == std::string("instruction") ? ", or write prompt.system" : ""));
  return {};
}

Result<SelectionRule> read_selection(const nlohmann::json& table) {
  SelectionRule rule;
  if (table.contains("count"))
    rule.count = table.at("count").get<int64_t>();
  else
    rule.ratio = table.at("ratio").get<double>();
  DBSA_ASSIGN_OR_RETURN(rule.order, parse_block_order(table.at("order").get<std::string>()));
  DBSA_ASSIGN_OR_RETURN(rule.positions, parse_positions(table.at("positions").get<std::string>()));
  return rule;
}

RetrieverSettings read_retriever(const nlohmann::json& table) {
  const std::string score = table.at("block_score");
  return {table.at("text") == "demonstration", table.at("unit") == "demonstration",
          score == "max"    ? BlockScore::kMax
          : score == "mean" ? BlockScore::kMean
                            : BlockScore::kSum};
}

Result<EmbeddingSettings> read_embedding(const nlohmann::json& table) {
  const std::string method = table.at("method");
  EmbeddingSettings embedding = {method == "none"         ? EmbeddingMethod::kNone
                                 : method == "llm_hidden" ? EmbeddingMethod::kLlmHidden
                                                          : EmbeddingMethod::kSentenceTransformer,
                                 table.at("path"), table.at("layer")};
  if (embedding.method == EmbeddingMethod::kSentenceTransformer && embedding.path.empty())
    return Error{ErrorCode::kConfig,
                 "embedding.path: method = \"sentence_transformer\" needs the folder of an encoder "
                 "of the BERT family, as Hugging Face publishes them",
                 "/embedding/path"};
  return embedding;
}

constexpr std::pair<const char*, DecodingMethod> kDecodingMethods[] = {
    {"trie", DecodingMethod::kTrie},
    {"greedy_trie", DecodingMethod::kGreedyTrie},
    {"likelihood", DecodingMethod::kLikelihood},
    {"free", DecodingMethod::kFree},
    {"vote", DecodingMethod::kVote}};

DecodingMethod decoding_method(const std::string& name) {  // one that the schema allows
  return std::ranges::find(kDecodingMethods, name,
                           [](const auto& one) { return std::string_view(one.first); })
      ->second;
}

LabelScorer label_scorer(const std::string& name) {
  return name == "sum"          ? LabelScorer::kSum
         : name == "per_token"  ? LabelScorer::kPerToken
         : name == "per_byte"   ? LabelScorer::kPerByte
         : name == "pmi"        ? LabelScorer::kPmi
         : name == "contextual" ? LabelScorer::kContextual
                                : LabelScorer::kBatch;
}

DecodingSettings read_decoding(const nlohmann::json& table) {
  return {
      decoding_method(table.at("method")), table.at("max_tokens"),     table.at("stop"),
      label_scorer(table.at("scorer")),    table.at("content_free"),   table.at("temperature"),
      table.at("fit_temperature"),         table.at("fit_confidence"), table.at("abstain_below")};
}

// One column cannot be both the question and its answer.
Status check_fields(const DataSettings& data) {
  if (!data.text.is_single() ||
      field_key(data.text.parts().front().field) != field_key(data.label_field))
    return {};
  return Error{ErrorCode::kConfig,
               "data.label_field: must differ from data.text_field, got " +
                   quote_for_message(data.label_field) + " for both; name the column of labels",
               "/data/label_field"};
}

Status check_recompute(const Settings& settings) {
  if (!settings.recompute || settings.selection.positions == Positions::kContiguous) return {};
  return Error{ErrorCode::kConfig,
               "selection.recompute: chosen blocks that are computed again stand end to end; write "
               "positions = \"contiguous\"",
               "/selection/recompute"};
}

Status check_vote(const Settings& settings) {
  if (settings.decoding.method != DecodingMethod::kVote || !is_zero_shot(settings.selection))
    return {};
  return Error{ErrorCode::kConfig,
               "decoding.method: a vote needs demonstrations; raise selection.count",
               "/decoding/method"};
}

Error decoding_fault(const std::string& key, const std::string& what) {
  return {ErrorCode::kConfig, "decoding." + key + ": " + what, "/decoding/" + key};
}

// Only likelihood has a score of every label to work on.
Status check_scorer(const Settings& settings, const nlohmann::json& table) {
  const DecodingSettings& decoding = settings.decoding;
  if (decoding.scorer == LabelScorer::kSum) return {};
  const std::string name = quote_for_message(table.at("scorer").get<std::string>());
  if (decoding.method != DecodingMethod::kLikelihood)
    return decoding_fault("scorer", name + " needs the likelihood of every label, which method = " +
                                        table.at("method").dump() +
                                        " does not have; write method = \"likelihood\", or leave "
                                        "scorer out");
  if (decoding.scorer == LabelScorer::kContextual && decoding.content_free.empty())
    return decoding_fault(
        "content_free",
        "scorer = \"contextual\" needs at least one text, got none; leave the key "
        "out for \"\", \"N/A\" and \"[MASK]\"");
  if (decoding.scorer == LabelScorer::kBatch && settings.data.held_out == 0)
    return decoding_fault("scorer",
                          name +
                              " divides by the mean over held-out demonstrations, and none are "
                              "held out; write e.g. data.held_out = 100");
  return {};
}

Status check_held_out(const Settings& settings, const std::string& key) {
  if (settings.data.held_out > 0) return {};
  return decoding_fault(key,
                        "is fitted on held-out demonstrations, and none are held out; write e.g. "
                        "data.held_out = 100");
}

bool knows_all_labels(DecodingMethod method) {
  return method == DecodingMethod::kTrie || method == DecodingMethod::kLikelihood;
}

Status check_temperature(const Settings& settings, const nlohmann::json& table) {
  const DecodingSettings& decoding = settings.decoding;
  const std::string key = decoding.fit_temperature ? "fit_temperature" : "temperature";
  if (!decoding.fit_temperature && decoding.temperature == 1) return {};
  if (!knows_all_labels(decoding.method))
    return decoding_fault(key, "method = " + table.at("method").dump() +
                                   " has no temperature; write method = \"trie\" or "
                                   "\"likelihood\", or leave " +
                                   key + " out");
  if (!decoding.fit_temperature) return {};
  if (decoding.temperature != 1)
    return decoding_fault("fit_temperature",
                          "decoding.temperature = " + table.at("temperature").dump() +
                              " is given, too; leave one of them out");
  return check_held_out(settings, "fit_temperature");
}

Status check_fitted_confidence(const Settings& settings, const nlohmann::json& table) {
  const DecodingSettings& decoding = settings.decoding;
  if (!decoding.fit_confidence) return {};
  if (!knows_all_labels(decoding.method))
    return decoding_fault("fit_confidence",
                          "method = " + table.at("method").dump() +
                              " has no probabilities of all labels; write method = "
                              "\"trie\" or \"likelihood\", or leave "
                              "fit_confidence out");
  return check_held_out(settings, "fit_confidence");
}

Status check_abstention(const Settings& settings) {
  if (settings.decoding.abstain_below == 0 || settings.decoding.method != DecodingMethod::kFree)
    return {};
  return decoding_fault(
      "abstain_below",
      "with method = \"free\" the probability is that of one wording of an answer "
      "among all texts; write another method, or leave abstain_below out");
}

}  // namespace

const char* method_name(DecodingMethod method) {
  return std::ranges::find(kDecodingMethods, method, [](const auto& one) { return one.second; })
      ->first;
}

bool is_zero_shot(const SelectionRule& rule) { return rule.count == 0; }

bool uses_stored_kv(const Settings& settings) {
  return !settings.recompute && settings.decoding.method != DecodingMethod::kVote;
}

bool needs_calibration(const Settings& settings) {
  const DecodingSettings& decoding = settings.decoding;
  return decoding.fit_temperature || decoding.fit_confidence ||
         decoding.scorer == LabelScorer::kBatch;
}

std::vector<std::string> reference_texts(const Settings& settings) {
  const DecodingSettings& decoding = settings.decoding;
  std::vector<std::string> values, texts;
  if (decoding.scorer == LabelScorer::kPmi) values = {""};
  if (decoding.scorer == LabelScorer::kContextual) values = decoding.content_free;
  for (const std::string& value : values) texts.push_back(settings.data.text.write_all(value));
  return texts;
}

Result<Settings> read_settings(const nlohmann::json& resolved) {
  try {
    Settings settings;
    settings.model = read_model(resolved.at("model"));
    settings.prompt = read_prompt(resolved.at("prompt"));
    DBSA_RETURN_IF_ERROR(check_chat(resolved.at("prompt")));
    TextFields text(resolved.at("data").at("text_field").get<std::string>());
    DBSA_RETURN_IF_ERROR(read_template(resolved, settings.prompt, text));
    DBSA_ASSIGN_OR_RETURN(settings.data, read_data(resolved.at("data"), text));
    const nlohmann::json& grouper = resolved.at("block_grouper");
    settings.grouper = {grouper.at("block_size"), grouper.at("seed"),
                        grouper.at("edits") == "append" ? Edits::kAppend : Edits::kInPlace};
    const nlohmann::json& mask = resolved.at("mask_pattern");
    settings.encode_positions = mask.at("encode_positions") == "global" ? EncodePositions::kGlobal
                                                                        : EncodePositions::kPacked;
    settings.retriever = read_retriever(resolved.at("retriever"));
    DBSA_ASSIGN_OR_RETURN(settings.embedding, read_embedding(resolved.at("embedding")));
    DBSA_ASSIGN_OR_RETURN(settings.selection, read_selection(resolved.at("selection")));
    settings.recompute = resolved.at("selection").at("recompute");
    const nlohmann::json& decoding = resolved.at("decoding");
    settings.decoding = read_decoding(decoding);
    settings.output_directory = resolved.at("output").at("directory");
    DBSA_RETURN_IF_ERROR(check_fields(settings.data));
    DBSA_RETURN_IF_ERROR(check_recompute(settings));
    DBSA_RETURN_IF_ERROR(check_vote(settings));
    DBSA_RETURN_IF_ERROR(check_scorer(settings, decoding));
    DBSA_RETURN_IF_ERROR(check_temperature(settings, decoding));
    DBSA_RETURN_IF_ERROR(check_fitted_confidence(settings, decoding));
    DBSA_RETURN_IF_ERROR(check_abstention(settings));
    return settings;
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string("the configuration was not resolved: ") + e.what(), ""};
  }
}

}  // namespace dbsa
