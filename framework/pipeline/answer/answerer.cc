#include "pipeline/answer/answerer.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "config/stopwatch.h"
#include "model/decoder/packed_files.h"

namespace dbsa {
namespace {

constexpr int64_t kAutomaticBatch = 8;
// A rebuild mends all that is wrong with the selection. To need it again and again means a disk
// that spoils what is written. Blocks that another request has rebuilt meanwhile count less.
constexpr int kRebuilds = 4, kRebuildsOfOthers = 64;

}  // namespace

Error with_sources(Error error, const Settings& settings, const host::StoreKeys& store) {
  if (error.code != ErrorCode::kRun) return error;
  error.message += "; the model is " + settings.model.path;
  if (store.keeps()) error.message += ", its blocks are in " + store.location;
  if (const std::string folder = packed_weights_folder();
      settings.model.packed_weights && !folder.empty())
    error.message += ", its packed weights in " + folder;
  return error;
}

// One query on its way. Used by its caller's thread; only `run` goes through the scheduler.
class Answerer::Request {
 public:
  Request(Answerer& answerer, const RequestLimits& limits, AnswerExtras extras)
      : self_(answerer), parts_(answerer.parts_), limits_(limits), extras_(extras) {}

  // Selects and tokenises; ends where the text has an error, or no model is asked.
  void begin(std::string_view text) {
    if (Status begun = try_to_begin(text); !begun.ok()) end(std::move(begun).error());
  }
  void begin(QueryRequest request) { request_ = std::move(request); }

  bool ended() const { return outcome_.has_value(); }
  Result<Outcome>& outcome() { return *outcome_; }

  // The pass for the scheduler; nullptr where there is none, because what it needs is to be rebuilt
  // or the request has ended.
  Scheduler::Request* prepare() {
    if (ended()) return nullptr;
    status_ = open_pass();
    return status_.ok() ? &*run_ : nullptr;
  }

  // After the pass: ends, or rebuilds what it stumbled over, so that it can be prepared again.
  void settle() {
    if (ended()) return;
    if (status_.ok()) status_ = finish_pass();
    run_.reset();
    decoding_.reset();
    if (status_.ok()) return end_with_answer();
    const ErrorCode code = status_.error().code;
    const bool damaged = code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound;
    Status rebuilt = damaged && uses_stored_kv(parts_.settings)
                         ? rebuild()
                         : Status(dbsa::with_sources(status_.error(), parts_.settings,
                                                     parts_.cache.store().keys()));
    if (!rebuilt.ok()) end(std::move(rebuilt).error());
  }

 private:
  Status try_to_begin(std::string_view text) {
    const QueryContext context = self_.query_context();
    const Stopwatch retrieving;
    DBSA_RETURN_IF_ERROR(limits_.check(parts_.services));
    DBSA_RETURN_IF_ERROR(select_for_query(context, text, request_));
    const bool votes = parts_.settings.decoding.method == DecodingMethod::kVote;
    if (votes && !request_.error) answer_ = vote(*parts_.pool, request_.selection, extras_.notes);
    answer_.seconds[AnswerStep::kRetrieve] = retrieving.seconds();
    if (votes && !request_.error) {
      end_with_answer();
      return {};
    }
    const Stopwatch tokenising;
    if (!request_.error) DBSA_RETURN_IF_ERROR(tokenize_query(context, text, request_));
    if (!request_.error) DBSA_RETURN_IF_ERROR(tokenize_references(context, request_));
    if (request_.error) end(Outcome(*std::move(request_.error)));
    answer_.seconds[AnswerStep::kPrefill] = tokenising.seconds();
    return {};
  }

  // The layers in which the query's rows, and those of what follows it, read a selected block.
  LayerSet layers_reading(const SelectedBlock& block) const {
    return parts_.model->decoder().layers_reading(
        request_.selection.query_start, block.start + parts_.pool->length(block.block) - 1);
  }

  Result<std::vector<QueryPass::Selected>> open_blocks() {
    std::vector<QueryPass::Selected> open;
    answer_.kv_loaded = {};
    AnswerNotes* const notes = extras_.notes;
    if (notes != nullptr) notes->kv_loaded.clear();
    if (parts_.settings.recompute) return open;
    for (const SelectedBlock& selected : request_.selection.blocks) {
      const int64_t length = parts_.pool->length(selected.block);
      DBSA_ASSIGN_OR_RETURN(std::shared_ptr<OpenBlock> block,
                            parts_.cache.open(parts_.pool->block(selected.block).key, length));
      const LayerSet layers = layers_reading(selected);
      const KvLoaded loaded = {block->bytes_of(layers), block->bytes()};
      answer_.kv_loaded.bytes += loaded.bytes;
      answer_.kv_loaded.all_layers_bytes += loaded.all_layers_bytes;
      if (notes != nullptr) notes->kv_loaded.push_back(loaded);
      open.push_back({std::move(block), length, selected.start, layers});
    }
    return open;
  }

  // kCorrupt when a block is not of this model, kNotFound when the store lacks one.
  Status open_pass() {
    const Settings& settings = parts_.settings;
    const Stopwatch loading;
    DBSA_ASSIGN_OR_RETURN(std::vector<QueryPass::Selected> open, open_blocks());
    answer_.seconds[AnswerStep::kLoad] += loading.seconds();
    const Stopwatch preparing;
    // Blocks that are computed again are tokens before the query's own, nothing else.
    ids_.clear();
    if (settings.recompute)
      for (const SelectedBlock& selected : request_.selection.blocks) {
        const auto& block = parts_.pool->block(selected.block).token_ids;
        ids_.insert(ids_.end(), block.begin(), block.end());
      }
    const auto before = static_cast<int64_t>(ids_.size());
    ids_.insert(ids_.end(), request_.ids.begin(), request_.ids.end());
    size_t longest = request_.ids.size();
    for (const std::vector<int32_t>& reference : request_.reference_ids)
      longest = std::max(longest, reference.size());
    DBSA_ASSIGN_OR_RETURN(
        QueryPass pass,
        QueryPass::begin(
            parts_.model->backend(), std::move(open), request_.selection.query_start - before,
            before + static_cast<int64_t>(longest) + continuation_tokens(settings, *parts_.pool),
            settings.model.chunk_tokens));
    if (extras_.notes != nullptr) extras_.notes->labels.clear();
    const DecodingContext context = {settings,
                                     parts_.model->tokenizer(),
                                     parts_.model->config(),
                                     *parts_.pool,
                                     self_.calibration_ ? &*self_.calibration_ : nullptr,
                                     self_.known_prior_};
    decoding_ = make_decoding(context, request_, ids_, extras_);
    run_.emplace(std::move(pass), decoding_->decodings(), limits_, parts_.services);
    answer_.seconds[AnswerStep::kPrefill] += preparing.seconds();
    return {};
  }

  Status finish_pass() {
    answer_.seconds[AnswerStep::kVerify] += run_->verify_seconds();
    answer_.seconds[AnswerStep::kPrefill] += run_->first_seconds();
    answer_.seconds[AnswerStep::kDecode] += run_->later_seconds();
    DBSA_RETURN_IF_ERROR(run_->status());
    const Stopwatch finishing;
    DBSA_RETURN_IF_ERROR(decoding_->finish(answer_));
    answer_.seconds[AnswerStep::kDecode] += finishing.seconds();
    answer_.query_tokens = static_cast<int64_t>(request_.ids.size());
    answer_.cut_tokens = request_.cut_tokens;
    return {};
  }

  Status rebuild() {
    if (rebuilds_ == kRebuilds || others_ == kRebuildsOfOthers)
      return Error{ErrorCode::kEnvironment,
                   "stored blocks stay damaged after " + std::to_string(kRebuilds) +
                       " attempts to encode them again: " + status_.error().message +
                       "; check the disk that holds " + parts_.cache.store().keys().location_name(),
                   parts_.cache.store().keys().location_pointer};
    const Stopwatch watch;
    std::vector<BlockUse> uses;
    for (const SelectedBlock& selected : request_.selection.blocks)
      uses.push_back({selected.block, layers_reading(selected)});
    DBSA_ASSIGN_OR_RETURN(const int64_t rebuilt, parts_.rebuilder->rebuild(uses));
    answer_.blocks_rebuilt += rebuilt;
    ++(rebuilt > 0 ? rebuilds_ : others_);
    answer_.seconds[AnswerStep::kRebuild] += watch.seconds();
    return {};
  }

  void end_with_answer() {
    answer_.abstained =
        std::exp(answer_.label.log_probability) < parts_.settings.decoding.abstain_below;
    for (const SelectedBlock& block : request_.selection.blocks)
      answer_.blocks.push_back({block.block, block.score, block.start,
                                parts_.pool->length(block.block),
                                parts_.pool->block(block.block).key});
    answer_.selected_tokens = request_.selection.tokens;
    if (extras_.notes != nullptr) extras_.notes->request = std::move(request_);
    end(Outcome(std::move(answer_)));
  }

  void end(Result<Outcome> outcome) { outcome_ = std::move(outcome); }

  Answerer& self_;
  const Parts& parts_;
  const RequestLimits& limits_;
  const AnswerExtras extras_;
  QueryRequest request_;
  Answer answer_;
  std::vector<int32_t> ids_;  // that the pass computes before the answer
  std::unique_ptr<AnswerDecoding> decoding_;
  std::optional<QueryRun> run_;
  Status status_;                  // of the last attempt
  int rebuilds_ = 0, others_ = 0;  // that computed blocks, and that found nothing to do
  std::optional<Result<Outcome>> outcome_;
};

// Until all have ended.
void Answerer::run(std::span<Request* const> requests) {
  for (;;) {
    std::vector<Scheduler::Request*> passes;
    bool any = false;
    for (Request* request : requests) {
      any = any || !request->ended();
      if (Scheduler::Request* pass = request->prepare()) passes.push_back(pass);
    }
    if (!any) return;
    if (!passes.empty()) parts_.model->scheduler().run(passes);
    for (Request* request : requests) request->settle();
  }
}

// The query's own error as the functions for one text give it.
Result<Answer> Answerer::finish(Request& request) {
  Request* const one = &request;
  run({&one, 1});
  Result<Outcome>& outcome = request.outcome();
  if (!outcome.ok()) return std::move(outcome).error();
  if (Answer* told = std::get_if<Answer>(&*outcome)) return std::move(*told);
  ItemError& error = std::get<ItemError>(*outcome);
  return Error{error.fault == ItemFault::kPlugin ? ErrorCode::kPlugin : ErrorCode::kConfig,
               std::move(error.message), ""};
}

Result<Answer> Answerer::answer(std::string_view text, const RequestLimits& limits,
                                AnswerNotes* notes) {
  Request request(*this, limits, {.evidence = nullptr, .notes = notes});
  request.begin(text);
  return finish(request);
}

Result<Answer> Answerer::answer_selected(QueryRequest selected, const RequestLimits& limits,
                                         AnswerNotes* notes) {
  Request request(*this, limits, {.evidence = nullptr, .notes = notes});
  request.begin(std::move(selected));
  return finish(request);
}

std::vector<Result<Outcome>> Answerer::answer_together(std::span<const std::string> texts,
                                                       const RequestLimits& limits,
                                                       std::span<LabelEvidence> evidence) {
  std::deque<Request> requests;  // which do not move
  std::vector<Request*> all;
  for (size_t i = 0; i < texts.size(); ++i) {
    Request& request = requests.emplace_back(
        *this, limits,
        AnswerExtras{.evidence = evidence.empty() ? nullptr : &evidence[i], .notes = nullptr});
    request.begin(texts[i]);
    all.push_back(&request);
  }
  run(all);
  std::vector<Result<Outcome>> outcomes;
  for (Request& request : requests) outcomes.push_back(std::move(request.outcome()));
  return outcomes;
}

QueryContext Answerer::query_context() const {
  const OpenedPool& pool = *parts_.pool;
  return {parts_.settings,
          parts_.model->tokenizer(),
          &pool.retriever(),
          {pool.lengths, pool.anchor_blocks, pool.pool.has_prefix},
          pool.block_of,
          parts_.model->config().max_positions,
          longest_continuation(parts_.settings, pool)};
}

int64_t batch_size(const Settings& settings) {
  if (settings.model.batch_size > 0) return settings.model.batch_size;
  // Where a query reads its blocks again its rows are many, and a vote has none at all.
  const bool alone = settings.recompute || settings.decoding.method == DecodingMethod::kVote;
  return alone ? 1 : kAutomaticBatch;
}

}  // namespace dbsa
