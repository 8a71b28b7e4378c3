#include "commands/tune_cells.h"

#include <algorithm>
#include <filesystem>

#include "config/atomic_file.h"
#include "config/json_pointer.h"
#include "config/json_text.h"
#include "config/read_file.h"
#include "config/stopwatch.h"
#include "config/toml_writer.h"
#include "host/kinds.h"
#include "host/store_keys.h"
#include "icl/text_fields.h"
#include "pipeline/record/record.h"

namespace dbsa::cli {
namespace {

using nlohmann::json;

std::string slice_file(size_t slice) {
  return "data/slice-" + std::to_string(slice + 1) + ".jsonl";
}

std::string with_braces(const std::string& text) {
  std::string out;
  for (const char c : text) out.append(c == '{' || c == '}' ? 2 : 1, c);
  return out;
}

// The same prompt of a text that is written already: the fields of a template are one.
std::string template_of_one_field(const DemonstrationTemplate& parts) {
  return with_braces(parts.before) + "{text}" + with_braces(parts.lead) + "{label}" +
         with_braces(parts.after);
}

// A store in the folder: of the start file's plugin, or of the default one where that keeps none.
Result<json> own_store(const host::ResolvedPipeline& start, const std::string& folder,
                       const host::PluginRegistry& registry) {
  const host::Manifest* plugin = start.stage(DBSA_KIND_KV_STORE).manifest;
  if (host::folder_key(*plugin) == nullptr) {
    DBSA_ASSIGN_OR_RETURN(plugin, host::default_plugin(DBSA_KIND_KV_STORE, registry));
  }
  const host::KeyRole* const key = host::folder_key(*plugin);
  if (key == nullptr)
    return Error{ErrorCode::kConfig,
                 plugin->id +
                     " keeps no store in a folder, which the candidates share; name a KV "
                     "store that does",
                 "/kv_store/plugin"};
  const std::string table = std::string(host::kind_name(DBSA_KIND_KV_STORE)) + ".";
  return json{{table + "plugin", registry.name_of(*plugin)}, {table + key->key, folder}};
}

// What all cells have besides the start file: the split's data, and nothing that costs time without
// changing a label.
Result<json> common_settings(const json& start, const std::string& folder) {
  json set = {{"data.demonstrations", folder + "/data/pool.jsonl"},
              {"data.labels", folder + "/data/labels.jsonl"},
              {"data.text_field", "text"},
              {"data.label_field", "label"},
              {"data.delimiter", "auto"},
              {"data.demonstration_count", 0},
              {"data.query_count", 0},
              {"data.query_indices", ""},
              {"data.on_error", "report"},
              {"model.kv_error_queries", 0}};
  const std::string written = start.at("prompt").at("demonstration");
  if (!written.empty()) {
    DBSA_ASSIGN_OR_RETURN(
        const DemonstrationTemplate parts,
        parse_demonstration_template(written, start.at("data").at("label_field")));
    set["prompt.demonstration"] = template_of_one_field(parts);
  }
  if (start.at("model").at("batch_size") == 1) set["model.batch_size"] = 0;
  const json quick = {{"temperature", 1.0},
                      {"fit_temperature", false},
                      {"fit_confidence", false},
                      {"abstain_below", 0.0}};
  for (const auto& [key, value] : quick.items())
    if (start.at("decoding").at(key) != value) set["decoding." + key] = value;
  return set;
}

}  // namespace

Result<TuneCells> TuneCells::make(const host::ResolvedPipeline& start, const TuneSplit& split,
                                  const LabelNames& names, std::vector<int64_t> slices,
                                  SweepOptions options, const host::PluginRegistry& registry) {
  json config = start.json;
  config.erase("output");
  const std::string hash = identity_hash({{"start", config},
                                          {"pool", hash_rows(split.pool)},
                                          {"labels", split.labels},
                                          {"queries", hash_rows(split.queries)},
                                          {"slices", slices}});
  TuneCells cells;
  cells.folder_ = start.json.at("output").at("directory").get<std::string>() + "/tune-" +
                  std::filesystem::path(start.document.name()).stem().string() + "-" +
                  hash.substr(0, 12);
  cells.slices_ = std::move(slices);
  DBSA_ASSIGN_OR_RETURN(cells.set_, common_settings(start.json, cells.folder_));
  DBSA_ASSIGN_OR_RETURN(const json store, own_store(start, cells.folder_ + "/store", registry));
  cells.set_.update(store);
  cells.options_ = std::move(options);
  const auto write = [&](const std::string& name, const std::string& text) {
    return write_file_atomically(cells.folder_ + "/" + name, text);
  };
  DBSA_RETURN_IF_ERROR(write("start.toml", to_toml(start.json)));
  DBSA_RETURN_IF_ERROR(write("data/pool.jsonl", to_json_lines(split.pool, names)));
  std::string labels;
  for (const std::string& label : split.labels)
    labels += json{{"label", names.code_of(label)}}.dump() + "\n";
  DBSA_RETURN_IF_ERROR(write("data/labels.jsonl", labels));
  auto next = split.queries.begin();
  for (size_t i = 0; i < cells.slices_.size(); ++i) {
    const auto end = next + cells.slices_[i];
    DBSA_RETURN_IF_ERROR(write(slice_file(i), to_json_lines({next, end}, names)));
    next = end;
  }
  return cells;
}

Status TuneCells::lay_out(const std::vector<TuneCandidate>& candidates,
                          const host::PluginRegistry& registry) {
  json named = json::array(), slices = json::array();
  for (const TuneCandidate& candidate : candidates) {
    json set = json::object();
    for (const KeyValue& setting : candidate.settings) set[setting.key] = setting.value;
    named.push_back({{"name", candidate.name}, {"set", std::move(set)}});
  }
  for (size_t i = 0; i < slices_.size(); ++i)
    slices.push_back({{"name", "slice " + std::to_string(i + 1)},
                      {"set", {{"data.queries", folder_ + "/" + slice_file(i)}}}});
  const json sweep = {
      {"base", "start.toml"},
      {"title", "Candidates of dbsa-pipe tune"},
      {"output", {{"directory", "."}}},
      {"set", set_},
      {"axis",
       {{{"name", "candidate"}, {"value", named}}, {{"name", "queries"}, {"value", slices}}}}};
  const std::string path = folder_ + "/sweep.toml";
  DBSA_RETURN_IF_ERROR(write_file_atomically(path, to_toml(sweep)));
  DBSA_ASSIGN_OR_RETURN(sweep_, load_sweep(path, {}, registry));
  return {};
}

Result<SliceOutcome> TuneCells::answer(size_t candidate, size_t slice,
                                       const std::function<bool()>& go_on,
                                       const host::HostServices& services, Terminal& terminal) {
  const SweepCell& cell = sweep_->cells[candidate * slices_.size() + slice];
  SliceOutcome outcome;
  std::optional<double> seconds;
  if (cell_state(*sweep_, cell) != CellState::kDone) {
    SweepOptions options = options_;
    options.watch = go_on;
    const Stopwatch clock;
    const Result<SweepOutcome> run = run_cells(*sweep_, {&cell}, options, services, terminal);
    seconds = clock.seconds();
    if (!run.ok() && (run.error().code != ErrorCode::kCancelled || services.cancelled()))
      return run.error();
    const bool done = cell_state(*sweep_, cell) == CellState::kDone;
    if (!done && !run.ok()) return outcome;  // out of time
    if (!done && run->failures.empty())
      return Error{ErrorCode::kCancelled, "a process was stopped by a signal", ""};
    if (!done) {
      outcome.kind = SliceOutcome::Kind::kFailed;
      outcome.failure = run->failures.front().message;
      return outcome;
    }
  }
  DBSA_ASSIGN_OR_RETURN(outcome.answers, read_answers(cell, slice, seconds));
  outcome.kind = SliceOutcome::Kind::kAnswered;
  return outcome;
}

// seconds: of its process, where that was seen.
Result<SliceAnswers> TuneCells::read_answers(const SweepCell& cell, size_t slice,
                                             std::optional<double> seconds) const {
  const std::string path = folder_ + "/" + cell_record_path(cell);
  DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(path, kMaxRecordFileBytes));
  json record;
  const auto count = static_cast<size_t>(slices_[slice]);
  SliceAnswers answers;
  try {
    if (!parse_json(file.text, record)) {
      for (const json& query : record.at("queries"))
        answers.right.push_back(static_cast<char>(query.at("correct") == true));
      const double answering = record.at("totals").at("answer_seconds");
      answers.query_seconds = answering / static_cast<double>(count);
      const double encoding = record.at("encode").at("encode_seconds");
      const double setup = record.at("encode").at("setup_seconds");
      answers.once_seconds =
          std::max(0.0, seconds ? *seconds - answering - encoding : setup - encoding);
    }
  } catch (const json::exception&) {
    answers.right.clear();
  }
  if (answers.right.size() == count) return answers;
  return Error{ErrorCode::kCorrupt,
               path + ": expected a record of " + std::to_string(count) +
                   " queries, found another file; remove it and run the same command again",
               ""};
}

}  // namespace dbsa::cli
