#include "commands/findings.h"

#include <algorithm>

#include "commands/item_errors.h"
#include "commands/store_room.h"
#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/make_plugin.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "model/decoder/llm_hidden.h"
#include "model/open_model.h"
#include "model/sentence/sentence_encoder.h"
#include "pipeline/answer/query_request.h"
#include "pipeline/model/model_fit.h"
#include "pipeline/pool/chat_prompt.h"
#include "pipeline/pool/index_check.h"
#include "pipeline/pool/opened_pool.h"

namespace dbsa::cli {
namespace {

struct CheckedModel {
  ModelConfig config;
  Precision precision;
  uint64_t weight_bytes = 0;  // as they are computed with
  std::unique_ptr<Tokenizer> tokenizer;
};

// Whether the backend computes with blocks as they are; not where its library does not load.
bool takes_blocks(Session& session) {
  const auto plugin =
      session.registry().load(*session.resolved().stage(DBSA_KIND_ATTENTION_BACKEND).manifest);
  return plugin.ok() && host::find_extension(*plugin, DBSA_EXTENSION_QUANTISED_WEIGHTS) != nullptr;
}

uint64_t stored_bytes(const Weights& weights) {
  uint64_t bytes = 0;
  for (const TensorFile* file : weights.tensor_files())
    for (const TensorEntry& entry : file->entries()) bytes += entry.bytes;
  return bytes;
}

// prompt: what the model's chat template says goes into it.
Result<CheckedModel> check_model(Session& session, const ModelSettings& settings,
                                 PromptSettings& prompt) {
  DBSA_ASSIGN_OR_RETURN(const auto source, open_model(settings.path));
  CheckedModel model;
  ErrorList faults;
  Result<ModelConfig> config = source->config();
  Result<std::unique_ptr<Weights>> weights = source->weights();
  Result<std::unique_ptr<Tokenizer>> tokenizer = source->tokenizer();
  if (!config.ok()) faults.add(config.error());
  if (!weights.ok()) faults.add(weights.error());
  if (config.ok() && weights.ok()) faults.add((*weights)->check(*config));
  if (!tokenizer.ok()) faults.add(tokenizer.error());
  DBSA_RETURN_IF_ERROR(faults.status());
  limit_positions(*config, settings.max_positions);
  fit_tokenizer(**tokenizer, *config);
  if (prompt.chat) {
    DBSA_ASSIGN_OR_RETURN(const ChatTemplate chat, source->chat_template());
    DBSA_RETURN_IF_ERROR(apply_chat_template(chat, **tokenizer, prompt));
  }
  model.precision = choose_precision(settings, **weights);
  model.precision.quantised = model.precision.quantised && takes_blocks(session);
  model.weight_bytes = model.precision.quantised
                           ? stored_bytes(**weights)
                           : static_cast<uint64_t>(parameter_count(*config)) *
                                 (model.precision.compute == DBSA_COMPUTE_F32 ? 4 : 2);
  model.config = std::move(config).value();
  model.tokenizer = std::move(tokenizer).value();
  return model;
}

// What computes embeddings, short of computing them: values in a vector, 0 where there are none, or
// the model that would compute them has faults.
Result<int64_t> check_embedding(const EmbeddingSettings& embedding, const ModelConfig* model) {
  if (embedding.method == EmbeddingMethod::kLlmHidden && model != nullptr) {
    DBSA_RETURN_IF_ERROR(check_hidden_layer(embedding.layer, model->layers));
    return model->hidden_size;
  }
  if (embedding.method != EmbeddingMethod::kSentenceTransformer) return 0;
  Result<int64_t> width = SentenceEncoder::check(embedding.path);
  if (width.ok()) return width;
  return Error{width.error().code, width.error().message, "/embedding/path"};
}

// How far tokens may follow a query: the longest label, or what free decoding may write.
Result<int64_t> longest_answer(const Settings& settings, const Pool& pool) {
  if (settings.decoding.method == DecodingMethod::kFree) return settings.decoding.max_tokens;
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : pool.labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  int64_t longest = 0;
  if (settings.decoding.method == DecodingMethod::kLikelihood) {
    const LikelihoodTree tree(tokens);
    for (const TreeToken& row : tree.rows()) longest = std::max<int64_t>(longest, row.depth + 1);
    return longest;
  }
  DBSA_ASSIGN_OR_RETURN(const LabelTrie trie, LabelTrie::build(tokens, names));
  for (const LabelTrie::Node& node : trie.nodes()) longest = std::max<int64_t>(longest, node.depth);
  return longest;
}

// A query that the model itself cannot embed for the retriever fails, no matter how its prompt is
// cut.
std::optional<ItemError> embedding_error(const Settings& settings, const CheckedModel& model,
                                         std::string_view text) {
  if (settings.embedding.method != EmbeddingMethod::kLlmHidden) return {};
  const auto tokens =
      tokens_to_embed(*model.tokenizer, retrieval_text(settings, text), model.config.max_positions);
  if (tokens.ok()) return {};
  return ItemError{ItemFault::kTooLong, tokens.error().message};
}

// Makes every query's request, short of computing it. A text that cannot be answered becomes its
// error. Without a retriever, and so without a pool, a text is only too long where it does not fit
// beside no block at all.
Status check_requests(const Settings& settings, const CheckedModel& model,
                      const host::Retriever* retriever, bool embeds_queries, Findings& findings) {
  // No model reads the query of a vote.
  const bool is_read = settings.decoding.method != DecodingMethod::kVote;
  if (!is_read && !embeds_queries) return {};
  int64_t answer_tokens = 1;
  std::vector<int64_t> lengths, block_of;
  if (retriever != nullptr) {
    const Pool& pool = findings.pool->pool;
    DBSA_ASSIGN_OR_RETURN(answer_tokens, longest_answer(settings, pool));
    for (const PoolBlock& block : pool.blocks)
      lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
    if (settings.retriever.by_demonstration) block_of = blocks_of_demonstrations(pool);
  }
  const bool has_prefix = retriever != nullptr && findings.pool->pool.has_prefix;
  const int64_t anchor_blocks = retriever != nullptr ? findings.pool->anchor_blocks : 0;
  const QueryContext context = {
      settings, *model.tokenizer,           retriever,    {lengths, anchor_blocks, has_prefix},
      block_of, model.config.max_positions, answer_tokens};
  ItemErrors errors(OnError::kReport);
  findings.query_tokens.assign(findings.data.queries.size(), 0);
  for (size_t i = 0; i < findings.data.queries.size(); ++i) {
    Row& row = findings.data.queries[i];
    if (row.error) continue;
    const std::string& text = row.example.text;
    QueryRequest request;
    if (retriever != nullptr) DBSA_RETURN_IF_ERROR(select_for_query(context, text, request));
    if (embeds_queries) request.error = embedding_error(settings, model, text);
    if (!request.error && is_read) DBSA_RETURN_IF_ERROR(tokenize_query(context, text, request));
    if (!request.error && is_read) DBSA_RETURN_IF_ERROR(tokenize_references(context, request));
    findings.truncated += request.cut_tokens > 0 ? 1 : 0;
    if (!request.error) {
      findings.query_tokens[i] = static_cast<int64_t>(request.ids.size());
      errors.add_answer();
      continue;
    }
    row.error = std::move(request.error);
    row.error->message =
        settings.data.queries + ":" + std::to_string(row.example.line) + ": " + row.error->message;
    DBSA_RETURN_IF_ERROR(errors.add(*row.error));
  }
  // A plugin that fails for every query is not the queries' fault.
  if (Status all = errors.status("query"); !all.ok() && all.error().code == ErrorCode::kPlugin)
    return all;
  return {};
}

// Deals, tokenises and plans the blocks: finds those that the model cannot take.
Status check_pool(Session& session, const Settings& settings, const CheckedModel& model,
                  QueryChecks query_checks, Findings& findings) {
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
  DBSA_ASSIGN_OR_RETURN(const int64_t anchor_blocks, mask.anchor_blocks());
  const PoolIdentities unknown;  // the pool is not kept
  const PoolParts parts = {settings, model.config,  unknown,    *model.tokenizer,  grouper,
                           mask,     anchor_blocks, &retriever, session.services()};
  DBSA_ASSIGN_OR_RETURN(findings.pool, build_pool(parts, findings.data.demonstrations(),
                                                  findings.data.labels(), nullptr));
  if (query_checks == QueryChecks::kNone) return {};
  return check_requests(settings, model, &retriever, false, findings);
}

// Queries where there is no pool. The services have the embedder that plugins are made with.
Status check_requests_without_pool(Session& session, const Settings& settings,
                                   const CheckedModel& model, Findings& findings) {
  DBSA_ASSIGN_OR_RETURN(auto retriever,
                        host::make_plugin<host::Retriever>(session.resolved(), DBSA_KIND_RETRIEVER,
                                                           session.registry(), session.services()));
  const bool embeds_queries =
      embeds_texts(retriever, session.services(), findings.data.demonstrations());
  return check_requests(settings, model, nullptr, embeds_queries, findings);
}

// The same where plugins may ask for embeddings, which are computed by the model or an encoder:
// that goes further than this command does. What needs none is checked, and then the queries
// without the pool.
Status check_embedded_pool(Session& session, const Settings& settings, const CheckedModel& model,
                           int64_t width, QueryChecks query_checks, Findings& findings) {
  const std::vector<Row> queries = findings.data.queries;
  StandInEmbedder stand_in(width);
  session.services().set_embedder(&stand_in);
  Status checked = check_pool(session, settings, model, query_checks, findings);
  if (stand_in.asked()) {
    findings.pool.reset();
    findings.truncated = 0;
    findings.data.queries = queries;
    checked = query_checks == QueryChecks::kNone
                  ? Status()
                  : check_requests_without_pool(session, settings, model, findings);
  }
  session.services().set_embedder(nullptr);
  return checked;
}

}  // namespace

int64_t Findings::tokens() const {
  int64_t sum = 0;
  if (pool)
    for (const EncodeBlock& block : pool->blocks)
      sum += static_cast<int64_t>(block.token_ids.size());
  return sum;
}

Result<Findings> find_out(Session& session, Written written, QueryChecks query_checks) {
  Result<Settings> read = read_settings(session.resolved().json);
  if (!read.ok()) return session.resolved().located(read.error());
  Settings& settings = *read;
  Findings findings;
  ErrorList faults;
  const auto add = [&](const Error& error) { faults.add(session.resolved().located(error)); };
  Result<CheckedModel> model = check_model(session, settings.model, settings.prompt);
  if (!model.ok()) add(model.error());
  const Result<int64_t> width =
      check_embedding(settings.embedding, model.ok() ? &model->config : nullptr);
  if (!width.ok()) add(width.error());
  Result<CheckedData> data = check_data(settings);
  if (!data.ok()) add(data.error());
  faults.add(check_folders(session.resolved(), written));
  DBSA_RETURN_IF_ERROR(faults.status());
  findings.settings = settings;
  findings.data = std::move(data).value();
  const Status pool =
      *width == 0 ? check_pool(session, settings, *model, query_checks, findings)
                  : check_embedded_pool(session, settings, *model, *width, query_checks, findings);
  if (!pool.ok()) return session.resolved().located(pool.error());
  findings.model = std::move(model->config);
  findings.precision = model->precision;
  findings.weight_bytes = model->weight_bytes;
  findings.tokenizer = std::move(model->tokenizer);
  if (written == Written::kNothing) return findings;
  const Status room = check_store_room(session, findings);
  if (!room.ok()) return session.resolved().located(room.error());
  return findings;
}

}  // namespace dbsa::cli
