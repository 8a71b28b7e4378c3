#include "pipeline/run_identity.h"

#include <utility>
#include <vector>

#include "pipeline/identity.h"

namespace dbsa {
namespace {

std::string hash_queries(std::span<const Row> queries) {
  std::vector<std::string> parts;
  for (const Row& row : queries) {
    parts.push_back(std::to_string(row.example.line));
    parts.push_back(row.example.text);
    const std::vector<std::string> labels = all_labels(row.example);
    parts.push_back(hash_list(labels));
    parts.push_back(row.error ? row.error->message : "");
  }
  return hash_list(parts);
}

}  // namespace

std::string run_identity(const RunRecord& record, std::span<const Row> queries) {
  nlohmann::json config = record.config;
  config.erase("output");
  config.at("model").erase("batch_size");
  std::vector<std::string> parts = {record.program_version,    config.dump(),
                                    record.model.fingerprint,  record.model.tokenizer,
                                    record.model.compute,      record.model.kv_dtype,
                                    record.model.backend,      record.encode.demonstrations_hash,
                                    record.encode.blocks_hash, hash_list(record.encode.labels),
                                    hash_queries(queries)};
  for (const PluginRecord& plugin : record.plugins) {
    parts.push_back(plugin.stage + " " + plugin.id + " " + std::to_string(plugin.revision));
    parts.push_back(plugin.library_hash);
  }
  return hash_list(parts);
}

}  // namespace dbsa
