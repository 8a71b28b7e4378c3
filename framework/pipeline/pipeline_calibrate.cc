// The end of stage one: what the held-out demonstrations say of a pool's answers.

#include <algorithm>
#include <utility>

#include "icl/temperature.h"
#include "pipeline/answer/kept_calibration.h"
#include "pipeline/encode/block_key.h"
#include "pipeline/pipeline_impl.h"

namespace dbsa {
namespace {

// Raised with every change to the program that alters a calibration although answers stay the same.
constexpr uint32_t kCalibrationRevision = 1;

}  // namespace

// All that a calibration depends on. The held-out demonstrations are those that data.held_out and
// data.seed name among the rows.
nlohmann::json Pipeline::Impl::calibration_identity(const Pool& pool) const {
  nlohmann::json out = tables;
  out.erase("kv_store");
  out["data"].erase("query_count");
  out["decoding"].erase("abstain_below");
  std::vector<std::string> keys, labels;
  for (const PoolBlock& block : pool.blocks) keys.push_back(block.key.hex());
  for (const PoolLabel& label : pool.labels) labels.push_back(label.text);
  InputIdentity known = inputs;
  known.demonstrations = pool.demonstration_rows;
  known.labels = pool.label_rows;
  return {{"tables", std::move(out)},
          {"inputs", to_json(known)},
          {"kv", identities.kv},
          {"index", identities.index},
          {"blocks", hash_list(keys)},
          {"demonstrations", hash_list(pool.demonstrations)},
          {"labels", hash_list(labels)},
          {"revisions", {kEncodeRevision, kAnswerRevision, kCalibrationRevision}}};
}

// Those that can be answered, batch by batch.
Result<std::vector<HeldOut>> Pipeline::Impl::answer_held_out(Answerer& answerer,
                                                             std::span<const Example> held_out,
                                                             const EncodeObserver& observer) {
  const std::vector<PoolLabel>& labels = answerer.pool()->pool.labels;
  const auto total = static_cast<int64_t>(held_out.size());
  const auto together = static_cast<size_t>(dbsa::batch_size(settings));
  std::vector<HeldOut> answered;
  std::string last_error;
  for (size_t begin = 0; begin < held_out.size(); begin += together) {
    if (services.cancelled()) return Error{ErrorCode::kCancelled, "stopped while calibrating", ""};
    if (observer.calibrating) observer.calibrating(static_cast<int64_t>(begin), total);
    const std::span<const Example> batch =
        held_out.subspan(begin, std::min(together, held_out.size() - begin));
    std::vector<std::string> texts;
    for (const Example& example : batch) texts.push_back(example.text);
    std::vector<LabelEvidence> evidence(texts.size());
    std::vector<Result<Outcome>> outcomes = answerer.answer_together(texts, {}, evidence);
    for (size_t i = 0; i < outcomes.size(); ++i) {
      if (!outcomes[i].ok()) return std::move(outcomes[i]).error();
      if (const ItemError* error = std::get_if<ItemError>(&*outcomes[i])) {
        last_error = error->message;
        continue;
      }
      const auto label = std::lower_bound(
          labels.begin(), labels.end(), batch[i].label,
          [](const PoolLabel& known, const std::string& text) { return known.text < text; });
      answered.push_back({std::move(evidence[i]), static_cast<int32_t>(label - labels.begin())});
    }
  }
  if (observer.calibrating) observer.calibrating(total, total);
  if (answered.empty())
    return Error{ErrorCode::kConfig,
                 "data.held_out: none of the " + std::to_string(total) +
                     " held-out demonstrations can be answered; the last one: " + last_error,
                 "/data/held_out"};
  return answered;
}

// Of the open pool: takes the calibration from the store, or makes it and keeps it there.
Result<std::shared_ptr<Answerer>> Pipeline::Impl::calibrate(std::shared_ptr<Answerer> answerer,
                                                            std::span<const Example> held_out,
                                                            const EncodeObserver& observer,
                                                            EncodeReport& report) {
  if (!needs_calibration(settings)) return answerer;
  const OpenedPool& opened = *answerer->pool();
  const std::string identity = identity_hash(calibration_identity(opened.pool));
  Result<Calibration> stored = find_calibration(opened.pool, pool_name(), identity);
  if (stored.ok()) {
    report.calibration = std::move(stored).value();
    report.calibration_reused = true;
    return answerer->with_calibration(*report.calibration);
  }
  if (stored.error().code == ErrorCode::kCorrupt)
    services.log(host::LogLevel::kWarning, stored.error().message + "; it is made again now");
  DBSA_ASSIGN_OR_RETURN(const std::vector<HeldOut> answered,
                        answer_held_out(*answerer, held_out, observer));
  const CalibrationRule rule = {settings.decoding.fit_temperature, settings.decoding.temperature,
                                settings.decoding.fit_confidence};
  const bool batch = settings.decoding.scorer == LabelScorer::kBatch;
  Calibration made = make_calibration(batch ? &*opened.scoring : nullptr, rule, answered);
  made.held_out = static_cast<int64_t>(held_out.size());
  if (rule.fit_temperature &&
      (made.temperature == kLeastTemperature || made.temperature == kMostTemperature))
    services.log(
        host::LogLevel::kWarning,
        std::string("decoding.fit_temperature: the temperature is ") +
            (made.temperature == kLeastTemperature
                 ? "the least there is, because every held-out demonstration is answered "
                   "rightly"
                 : "the greatest there is, because the scores say nothing of which answers "
                   "are right") +
            "; hold out more demonstrations (data.held_out), or set decoding.temperature");
  if (plugins->store.keys().keeps())
    if (const Status written = keep_calibration(plugins->store, opened.pool, made, identity);
        !written.ok())
      services.log(host::LogLevel::kWarning,
                   written.error().message +
                       "; the held-out demonstrations are answered again next "
                       "time, and `dbsa-pipe query` cannot use this pool");
  report.calibration = std::move(made);
  return answerer->with_calibration(*report.calibration);
}

// Of a pool that was opened from its manifest: without the data.
Result<std::shared_ptr<Answerer>> Pipeline::Impl::adopt_calibration(
    std::shared_ptr<Answerer> answerer) {
  if (!needs_calibration(settings)) return answerer;
  const OpenedPool& opened = *answerer->pool();
  const std::string identity = identity_hash(calibration_identity(opened.pool));
  Result<Calibration> stored = find_calibration(opened.pool, pool_name(), identity);
  if (stored.ok()) return answerer->with_calibration(std::move(stored).value());
  if (stored.error().code != ErrorCode::kNotFound) return std::move(stored).error();
  const std::string key = settings.decoding.fit_temperature  ? "fit_temperature"
                          : settings.decoding.fit_confidence ? "fit_confidence"
                                                             : "scorer";
  return Error{ErrorCode::kConfig,
               "decoding." + key +
                   ": this pool's held-out demonstrations were not answered with "
                   "these settings (" +
                   stored.error().message + "); run `dbsa-pipe encode` (stored blocks are reused)",
               "/decoding/" + key};
}

}  // namespace dbsa
