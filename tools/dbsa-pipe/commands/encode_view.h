// EncodeView: stage one as the user sees it: what is about to be done, how far it is, what was
// done.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

// What an edit of the demonstrations comes to: how many blocks it encodes, and why. None where
// there is no pool whose blocks are kept, or it is as it was.
std::vector<std::string> edit_lines(const EncodeEstimate& estimate);

class EncodeView {
 public:
  explicit EncodeView(Terminal& terminal) : terminal_(terminal) {}

  // For Pipeline::encode; the view must outlive the call.
  EncodeObserver observer();
  // After the call: what was encoded, in a line.
  void finish(const EncodeReport& report);
  // After a cancelled call. kept: whether the store outlives the process.
  std::string stopped_message(bool kept) const;

 private:
  void show_encoded(const EncodeReport& report);

  Terminal& terminal_;
  std::optional<Progress> progress_;
  std::optional<Progress> calibrating_;
  EncodeProgress last_;
};

}  // namespace dbsa::cli
