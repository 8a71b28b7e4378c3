#include "findings.h"

#include "host/block_grouper.h"
#include "host/make_plugin.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "model/checkpoint.h"
#include "model/llm_hidden.h"
#include "model/model_folder.h"
#include "model/sentence_encoder.h"
#include "pipeline/model_fit.h"

namespace dbsa::cli {
namespace {

struct CheckedModel {
  ModelConfig config;
  Precision precision;
  std::unique_ptr<Tokenizer> tokenizer;
};

Result<CheckedModel> check_model(const ModelSettings& settings) {
  const std::string& folder = settings.path;
  DBSA_RETURN_IF_ERROR(check_model_folder(folder));
  CheckedModel model;
  ErrorList faults;
  Result<ModelConfig> config = load_model_config(folder);
  Result<Checkpoint> weights = Checkpoint::open(folder);
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::load(folder);
  if (!config.ok()) faults.add(config.error());
  if (!weights.ok()) faults.add(weights.error());
  if (config.ok() && weights.ok()) faults.add(weights->check(*config));
  if (!tokenizer.ok()) faults.add(tokenizer.error());
  DBSA_RETURN_IF_ERROR(faults.status());
  fit_tokenizer(**tokenizer, *config);
  model.precision = choose_precision(settings, *weights);
  model.config = std::move(config).value();
  model.tokenizer = std::move(tokenizer).value();
  return model;
}

// What computes embeddings, short of computing them.
Status check_embedding(const EmbeddingSettings& embedding, const ModelConfig* model) {
  if (embedding.method == EmbeddingMethod::kLlmHidden && model != nullptr)
    return check_hidden_layer(embedding.layer, model->layers);
  if (embedding.method != EmbeddingMethod::kSentenceTransformer) return {};
  const Status encoder = SentenceEncoder::check(embedding.path);
  if (encoder.ok()) return {};
  return Error{encoder.error().code, encoder.error().message, "/embedding/path"};
}

// Deals, tokenises and plans the blocks: finds those that the model cannot take.
Status check_pool(Session& session, const Settings& settings, const CheckedModel& model,
                  Findings& findings) {
  const host::ResolvedPipeline& resolved = session.resolved();
  DBSA_ASSIGN_OR_RETURN(
      auto grouper, host::make_plugin<host::BlockGrouper>(resolved, DBSA_KIND_BLOCK_GROUPER,
                                                          session.registry(), session.services()));
  DBSA_ASSIGN_OR_RETURN(
      auto mask, host::make_plugin<host::MaskPattern>(resolved, DBSA_KIND_MASK_PATTERN,
                                                      session.registry(), session.services()));
  DBSA_ASSIGN_OR_RETURN(auto retriever,
                        host::make_plugin<host::Retriever>(resolved, DBSA_KIND_RETRIEVER,
                                                           session.registry(), session.services()));
  const PoolIdentities unknown;  // the pool is not kept
  const PoolParts parts = {settings, model.config, unknown,   *model.tokenizer,
                           grouper,  mask,         retriever, session.services()};
  DBSA_ASSIGN_OR_RETURN(findings.pool, build_pool(parts, findings.data.demonstrations,
                                                  findings.data.labels, nullptr));
  return {};
}

}  // namespace

int64_t Findings::tokens() const {
  int64_t sum = 0;
  if (pool)
    for (const EncodeBlock& block : pool->blocks)
      sum += static_cast<int64_t>(block.token_ids.size());
  return sum;
}

Result<Findings> find_out(Session& session) {
  const Result<Settings> read = read_settings(session.resolved().json);
  if (!read.ok()) return session.resolved().located(read.error());
  const Settings& settings = *read;
  Findings findings;
  findings.settings = settings;
  ErrorList faults;
  const auto add = [&](const Error& error) { faults.add(session.resolved().located(error)); };
  Result<CheckedModel> model = check_model(settings.model);
  if (!model.ok()) add(model.error());
  if (const Status embedding =
          check_embedding(settings.embedding, model.ok() ? &model->config : nullptr);
      !embedding.ok())
    add(embedding.error());
  Result<CheckedData> data = check_data(settings);
  if (!data.ok()) add(data.error());
  faults.add(check_folders(session.resolved()));
  DBSA_RETURN_IF_ERROR(faults.status());
  findings.data = std::move(data).value();
  // Embeddings are computed by the model or an encoder, which goes further than this command does.
  if (settings.embedding.method == EmbeddingMethod::kNone)
    if (const Status pool = check_pool(session, settings, *model, findings); !pool.ok())
      return session.resolved().located(pool.error());
  findings.model = std::move(model->config);
  findings.precision = model->precision;
  findings.tokenizer = std::move(model->tokenizer);
  return findings;
}

}  // namespace dbsa::cli
