#include "pipeline/input_reader.h"

#include "model/checkpoint/fingerprint.h"
#include "model/open_model.h"
#include "model/sentence/sentence_encoder.h"
#include "pipeline/model/model_fit.h"
#include "pipeline/pool/pool_builder.h"

namespace dbsa {
namespace {

// All that the rows of a file depend on besides its bytes.
std::string how_read(const TextFields& text, const DataSettings& data) {
  return text.description() + '\n' + data.label_field + '\n' + data.delimiter + '\n' +
         data.names.description();
}

}  // namespace

Result<InputIdentity> InputReader::read(const host::ResolvedPipeline& pipeline) {
  DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(pipeline.json));
  const DataSettings& data = settings.data;
  InputIdentity inputs;
  DBSA_RETURN_IF_ERROR(read_model(settings, inputs));
  if (settings.embedding.method == EmbeddingMethod::kSentenceTransformer) {
    DBSA_ASSIGN_OR_RETURN(inputs.embedding, encoder(settings.embedding.path));
  }
  DBSA_ASSIGN_OR_RETURN(inputs.demonstrations, rows(data.demonstrations, data.text, data));
  DBSA_ASSIGN_OR_RETURN(inputs.queries, queries(data));
  DBSA_ASSIGN_OR_RETURN(inputs.labels, rows(data.labels, data.label_field, data));
  DBSA_ASSIGN_OR_RETURN(inputs.query_indices, content_identity(data.query_indices));
  return inputs;
}

Status InputReader::read_model(const Settings& settings, InputIdentity& inputs) {
  const ModelSettings& model = settings.model;
  const std::tuple key(model.path, model.max_positions, settings.prompt.chat);
  const auto known = models_.find(key);
  if (known != models_.end()) {
    inputs = known->second;
    return {};
  }
  DBSA_ASSIGN_OR_RETURN(const auto source, open_model(model.path));
  DBSA_ASSIGN_OR_RETURN(ModelConfig config, source->config());
  limit_positions(config, model.max_positions);
  DBSA_ASSIGN_OR_RETURN(const auto weights, source->weights());
  DBSA_RETURN_IF_ERROR(weights->check(config));
  DBSA_ASSIGN_OR_RETURN(const auto tokenizer, source->tokenizer());
  fit_tokenizer(*tokenizer, config);
  DBSA_ASSIGN_OR_RETURN(const ModelFingerprint fingerprint,
                        fingerprint_model(config, *weights, {default_cache_folder(), true}));
  identify_model(config, fingerprint.value.hex(), inputs);
  inputs.tokenizer = tokenizer_identity(*tokenizer);
  if (settings.prompt.chat) {
    DBSA_ASSIGN_OR_RETURN(const ChatTemplate chat, source->chat_template());
    identify_chat(chat.source(), inputs);
  }
  models_[key] = inputs;
  return {};
}

Result<std::string> InputReader::encoder(const std::string& folder) {
  const auto known = encoders_.find(folder);
  if (known != encoders_.end()) return known->second;
  DBSA_ASSIGN_OR_RETURN(const std::string content,
                        SentenceEncoder::content(folder, {default_cache_folder(), true}));
  return encoders_[folder] = identity_hash(content);
}

Result<std::string> InputReader::rows(const std::string& path, const TextFields& text,
                                      const DataSettings& data) {
  if (path.empty()) return std::string();
  const std::string name = path + '\n' + how_read(text, data);
  const auto known = rows_.find(name);
  if (known != rows_.end()) return known->second;
  DBSA_ASSIGN_OR_RETURN(const std::vector<Example> rows,
                        load_dataset(path, text, data.label_field, LabelPolicy::kRequired,
                                     data.delimiter, data.names));
  return rows_[name] = hash_rows(rows);
}

Result<std::string> InputReader::queries(const DataSettings& data) {
  if (data.queries.empty()) return std::string();
  const std::string name = "queries " + data.queries + '\n' + how_read(data.text, data);
  const auto known = rows_.find(name);
  if (known != rows_.end()) return known->second;
  DBSA_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                        load_rows(data.queries, data.text, data.label_field, LabelPolicy::kOptional,
                                  data.delimiter, data.names));
  return rows_[name] = hash_rows(rows);
}

}  // namespace dbsa
