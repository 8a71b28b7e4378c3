#include "pipeline/record/journal_identity.h"

#include <vector>

#include "pipeline/identity/identity.h"

namespace dbsa {

std::string journal_identity(const RunRecord& record, std::span<const Row> queries) {
  std::vector<std::string> parts = {record.program_version,    record.identity.run,
                                    record.model.backend,      record.encode.demonstrations_hash,
                                    record.encode.blocks_hash, hash_list(record.encode.labels),
                                    hash_rows(queries)};
  for (const Row& row : queries) parts.push_back(std::to_string(row.example.line));
  if (record.encode.calibration)
    parts.push_back(calibration_text(*record.encode.calibration, record.identity.run));
  for (const PluginRecord& plugin : record.plugins) parts.push_back(plugin.library_hash);
  return hash_list(parts);
}

}  // namespace dbsa
