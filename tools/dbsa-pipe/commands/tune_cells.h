// The candidates of `tune` as cells of a sweep: each answers a slice of the queries in a separate
// process, and its record is kept, so that a tune that was stopped continues.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "commands/sweep_run.h"
#include "host/resolve.h"
#include "pipeline/settings/layers.h"
#include "sweep/halving.h"
#include "sweep/sweep.h"
#include "sweep/tune_split.h"

namespace dbsa::cli {

struct TuneCandidate {
  std::string name;    // "start", "selection.ratio = 0.5"
  KeyValues settings;  // over the start file's
};

class TuneCells {
 public:
  // Writes the pool, the labels and the slices as data files to a folder below output.directory,
  // whose name stands for the start file and the split. slices: of split.queries, in their order.
  static Result<TuneCells> make(const host::ResolvedPipeline& start, const TuneSplit& split,
                                const LabelNames& names, std::vector<int64_t> slices,
                                SweepOptions options, const host::PluginRegistry& registry);

  // Lays the sweep out for these candidates, in the order that answer() names them.
  Status lay_out(const std::vector<TuneCandidate>& candidates,
                 const host::PluginRegistry& registry);

  // The candidate's answers to a slice, of its record where there is one. go_on: see
  // SweepOptions::watch; kNoTime once it says false.
  Result<SliceOutcome> answer(size_t candidate, size_t slice, const std::function<bool()>& go_on,
                              const host::HostServices& services, Terminal& terminal);

  const std::string& folder() const { return folder_; }

 private:
  Result<SliceAnswers> read_answers(const SweepCell& cell, size_t slice,
                                    std::optional<double> seconds) const;

  std::string folder_;
  std::vector<int64_t> slices_;
  nlohmann::json set_;  // in every cell
  SweepOptions options_;
  std::optional<Sweep> sweep_;
};

}  // namespace dbsa::cli
