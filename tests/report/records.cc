#include "tests/report/records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "pipeline/identity/identity.h"

namespace dbsa {
namespace {

using nlohmann::json;

json percentiles(double mean) { return {{"mean", mean}, {"p50", 0.9 * mean}, {"p95", 1.5 * mean}}; }

int64_t right_answers(const RecordFigures& figures) {
  return std::llround(figures.accuracy.value_or(0) * static_cast<double>(kRecordQueries));
}

json totals_of(const RecordFigures& figures) {
  json totals = {{"queries", kRecordQueries},
                 {"labelled", figures.accuracy ? kRecordQueries : 0},
                 {"items",
                  {{"answered", kRecordQueries},
                   {"errors", 0},
                   {"truncated", 0},
                   {"unknown_labels", 0},
                   {"labels_covered", 2}}},
                 {"correct", figures.accuracy ? json(right_answers(figures)) : json(nullptr)},
                 {"accuracy", figures.accuracy ? json(*figures.accuracy) : json(nullptr)},
                 {"accuracy_95", figures.accuracy ? json({0.1, 0.9}) : json(nullptr)},
                 {"text_scores", nullptr},
                 {"macro_f1", figures.accuracy ? json(*figures.accuracy) : json(nullptr)},
                 {"setup_seconds", figures.setup},
                 {"answer_seconds", static_cast<double>(kRecordQueries) * figures.request},
                 {"request_seconds", percentiles(figures.request)},
                 {"kv_bytes", 1000 * figures.demonstrations},
                 {"kv_error", nullptr},
                 {"peak_memory_bytes", 5 << 20},
                 {"blocks_encoded", 10},
                 {"blocks_reused", figures.blocks_reused},
                 {"blocks_rebuilt", 0}};
  for (const char* stage : {"retrieve", "load", "verify", "decode", "rebuild"})
    totals["stage_seconds"][stage] = percentiles(0);
  totals["stage_seconds"]["prefill"] = percentiles(figures.request);
  return totals;
}

// Query i, from 0: odd ones take half as long again as even ones, and select three times as much.
json query_of(const RecordFigures& figures, int64_t i) {
  const bool right = (37 * i + 11 * figures.seed) % kRecordQueries < right_answers(figures);
  const double seconds = (i % 2 == 0 ? 0.8 : 1.2) * figures.request;
  json query = {{"line", i + 1},
                {"text", "card " + std::to_string(i + 1) + " lost"},
                {"expected", figures.accuracy ? json("alpha") : json(nullptr)},
                {"correct", figures.accuracy ? json(right) : json(nullptr)},
                {"label", right ? "alpha" : "beta"},
                {"log_probability", -0.5},
                {"runner_up", nullptr},
                {"label_log_probabilities", nullptr},
                {"text_scores", nullptr},
                {"blocks", json::array()},
                {"tokens", {{"query", 7}, {"selected", i % 2 == 0 ? 100 : 300}, {"cut", 0}}},
                {"blocks_rebuilt", 0},
                {"seconds", {{"total", seconds}, {"prefill", seconds}}}};
  for (const char* stage : {"retrieve", "load", "verify", "decode", "rebuild"})
    query["seconds"][stage] = 0;
  return query;
}

json queries_of_record(const RecordFigures& figures) {
  json queries = json::array();
  for (int64_t i = 0; i < kRecordQueries; ++i) queries.push_back(query_of(figures, i));
  return queries;
}

json config_of(const RecordFigures& figures) {
  return {{"model", {{"path", "/models/tiny"}}},
          {"data",
           {{"demonstrations", "/data/bank/train.jsonl"},
            {"demonstration_count", figures.demonstrations},
            {"seed", figures.seed}}},
          {"prompt", json::object()},
          {"block_grouper", {{"plugin", "dbsa.block_grouper.random"}, {"seed", figures.seed}}},
          {"mask_pattern", {{"plugin", "dbsa.mask_pattern." + figures.mask}}},
          {"retriever", {{"plugin", "dbsa.retriever.bm25"}}},
          {"selection", {{"ratio", 0.3}}},
          {"kv_store", {{"path", "/stores/" + std::to_string(figures.seed)}}},
          {"attention_backend", json::object()},
          {"decoding", json::object()},
          {"output", {{"directory", "/runs/" + figures.mask}}}};
}

}  // namespace

json make_record(const RecordFigures& figures) {
  const std::string hash(32, '0');
  json plugins = json::array();
  for (const char* stage :
       {"block_grouper", "mask_pattern", "retriever", "kv_store", "attention_backend"})
    plugins.push_back({{"stage", stage},
                       {"id", std::string("dbsa.") + stage + ".x"},
                       {"version", "1"},
                       {"revision", 1},
                       {"library", "x.so"},
                       {"library_hash", hash}});
  return {{"schema_version", 1},
          {"program", {{"name", "dbsa-pipe"}, {"version", "0.1.0"}}},
          {"started_at", "2026-01-31T12:00:00Z"},
          {"pipeline", "/pipelines/bank.toml"},
          {"config", config_of(figures)},
          {"seeds", {{"data", figures.seed}, {"block_grouper", figures.seed}}},
          {"plugins", std::move(plugins)},
          {"model",
           {{"path", "/models/tiny"},
            {"family", "llama"},
            {"parameters", 1500000},
            {"fingerprint", hash},
            {"tokenizer", "t"},
            {"compute", "f32"},
            {"kv_dtype", "f32"},
            {"backend", "cpu"}}},
          {"machine",
           {{"cpu", "A processor"},
            {"architecture", "x86_64"},
            {"cores", 2},
            {"threads", 2},
            {"memory_bytes", 8LL << 30},
            {"os", "Debian"},
            {"kernel", "Linux 6"}}},
          {"encode",
           {{"pool_id", "p"},
            {"manifest", ""},
            {"demonstrations", figures.demonstrations},
            {"blocks", 10},
            {"tokens", 20 * figures.demonstrations},
            {"kv_bytes", 1000 * figures.demonstrations},
            {"blocks_encoded", 10},
            {"tokens_encoded", 20 * figures.demonstrations},
            {"bytes_stored", 0},
            {"blocks_rebuilt", 0},
            {"index_reused", false},
            {"labels", 4},
            {"demonstrations_hash", hash_list(std::vector{std::to_string(figures.seed),
                                                          std::to_string(figures.demonstrations)})},
            {"blocks_hash", hash},
            {"label_names", {"alpha", "beta"}},
            {"setup_seconds", figures.setup},
            {"encode_seconds", figures.setup},
            {"assignment", json::array()}}},
          {"totals", totals_of(figures)},
          {"queries", queries_of_record(figures)}};
}

json with_identity(json record, const IdentityWords& words) {
  const auto hash = [](std::vector<std::string> parts) { return hash_list(parts); };
  json config = record.at("config");
  for (const char* table : {"data", "block_grouper"}) config[table].erase("seed");
  config.erase("output");
  config["kv_store"].erase("path");
  record["identity"] = {{"run", hash({record.dump()})},
                        {"group", hash({words.model, words.demonstrations, words.queries,
                                        words.retriever, config.dump()})},
                        {"draw", hash({words.demonstrations, record.at("seeds").dump()})},
                        {"inputs",
                         {{"model", hash({words.model})},
                          {"tokenizer", hash({"tokenizer"})},
                          {"embedding", nullptr},
                          {"demonstrations", hash({words.demonstrations})},
                          {"queries", hash({words.queries})},
                          {"labels", nullptr}}},
                        {"stages", {{"retriever", hash({words.retriever})}}}};
  return record;
}

ReportRun read_run(const json& record, AxisValues values) {
  std::vector<std::string> faults;
  auto run = parse_record("record.json", record.dump(), faults);
  for (const std::string& fault : faults) ADD_FAILURE() << fault;
  if (!run) return {};
  run->values = std::move(values);
  return *std::move(run);
}

ReportRun make_run(const RecordFigures& figures, AxisValues values) {
  return read_run(make_record(figures), std::move(values));
}

json make_sweep(int64_t runs) {
  json cells = json::array();
  for (const char* method : {"dense", "DBSA"})
    for (const char* size : {"100", "200"})
      for (int64_t run = 1; run <= runs; ++run) {
        std::array<char, 16> number;
        std::snprintf(number.data(), number.size(), "%04zu", cells.size() + 1);
        cells.push_back({{"index", cells.size() + 1},
                         {"run", run},
                         {"values", {{"method", method}, {"size", size}}},
                         {"name", std::string(method) + "/" + size + "/" + std::to_string(run)},
                         {"pipeline", std::string("cells/") + number.data() + ".toml"},
                         {"record", std::string("records/") + number.data() + ".json"}});
      }
  return {{"schema_version", 1},
          {"title", "Masks"},
          {"sweep", "/sweeps/masks.toml"},
          {"axes",
           {{{"name", "method"}, {"values", {"dense", "DBSA"}}},
            {{"name", "size"}, {"values", {"100", "200"}}}}},
          {"runs", runs},
          {"baseline", {{"method", "dense"}}},
          {"published",
           {{{"cell", {{"method", "DBSA"}}},
             {"metric", "accuracy"},
             {"value", 0.9},
             {"source", "Table 1"}}}},
          {"cells", std::move(cells)}};
}

std::string write_sweep(const Workspace& workspace, const std::string& folder, int64_t runs,
                        const std::vector<int64_t>& without) {
  const json sweep = make_sweep(runs);
  workspace.write(folder + "/sweep.json", sweep.dump());
  int64_t index = 0;
  for (const json& cell : sweep.at("cells")) {
    if (std::find(without.begin(), without.end(), ++index) != without.end()) continue;
    const bool dense = cell.at("values").at("method") == "dense";
    const auto run = cell.at("run").get<int64_t>();
    RecordFigures figures;
    figures.seed = run;
    figures.demonstrations = std::stoll(cell.at("values").at("size").get<std::string>());
    figures.accuracy = (dense ? 0.8 : 0.7) + 0.01 * static_cast<double>(run);
    figures.request = dense ? 0.04 : 0.01;
    figures.setup = dense ? 1 : 4;
    workspace.write(folder + "/" + cell.at("record").get<std::string>(),
                    make_record(figures).dump());
  }
  return workspace.path(folder);
}

}  // namespace dbsa
