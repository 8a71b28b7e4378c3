#include "commands/measure_kv_error.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "commands/encode_view.h"
#include "terminal/units.h"

namespace dbsa::cli {

namespace {

// Answers texts that had an answer before, as many together as the pipeline says.
Status answer_again(Pipeline& pipeline, const host::HostServices& services,
                    std::span<const std::string> texts, const std::function<void(Answer)>& take) {
  const auto together = static_cast<size_t>(pipeline.batch_size());
  for (size_t i = 0; i < texts.size(); i += together) {
    if (services.cancelled()) return Error{ErrorCode::kCancelled, "", ""};
    for (Result<Outcome>& outcome :
         pipeline.answer_together(texts.subspan(i, std::min(together, texts.size() - i)))) {
      if (!outcome.ok()) return std::move(outcome).error();
      if (const ItemError* error = std::get_if<ItemError>(&*outcome))
        return Error{ErrorCode::kRun, error->message, ""};
      take(std::get<Answer>(std::move(outcome).value()));
    }
  }
  return {};
}

}  // namespace

bool wants_kv_error(const Settings& settings, const RunRecord& record) {
  return settings.model.kv_dtype == "int8" && settings.model.kv_error_queries > 0 &&
         settings.decoding.method != DecodingMethod::kVote && record.encode.kv_bytes > 0 &&
         std::any_of(record.queries.begin(), record.queries.end(),
                     [](const QueryRecord& query) { return !query.error; });
}

Result<KvError> measure_kv_error(Session& session, Pool pool, const RunRecord& record,
                                 Terminal& terminal) {
  terminal.set_progress("opening the model for kv_dtype = \"bf16\" ...");
  host::ResolvedPipeline resolved = session.resolved();
  resolved.json["model"]["kv_dtype"] = "bf16";
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Pipeline> pipeline,
                        Pipeline::open(resolved, session.registry(), session.services()));
  EncodeView view(terminal);
  DBSA_ASSIGN_OR_RETURN(
      const EncodeReport encoded,
      pipeline->encode_copy(std::move(pool), record.encode.calibration, view.observer()));
  view.finish(encoded);

  const auto most = static_cast<size_t>(pipeline->settings().model.kv_error_queries);
  std::vector<std::string> texts;
  std::vector<Answer> quantised, reference;
  for (const QueryRecord& query : record.queries) {
    if (query.error || texts.size() == most) continue;
    texts.push_back(query.query.text);
    quantised.push_back(query.answer);
  }
  const auto count = static_cast<int64_t>(texts.size());
  Progress progress(terminal, "comparing ", "queries");
  progress.update(0, count);
  DBSA_RETURN_IF_ERROR(answer_again(*pipeline, session.services(), texts, [&](Answer answer) {
    reference.push_back(std::move(answer));
    progress.update(static_cast<int64_t>(reference.size()), count);
  }));
  progress.finish();
  const KvError error = compare_answers(quantised, reference);
  terminal.note("compared   " + counted_queries(error.queries) + " with kv_dtype = \"bf16\": " +
                counted(error.labels_changed, "label") + " changed");
  return error;
}

}  // namespace dbsa::cli
