#include "commands/encode_view.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "terminal/units.h"

namespace dbsa::cli {

namespace {

// "line 57", "lines 57, 60 and 3 more"
std::string lines_text(const std::vector<int64_t>& lines) {
  constexpr size_t kShown = 5;
  std::string text = lines.size() == 1 ? "line " : "lines ";
  for (size_t i = 0; i < std::min(kShown, lines.size()); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(lines[i]);
  if (lines.size() > kShown) text += " and " + std::to_string(lines.size() - kShown) + " more";
  return text;
}

std::string change_text(const DemonstrationChange& change) {
  std::string text;
  const auto add = [&](int64_t count, const std::string& what) {
    if (count > 0)
      text += (text.empty() ? "" : ", ") + counted(count, "demonstration") + " " + what;
  };
  if (const auto edited = static_cast<int64_t>(change.edited_lines.size()); edited > 0)
    add(edited, "edited (" + lines_text(change.edited_lines) + ")");
  add(change.added, "added");
  add(change.removed, "removed");
  return text;
}

std::string reasons_text(const EncodeReasons& reasons) {
  std::string text;
  const auto add = [&](int64_t count, const std::string& what) {
    if (count > 0) text += (text.empty() ? "" : ", ") + human_count(count) + " " + what;
  };
  add(reasons.changed, "changed");
  add(reasons.behind, "behind a block that is encoded again or moved");
  add(reasons.added, "new");
  add(reasons.missing, "not in the store any more");
  add(reasons.otherwise, "computed differently before");
  return text;
}

}  // namespace

std::vector<std::string> edit_lines(const EncodeEstimate& estimate) {
  std::vector<std::string> lines;
  if (!estimate.change) return lines;
  if (estimate.change->any())
    lines.push_back("edit       " + change_text(*estimate.change) + " since this pool was encoded");
  if (estimate.change->any() || estimate.blocks_to_encode > 0)
    lines.push_back("           encodes " + human_count(estimate.blocks_to_encode) + " of " +
                    counted(estimate.blocks, "block") +
                    (estimate.blocks_to_encode > 0 ? ": " + reasons_text(estimate.reasons) : ""));
  if (estimate.retired_blocks > 0)
    lines.push_back("retired    " + counted(estimate.retired_blocks, "block") +
                    ", given to no query; others were encoded behind " +
                    (estimate.retired_blocks == 1 ? "it" : "them"));
  return lines;
}

EncodeObserver EncodeView::observer() {
  EncodeObserver observer;
  observer.estimate = [this](const EncodeEstimate& estimate) {
    terminal_.set_progress("");
    if (estimate.demonstrations == 0)
      terminal_.note("pool       zero-shot: no demonstrations" +
                     (estimate.tokens > 0 ? ", a prefix of " + counted(estimate.tokens, "token")
                                          : std::string()));
    else
      terminal_.note("pool       " + counted(estimate.demonstrations, "demonstration") + " in " +
                     counted(estimate.blocks, "block") + ", " + counted(estimate.tokens, "token"));
    for (const std::string& line : edit_lines(estimate)) terminal_.note(line);
    last_.blocks_total = estimate.blocks_to_encode;
    if (estimate.blocks_to_encode == 0) return;
    terminal_.note("to encode  " + counted(estimate.blocks_to_encode, "block") + ", " +
                   counted(estimate.tokens_to_encode, "token") + ", " +
                   human_bytes(estimate.bytes_to_store) + " of KV (" +
                   human_bytes(estimate.free_bytes) + " free)");
    progress_.emplace(terminal_, "encoding  ", "tokens");
    progress_->update(0, estimate.tokens_to_encode);
  };
  observer.progress = [this](const EncodeProgress& progress) {
    last_ = progress;
    if (progress_) progress_->update(progress.tokens_done, progress.tokens_total);
  };
  observer.calibrating = [this](int64_t done, int64_t total) {
    progress_.reset();
    if (!calibrating_) calibrating_.emplace(terminal_, "calibrating ", "held-out demonstrations");
    calibrating_->update(done, total);
  };
  return observer;
}

namespace {

// "calibrated temperature 2.31; expected calibration error 0.26, now 0.03, on 500 held-out ..."
std::string calibration_line(const EncodeReport& report) {
  const Calibration& made = *report.calibration;
  std::array<char, 192> text = {};
  std::snprintf(text.data(), text.size(),
                "calibrated temperature %.3f, %scalibration error %.3f (%.3f before) on ",
                made.temperature, made.curve ? "a curve of confidence, " : "", made.error_after,
                made.error_before);
  return text.data() + counted(made.answered, "held-out demonstration") +
         (report.calibration_reused ? ", found in the store" : "");
}

}  // namespace

void EncodeView::finish(const EncodeReport& report) {
  show_encoded(report);
  if (report.calibration) terminal_.note(calibration_line(report));
}

void EncodeView::show_encoded(const EncodeReport& report) {
  progress_.reset();
  calibrating_.reset();
  if (report.estimate.blocks == 0) {
    terminal_.note("encoded    nothing to encode: the query alone is the prompt");
    return;
  }
  const int64_t reused =  // none where no stored block is used
      report.kv_bytes > 0 ? report.estimate.blocks - report.blocks_encoded : 0;
  std::string line = "encoded    " + counted(report.blocks_encoded, "block");
  if (report.blocks_encoded > 0) {
    line += " in " + human_seconds(report.encode_seconds);
    if (report.encode_seconds > 0)
      line += " (" +
              human_rate(static_cast<double>(report.tokens_encoded) / report.encode_seconds) +
              " tokens/s)";
  }
  if (reused > 0) line += ", " + human_count(reused) + " found in the store";
  if (report.blocks_rebuilt > 0)
    line += ", " + human_count(report.blocks_rebuilt) + " found damaged and computed again";
  terminal_.note(line);
}

std::string EncodeView::stopped_message(bool kept) const {
  if (!kept) return "stopped; nothing was saved, because this store lives in memory";
  return "stopped: " + human_count(last_.blocks_done) + " of " +
         counted(last_.blocks_total, "block") +
         " encoded and kept; run the same command again to go on from here";
}

}  // namespace dbsa::cli
