#include "report/summary.h"

#include <algorithm>

#include "report/text.h"

namespace dbsa {
namespace {

constexpr double kGiB = 1 << 30;

std::string counted(int64_t count, const std::string& noun) {
  return grouped(static_cast<double>(count)) + " " + noun + (count == 1 ? "" : "s");
}

// Distinct texts of all runs, in order: "a, b and 3 more".
template <typename Text>
std::string all_of(const Report& report, size_t most, Text text) {
  std::vector<std::string> found;
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups)
      for (const ReportRun& run : group.runs)
        if (std::string value = text(run);
            std::find(found.begin(), found.end(), value) == found.end())
          found.push_back(std::move(value));
  std::string list;
  for (size_t i = 0; i < std::min(most, found.size()); ++i) list += (i > 0 ? ", " : "") + found[i];
  if (found.size() > most) list += " and " + std::to_string(found.size() - most) + " more";
  return list;
}

std::string machine_of(const ReportRun& run) {
  return run.cpu + " (" + counted(run.threads, "thread") + ", " +
         significant(static_cast<double>(run.memory_bytes) / kGiB, 3) + " GiB, " + run.os + ")";
}

std::string model_of(const ReportRun& run) {
  return run.model + " (" + significant(static_cast<double>(run.model_parameters) / 1e6, 3) +
         " M parameters)";
}

}  // namespace

std::string lead_text(const Report& report) {
  int64_t runs = 0;
  std::string first, last;
  for (const Study& study : report.studies) {
    runs += study.run_count;
    for (const ReportGroup& group : study.groups)
      for (const ReportRun& run : group.runs) {
        first = first.empty() ? run.started_at : std::min(first, run.started_at);
        last = std::max(last, run.started_at);
      }
  }
  return counted(runs, "run") + " of " +
         all_of(report, 4, [](const ReportRun& run) { return model_of(run); }) + " on " +
         all_of(report, 6, [](const ReportRun& run) { return run.dataset; }) + ", with " +
         all_of(report, 3, [](const ReportRun& run) { return counted(run.queries, "request"); }) +
         " each. Machine: " +
         all_of(report, 2, [](const ReportRun& run) { return machine_of(run); }) + ". Run " +
         (first.substr(0, 10) == last.substr(0, 10) ? "on " : "from ") + first.substr(0, 10) +
         (first.substr(0, 10) == last.substr(0, 10) ? "" : " to " + last.substr(0, 10)) +
         ", with dbsa-pipe " +
         all_of(report, 3, [](const ReportRun& run) { return run.program_version; }) + ".";
}

ReportSection method_section() {
  return {
      2,
      "How the figures are made",
      {"A group holds runs that differ only in their draw: in which demonstrations were drawn "
       "and how they are dealt into blocks. Data, model, tokenizer, queries, labels, plugins "
       "with their revisions and all settings that answers depend on are the same. Runs of "
       "one draw count as one, with their mean. Accuracy is the mean over draws; s.d. is "
       "their standard deviation (n - 1).",
       "The 95 % intervals cover the choice of demonstrations and the choice of queries: "
       "draws and queries are a crossed layout, from which the variances of draws, of queries "
       "and of the rest are estimated. With fewer than three draws an interval covers only "
       "the choice of queries. For an accuracy it is Wilson's, with the number of independent "
       "answers that would vary as much; for a difference it is Newcombe's, made from both "
       "accuracies' intervals and the correlation of their means over the draws and queries "
       "that both groups have; for a time or a ratio it is Student's t on a logarithmic "
       "scale. Macro-F1 and other scores have no interval.",
       "Two groups are tested on the texts that both answered with equal seeds: McNemar's exact "
       "test, the binomial distribution of how many texts either answered rightly more often. With "
       "several draws a text counts once, by the sum over its draws. Holm's adjustment keeps the "
       "chance of any false finding among the groups that are compared with one baseline at the "
       "level that p is held to. Precision of a label is the share of right ones among the answers "
       "that give it, recall the share of right ones among the queries that expect it, F1 = 2 "
       "right "
       "/ (expected + given); macro-F1 is the mean of F1 over the labels that are expected or "
       "given.",
       "The calibration error is the mean, by answers, of |accuracy - mean probability| over ten "
       "bins of equal mass, of each run with a label, and their mean over draws; beside it what "
       "a model with perfectly calibrated probabilities would show on average at that number of "
       "answers. Bins and shares of wrong answers are of the answers of all draws together.",
       "Times are means over runs of what each record gives: the mean, median and 95th "
       "percentile of its requests. Setup is all that comes before the first request, of runs "
       "that found nothing in the store. Total time is setup + n x mean request. A ratio is "
       "that of the means over runs with equal seeds."}};
}

std::string study_summary(const Study& study) {
  int64_t failed = 0, missing = 0, damaged = 0;
  for (const LostCell& cell : study.input.lost)
    ++(cell.exit_code ? failed : cell.message.empty() ? missing : damaged);
  std::string text = study.input.is_sweep ? std::to_string(study.run_count) + " of " +
                                                counted(study.input.cells, "cell") + " ended well"
                                          : counted(study.run_count, "record");
  if (failed > 0) text += ", " + std::to_string(failed) + " failed";
  if (damaged > 0)
    text += ", " + std::to_string(damaged) + (damaged == 1 ? " has" : " have") +
            " a damaged or unreadable file";
  if (missing > 0) text += ", " + std::to_string(missing) + " did not run";
  text += "; " + counted(static_cast<int64_t>(study.groups.size()), "group") + ".";
  const ReportGroup* best = nullptr;
  for (const ReportGroup& group : study.groups)
    if (group.accuracy && (best == nullptr || group.accuracy->mean > best->accuracy->mean))
      best = &group;
  if (best != nullptr && study.groups.size() > 1)
    text += " The highest mean accuracy is " + with_interval(*best->accuracy, 3) + ", of " +
            best->name + ".";
  return text;
}

}  // namespace dbsa
