// Result records and sweeps made up for tests: valid, with the figures that a test wants.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/input.h"
#include "tests/support/workspace.h"

namespace dbsa {

struct RecordFigures {
  std::optional<double> accuracy = 0.5;
  int64_t seed = 1;
  int64_t demonstrations = 100;
  double request = 0.01;  // mean seconds
  double setup = 2;
  int64_t blocks_reused = 0;
  std::string mask = "dbsa";
};

// In a record: each is a hundredth of the accuracy. Which are right differs between seeds.
inline constexpr int64_t kRecordQueries = 100;

// Accepted by schemas/results.schema.json, without an identity: as an earlier version wrote it.
nlohmann::json make_record(const RecordFigures& figures);
// With an identity. Each part is made of a word that stands for its content.
struct IdentityWords {
  std::string model = "model", demonstrations = "train", queries = "test", retriever = "bm25 1";
};
nlohmann::json with_identity(nlohmann::json record, const IdentityWords& words = {});
// The record as a report reads it; any fault is a test failure.
ReportRun make_run(const RecordFigures& figures, AxisValues values = {});
ReportRun read_run(const nlohmann::json& record, AxisValues values = {});

// sweep.json of the axes method (dense, DBSA) and size (100, 200), `runs` runs, baseline dense. The
// cell of method m, size s and run r is number (2 m + s) runs + r, counted from 0, 0, 1.
nlohmann::json make_sweep(int64_t runs);
// A folder with that sweep.json and a record for every cell except those of `without`, which count
// from 1. Returns its path.
std::string write_sweep(const Workspace& workspace, const std::string& folder, int64_t runs,
                        const std::vector<int64_t>& without = {});

}  // namespace dbsa
