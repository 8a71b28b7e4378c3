// dbsa-pipe tune: looks for better settings of a pipeline file on held-out demonstrations.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <numeric>

#include "commands.h"
#include "commands/tune_cells.h"
#include "commands/tune_file.h"
#include "commands/tune_result.h"
#include "config/absolute_path.h"
#include "config/atomic_file.h"
#include "config/stopwatch.h"
#include "icl/linear_classifier.h"
#include "json_output.h"
#include "options.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "sweep/tune_space.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine tune_command_line() {
  CommandLine line(
      {"tune", "PIPELINE --minutes N",
       "Look for better settings of a pipeline file, and write a new one.",
       "Tries other block sizes, shares of blocks, retrievers, scorers and orders on "
       "demonstrations "
       "that are\nheld out of the pool, never on data.queries: all of them on a few, the better "
       "half "
       "on more, and so on.\nThe best is then compared with the file's own settings on other "
       "held-out "
       "demonstrations. Only where it\nis better there beyond chance it goes into the new file, "
       "whose "
       "comments say what was chosen and by how\nmuch. TF-IDF + logistic regression answers the "
       "same "
       "demonstrations: where it is as good, use it instead.\n\nThe minutes are kept: what there "
       "was "
       "no time for is named. Ctrl-C leaves no file; what was answered is\nkept in a folder below "
       "output.directory, and the same command continues there, with all of its minutes.",
       "dbsa-pipe tune pipeline.toml --minutes 10\n"
       "dbsa-pipe tune pipeline.toml --minutes 60 --output better.toml --json"});
  line.arguments({"PIPELINE"}, 1);
  line.value("minutes", "N", "how long to look, at most; needed");
  line.value("output", "FILE",
             "the new pipeline file (default: PIPELINE with .tuned before .toml)");
  line.flag("force", "overwrite the new file where it is there");
  line.integer("held-out", "N",
               "demonstrations to try settings on (default: those that data.demonstration_count "
               "leaves out, where there are 400, else a fifth of the pool; at most 2,000)");
  line.integer("seed", "N", "draws other held-out demonstrations (default 0)");
  add_pipeline_options(line);
  add_output_options(line);
  return line;
}
namespace {

Error wrong(const std::string& what) { return {ErrorCode::kConfig, what, ""}; }

Result<double> minutes_of(const CommandLine& line) {
  constexpr double kMost = 7 * 24 * 60;
  if (!line.has("minutes"))
    return wrong("dbsa-pipe tune: expected --minutes N, how long to look, as in --minutes 10");
  const std::string text = line.text("minutes");
  double minutes = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, minutes, std::chars_format::fixed);
  if (parsed.ec == std::errc() && parsed.ptr == end && minutes >= 0.001 && minutes <= kMost)
    return minutes;
  return wrong("--minutes: must be a number between 0.001 and 10080, got " + text);
}

// The path of the new file, which may be written.
Result<std::string> output_of(const CommandLine& line) {
  const std::string start = absolute_path(line.text("PIPELINE"));
  std::filesystem::path path = start;
  if (line.has("output")) {
    if (line.text("output").empty()) return wrong("--output: expected the name of a file");
    path = absolute_path(line.text("output"));
  } else {
    path.replace_filename(path.stem().string() + ".tuned.toml");
  }
  std::error_code absent;
  if (path == start || std::filesystem::equivalent(path, start, absent))
    return wrong("--output " + shown_path(path) +
                 ": is the start file, which is not overwritten; name another file");
  if (std::filesystem::is_directory(path, absent))
    return wrong("--output " + shown_path(path) + ": is a folder; name a file in it");
  if (!line.has("force") && std::filesystem::exists(path, absent))
    return wrong(shown_path(path) +
                 ": is there already; overwrite it with --force, or name another file with "
                 "--output");
  return path.string();
}

std::string command_text(const CommandLine& line) {
  std::string text =
      "dbsa-pipe tune " + line.text("PIPELINE") + " --minutes " + line.text("minutes");
  for (const char* option : {"held-out", "seed"})
    if (const auto number = line.number(option))
      text += std::string(" --") + option + " " + std::to_string(*number);
  for (const std::string& setting : line.texts("set")) text += " --set " + setting;
  return text;
}

SweepOptions sweep_options(const CommandLine& line, int threads) {
  SweepOptions options;
  options.child_options = {"--threads", std::to_string(threads)};
  for (const std::string& folder : line.texts("plugin-path")) {
    options.child_options.emplace_back("--plugin-path");
    options.child_options.push_back(absolute_path(folder));
  }
  return options;
}

// One search, from the split to the figures.
class Search {
 public:
  Search(Session& session, const CommandLine& line, Terminal& terminal, double minutes)
      : session_(session),
        line_(line),
        terminal_(terminal),
        limit_(60 * minutes),
        seed_(static_cast<uint64_t>(line.number("seed").value_or(0))) {}

  // Wherever it is stopped, it says what is kept.
  Result<TuneResult> run() {
    const Status searched = search();
    if (!searched.ok() && searched.error().code == ErrorCode::kCancelled) return stopped();
    DBSA_RETURN_IF_ERROR(searched);
    result_.seconds = clock_.seconds();
    return std::move(result_);
  }

 private:
  Status search() {
    DBSA_RETURN_IF_ERROR(prepare());
    DBSA_RETURN_IF_ERROR(try_linear());
    DBSA_RETURN_IF_ERROR(select());
    return confirm_best();
  }

  // Shares of the time that end the linear classifier and the choice; the rest confirms.
  static constexpr double kLinear = 0.2, kSelection = 0.65;

  Status prepare() {
    DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(session_.resolved().json));
    settings_ = settings;
    const auto held_out = line_.number("held-out");
    if (held_out && (*held_out < 2 || *held_out > 1000000))
      return wrong("--held-out: must be between 2 and 1000000, got " + std::to_string(*held_out));
    DBSA_ASSIGN_OR_RETURN(split_, split_for_tuning(settings.data, seed_, held_out));
    DBSA_ASSIGN_OR_RETURN(changes_, tune_changes(session_.resolved(), session_.registry(),
                                                 static_cast<int64_t>(split_.pool.size())));
    const auto queries = static_cast<int64_t>(split_.queries.size());
    result_.selection_queries = (queries + 1) / 2;
    result_.confirmation_queries = queries - result_.selection_queries;
    result_.pool = static_cast<int64_t>(split_.pool.size());
    result_.from_pool = split_.from_pool;
    result_.candidates = {{"start", {}}};
    for (const TuneChange& change : changes_)
      result_.candidates.push_back({change.name, change.settings});
    selection_slices_ = slice_sizes(result_.selection_queries);
    confirmation_slices_ = slice_sizes(result_.confirmation_queries);
    std::vector<int64_t> slices = selection_slices_;
    slices.insert(slices.end(), confirmation_slices_.begin(), confirmation_slices_.end());
    DBSA_ASSIGN_OR_RETURN(
        cells_, TuneCells::make(
                    session_.resolved(), split_, settings_.data.names, std::move(slices),
                    sweep_options(line_, session_.services().thread_count()), session_.registry()));
    result_.directory = cells_->folder();
    DBSA_RETURN_IF_ERROR(cells_->lay_out(result_.candidates, session_.registry()));
    terminal_.note(
        "held out   " + counted(queries, "demonstration") + " to try settings on, " +
        (split_.from_pool ? "taken out of the pool, which has " : "besides the pool of ") +
        human_count(result_.pool));
    return {};
  }

  std::vector<Example> queries(bool confirmation) const {
    const auto half = split_.queries.begin() + result_.selection_queries;
    return confirmation ? std::vector<Example>(half, split_.queries.end())
                        : std::vector<Example>(split_.queries.begin(), half);
  }

  // Of four penalties the one that is best on the queries of the choice; like the candidates, it
  // is judged on the others.
  Status try_linear() {
    set_phase("training the linear classifier");
    if (settings_.decoding.method == DecodingMethod::kFree) {
      result_.no_linear = "decoding.method = \"free\" has no set of labels";
      return {};
    }
    const auto stop = [&] {
      return session_.services().cancelled() || clock_.seconds() > kLinear * limit_;
    };
    int64_t most = -1;
    for (const double penalty : {1.0, 10.0, 100.0, 1000.0}) {
      show("linear classifier");
      const auto trained = LinearClassifier::train(split_.pool, penalty, stop);
      if (session_.services().cancelled()) return stopped();
      if (!trained) break;
      const auto answer = [&](bool confirmation) {
        std::vector<char> right;
        for (const Example& query : queries(confirmation))
          right.push_back(static_cast<char>(is_right(query, trained->predict(query.text))));
        return right;
      };
      const std::vector<char> selection = answer(false);
      const int64_t right = std::count(selection.begin(), selection.end(), 1);
      if (right <= most) continue;
      most = right;
      result_.linear = {penalty, answer(true)};
    }
    terminal_.set_progress("");
    if (!result_.linear) result_.no_linear = "its training took longer than a fifth of the time";
    if (result_.linear)
      terminal_.note("linear     " + figure_text(figure_of(result_.linear->right)) +
                     ", TF-IDF + logistic regression");
    return {};
  }

  HalvingTask task(const std::vector<int64_t>& slices, size_t first_slice) {
    HalvingTask task;
    task.slices = slices;
    task.seconds = [this] { return clock_.seconds(); };
    task.answer = [this, first_slice](size_t candidate, size_t slice, double until) {
      const auto go_on = [&] {
        show(phase_ + ": " + result_.candidates[candidate].name);
        return clock_.seconds() < until;
      };
      return cells_->answer(candidate, first_slice + slice, go_on, session_.services(), terminal_);
    };
    return task;
  }

  Status select() {
    set_phase("trying candidates");
    HalvingTask selection = task(selection_slices_, 0);
    selection.round_begins = [this](size_t round, const std::vector<size_t>& candidates) {
      phase_ = "round " + std::to_string(round) + " of " +
               counted(static_cast<int64_t>(candidates.size()), "candidate");
    };
    selection.round_ends = [this](const HalvingRound& round,
                                  const std::vector<Candidate>& candidates) {
      terminal_.set_progress("");
      if (round.candidates.empty()) return;
      const auto figure = [&](size_t candidate) {
        std::vector<char> right = candidates[candidate].right;
        right.resize(std::min(right.size(), round.queries));
        return result_.candidates[candidate].name + " " + figure_text(figure_of(right));
      };
      const size_t best = round.candidates.front();
      terminal_.note(phase_ + " on " + counted_queries(static_cast<int64_t>(round.queries)) + ": " +
                     figure(0) + (best == 0 ? ", ahead of all" : "; ahead: " + figure(best)));
    };
    Status laid_out;
    selection.more = [&](const std::vector<Candidate>& candidates, size_t queries) -> size_t {
      const size_t before = result_.candidates.size();
      add_combinations(candidates, queries);
      laid_out = cells_->lay_out(result_.candidates, session_.registry());
      return laid_out.ok() ? result_.candidates.size() - before : 0;
    };
    DBSA_ASSIGN_OR_RETURN(result_.halving,
                          halve(selection, result_.candidates.size(), kSelection * limit_));
    DBSA_RETURN_IF_ERROR(laid_out);
    // Combinations that there was no time to add.
    result_.candidates.resize(result_.halving.candidates.size());
    const Candidate& start = result_.halving.candidates[0];
    if (!start.right.empty()) return {};
    return Error{ErrorCode::kRun,
                 "the start file has not answered the first " +
                     counted_queries(selection_slices_.front()) + " within " +
                     human_seconds(kSelection * limit_) +
                     ", so nothing was compared and no file is written; run the same command again "
                     "with more --minutes: what is encoded and answered is kept",
                 ""};
  }

  // Of each key the best value, where it is ahead of the start: the two that gain most together,
  // then the three, and so on.
  void add_combinations(const std::vector<Candidate>& candidates, size_t queries) {
    struct Gain {
      size_t candidate = 0;
      int64_t right = 0;
    };
    std::vector<Gain> gains;
    const int64_t start = count_right(candidates[0], queries);
    for (size_t i = 1; i < candidates.size(); ++i) {
      if (candidates[i].right.size() < queries) continue;
      const int64_t right = count_right(candidates[i], queries);
      if (right <= start) continue;
      const auto same_key = std::find_if(gains.begin(), gains.end(), [&](const Gain& gain) {
        return changes_[gain.candidate - 1].key == changes_[i - 1].key;
      });
      if (same_key == gains.end())
        gains.push_back({i, right});
      else if (right > same_key->right)
        *same_key = {i, right};
    }
    std::stable_sort(gains.begin(), gains.end(),
                     [](const Gain& a, const Gain& b) { return a.right > b.right; });
    TuneCandidate together;
    for (size_t i = 0; i < gains.size(); ++i) {
      const TuneChange& change = changes_[gains[i].candidate - 1];
      together.name += (i > 0 ? ", " : "") + change.name;
      together.settings.insert(together.settings.end(), change.settings.begin(),
                               change.settings.end());
      together.settings = plugins_first(std::move(together.settings));
      if (i > 0 &&
          changed_pipeline(session_.document(), together.settings, session_.registry()).ok())
        result_.candidates.push_back(together);
    }
  }

  // The best and the start, on queries that chose nothing.
  Status confirm_best() {
    set_phase("confirming the best");
    phase_ = "confirming";
    std::vector<size_t> both = {0};
    if (result_.halving.best != 0) both.push_back(result_.halving.best);
    const HalvingTask confirming = task(confirmation_slices_, selection_slices_.size());
    DBSA_ASSIGN_OR_RETURN(Confirmation confirmed,
                          confirm(confirming, both, result_.halving.candidates, limit_));
    terminal_.set_progress("");
    result_.start_right = std::move(confirmed.right[0]);
    if (both.size() > 1) result_.best_right = std::move(confirmed.right[1]);
    return {};
  }

  Error stopped() const {
    return {ErrorCode::kCancelled,
            "stopped after " + human_seconds(clock_.seconds()) +
                "; no file is written, what was answered is kept: run the same command again to "
                "continue",
            ""};
  }

  // Once a second.
  void show(const std::string& what) {
    const auto second = static_cast<int64_t>(clock_.seconds());
    if (second == shown_second_ && what == shown_) return;
    shown_second_ = second;
    shown_ = what;
    terminal_.set_progress("tuning  " + clock_seconds(std::max(0.0, limit_ - clock_.seconds())) +
                           " left  " + what);
  }

  Session& session_;
  const CommandLine& line_;
  Terminal& terminal_;
  const Stopwatch clock_;
  const double limit_;  // seconds
  const uint64_t seed_;
  Settings settings_;
  TuneSplit split_;
  std::vector<TuneChange> changes_;
  std::vector<int64_t> selection_slices_, confirmation_slices_;
  std::optional<TuneCells> cells_;
  std::string phase_, shown_;
  int64_t shown_second_ = -1;
  TuneResult result_;
};

Status tune(Session& session, const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const double minutes, minutes_of(line));
  DBSA_ASSIGN_OR_RETURN(const std::string output, output_of(line));
  if (const auto seed = line.number("seed"); seed && *seed < 0)
    return wrong("--seed: must be 0 or above, got " + std::to_string(*seed));
  set_phase("preparing to tune");
  DBSA_ASSIGN_OR_RETURN(TuneResult result, Search(session, line, terminal, minutes).run());
  result.pipeline = session.document().name();
  result.command = command_text(line);
  result.date = utc_time(std::time(nullptr));
  result.output = output;
  result.minutes = minutes;
  result.seed = static_cast<uint64_t>(line.number("seed").value_or(0));
  set_phase("writing the pipeline file");
  DBSA_ASSIGN_OR_RETURN(const std::string text, tuned_file(session, result));
  DBSA_RETURN_IF_ERROR(write_file_atomically(output, text));
  if (line.has("json"))
    print_document("tune", tune_to_json(result), terminal);
  else
    print_tune(result, terminal);
  return {};
}

}  // namespace

int tune_command(Words words, Terminal& terminal) {
  CommandLine line = tune_command_line();
  return with_session(line, words, terminal, tune);
}

}  // namespace dbsa::cli
