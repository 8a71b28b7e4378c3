#include "model/tokenizer/bert_settings.h"

#include "config/json_text.h"
#include "model/tokenizer/bert_normalizer.h"
#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/tokenizer_json.h"

namespace dbsa {
namespace {

using nlohmann::json;

// transformers' fast tokenizers pass over these, its slow one follows them.
Status check_slow_settings(const ComponentReader& reader, const json& config) {
  const json basic = member(config, "do_basic_tokenize");
  const json never = member(config, "never_split");
  const std::string why =
      " is not supported: transformers' fast tokenizer ignores it and its slow one does not; "
      "remove "
      "it to have the ids of the fast one";
  if (!basic.is_null() && basic != true)
    return reader.unsupported("\"do_basic_tokenize\" = " + basic.dump() + why);
  if (!never.is_null() && !never.empty()) return reader.unsupported("\"never_split\"" + why);
  return {};
}

// The BertNormalizers in a Sequence, however deep.
void collect_steps(const json& normalizer, std::vector<json>& found) {
  if (!normalizer.is_object()) return;
  if (member(normalizer, "type") == "BertNormalizer") found.push_back(normalizer);
  const json steps = member(normalizer, "normalizers");
  if (!steps.is_array()) return;
  for (const json& step : steps) collect_steps(step, found);
}

}  // namespace

Result<json> tokenizer_config(const CompanionFiles& companions) {
  json config = json::object();
  if (companions.config.empty()) return config;
  if (parse_json(companions.config, config) || !config.is_object())
    return make_error(
        ErrorCode::kEnvironment,
        companions.config_file + ": expected a JSON object; the file is damaged: fetch it again");
  return config;
}

Result<json> bert_normalizer(const CompanionFiles& companions) {
  DBSA_ASSIGN_OR_RETURN(const json config, tokenizer_config(companions));
  const ComponentReader reader(config, companions.config_file);
  DBSA_RETURN_IF_ERROR(check_slow_settings(reader, config));
  json out = {{"type", "BertNormalizer"}, {"clean_text", true}};
  DBSA_ASSIGN_OR_RETURN(out["lowercase"], reader.boolean("do_lower_case", true));
  DBSA_ASSIGN_OR_RETURN(out["handle_chinese_chars"],
                        reader.boolean("tokenize_chinese_chars", true));
  out["strip_accents"] = nullptr;
  if (!reader.is_null("strip_accents")) {
    DBSA_ASSIGN_OR_RETURN(out["strip_accents"], reader.boolean("strip_accents"));
  }
  return out;
}

Result<std::string> apply_bert_settings(const CompanionFiles& companions, const std::string& name,
                                        json& root) {
  const json normalizer = member(root, "normalizer");
  std::vector<json> steps;
  collect_steps(normalizer, steps);
  if (companions.config.empty() || steps.empty()) return std::string();
  DBSA_ASSIGN_OR_RETURN(const json config, tokenizer_config(companions));
  // These take tokenizer.json as it is.
  const json kind = member(config, "tokenizer_class");
  if (kind == "PreTrainedTokenizerFast" || kind == "TokenizersBackend") return std::string();
  DBSA_ASSIGN_OR_RETURN(json wanted, bert_normalizer(companions));
  for (const json& step : steps) {
    const auto before = BertNormalizer::read(ComponentReader(step, "normalizer"));
    if (!before.ok()) return std::string();  // reading the normalizer reports it
    wanted["clean_text"] = before->clean_text;
    DBSA_ASSIGN_OR_RETURN(const BertNormalizer after,
                          BertNormalizer::read(ComponentReader(wanted, "normalizer")));
    if (*before == after) continue;
    if (step != normalizer)
      return make_error(ErrorCode::kConfig,
                        companions.config_file +
                            ": do_lower_case, strip_accents and tokenize_chinese_chars (or their "
                            "defaults) ask for another normalizer than the BertNormalizer in a "
                            "Sequence of " +
                            name + ", which is not supported; make the two files say the same");
    root["normalizer"] = wanted;
    return wanted.dump();
  }
  return std::string();
}

}  // namespace dbsa
