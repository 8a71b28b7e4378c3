#include "answers.h"

#include <algorithm>
#include <vector>

#include "encode_view.h"
#include "units.h"

namespace dbsa::cli {

Status answer_each(Engine& engine, const host::HostServices& services,
                   std::span<const std::string> texts, const std::function<void(Answer)>& take) {
  const auto together = static_cast<size_t>(engine.batch_size());
  for (size_t i = 0; i < texts.size(); i += together) {
    if (services.cancelled()) return Error{ErrorCode::kCancelled, "", ""};
    for (Result<Answer>& answer :
         engine.answer_together(texts.subspan(i, std::min(together, texts.size() - i)))) {
      if (!answer.ok()) return std::move(answer).error();
      take(std::move(answer).value());
    }
  }
  return {};
}

bool wants_kv_error(const Settings& settings, const RunRecord& record) {
  return settings.model.kv_dtype == "int8" && settings.model.kv_error_queries > 0 &&
         settings.decoding.method != DecodingMethod::kVote && record.encode.kv_bytes > 0 &&
         !record.queries.empty();
}

Result<KvError> measure_kv_error(Session& session, Pool pool, const RunRecord& record,
                                 Terminal& terminal) {
  terminal.set_progress("opening the model for kv_dtype = \"bf16\" ...");
  host::ResolvedPipeline resolved = session.resolved();
  resolved.json["model"]["kv_dtype"] = "bf16";
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                        Engine::open(resolved, session.registry(), session.services()));
  EncodeView view(terminal);
  DBSA_ASSIGN_OR_RETURN(const EncodeReport encoded,
                        engine->encode_copy(std::move(pool), view.observer()));
  view.finish(encoded);

  const auto count = static_cast<size_t>(std::min<int64_t>(
      engine->settings().model.kv_error_queries, static_cast<int64_t>(record.queries.size())));
  std::vector<std::string> texts;
  std::vector<Answer> quantised, reference;
  for (size_t i = 0; i < count; ++i) {
    texts.push_back(record.queries[i].query.text);
    quantised.push_back(record.queries[i].answer);
  }
  Progress progress(terminal, "comparing ", "queries");
  progress.update(0, static_cast<int64_t>(count));
  DBSA_RETURN_IF_ERROR(answer_each(*engine, session.services(), texts, [&](Answer answer) {
    reference.push_back(std::move(answer));
    progress.update(static_cast<int64_t>(reference.size()), static_cast<int64_t>(count));
  }));
  progress.finish();
  const KvError error = compare_answers(quantised, reference);
  terminal.note("compared   " + counted_queries(error.queries) + " with kv_dtype = \"bf16\": " +
                counted(error.labels_changed, "label") + " changed");
  return error;
}

}  // namespace dbsa::cli
