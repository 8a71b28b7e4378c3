// The answers of a run as they come, on disk, so that a run that is stopped need not give them
// again.
//
// journal_path for a run, beside its table for `query --output`: a header, then a line for each
// query in the order of the file, written before the next batch is answered. The process that
// answers keeps it flock'ed. A line that a kill has cut, and what follows a line that is not as it
// was written, is dropped by whoever continues. It goes once the result record is written.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/file_calls.h"
#include "pipeline/record/record.h"

namespace dbsa {

struct JournalEntry {
  Outcome outcome;
  double answer_seconds = 0;  // wall time of this query and those before it
};

class Journal {
 public:
  // Opens the journal of these queries, and makes it where there is none. What is in one of another
  // identity is dropped. fresh: without what is in it. encode: what the run has encoded; kept for
  // whoever continues. kEnvironment with the cause, also where another run is answering the same
  // queries.
  static Result<Journal> open(const std::string& path, const std::string& identity,
                              const EncodeReport& encode, std::span<const Row> queries, bool fresh);

  const std::string& path() const { return path_; }
  // Whether answers were dropped because they are of another identity.
  bool was_of_another() const { return was_of_another_; }
  // What an earlier process has answered, from the first query on.
  const std::vector<JournalEntry>& entries() const { return entries_; }
  // Adds what earlier processes have encoded to the report of this one.
  void add_encoded(EncodeReport& report) const;

  // Writes a query's line with one write. After a failure nothing more is written.
  Status append(const Row& query, const JournalEntry& entry);
  // Makes what was appended durable.
  Status sync();
  // Removes the file. Where it cannot go, it is emptied; kEnvironment where that fails, too.
  Status remove();

 private:
  Journal(std::string path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  void read(const std::string& identity, std::span<const Row> queries);
  Status write(std::string_view line);

  std::string path_;
  Descriptor file_;
  std::vector<JournalEntry> entries_;
  bool was_of_another_ = false;
  nlohmann::json header_;  // null: none there yet
  uint64_t bytes_ = 0;     // of whole lines
};

// <directory>/<stem of the pipeline file>-<16 digits of the identity>.journal.jsonl
std::string journal_path(const std::string& directory, const std::string& pipeline_path,
                         const std::string& identity);
// <table>.journal.jsonl
std::string table_journal_path(const std::string& table);
// Whether a file's name is one of a journal.
bool is_journal_name(std::string_view name);

}  // namespace dbsa
