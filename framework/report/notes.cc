// What a reader of a study's figures must know.
#include <algorithm>

#include "report/study.h"

namespace dbsa {
namespace {

std::string joined(const std::vector<std::string>& parts, const std::string& separator) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

void note_missing_identities(const std::vector<ReportGroup>& groups,
                             std::vector<std::string>& notes) {
  int64_t without = 0;
  for (const ReportGroup& group : groups)
    without += std::count_if(group.runs.begin(), group.runs.end(),
                             [](const ReportRun& run) { return !run.identity.recorded; });
  if (without == 0) return;
  notes.push_back(
      std::to_string(without) + (without == 1 ? " record was" : " records were") +
      " written by an earlier version, without an identity. What they say of "
      "configuration, model, plugins, demonstrations and queries groups them, which does "
      "not tell a data file that was changed between two draws. The next minor version "
      "will not read such records: run them again.");
}

// Libraries of one plugin and revision, rebuilt between runs.
void note_libraries(const ReportGroup& group, std::vector<std::string>& notes) {
  std::map<std::string, std::vector<std::string>> hashes;  // by plugin
  for (const ReportRun& run : group.runs)
    for (const PluginUse& plugin : run.identity.plugins) {
      auto& known = hashes[plugin.id + " revision " + std::to_string(plugin.revision)];
      if (std::find(known.begin(), known.end(), plugin.library_hash) == known.end())
        known.push_back(plugin.library_hash);
    }
  for (const auto& [plugin, known] : hashes)
    if (known.size() > 1)
      notes.push_back("Libraries: " + group.name + ": runs used " + std::to_string(known.size()) +
                      " libraries of " + plugin + ": " + joined(short_hashes(known), " and ") +
                      ". One revision says that they answer alike.");
}

// The most of any run.
std::optional<Validity> worst_of(const ReportGroup& group) {
  std::optional<Validity> most;
  for (const ReportRun& run : group.runs) {
    if (!run.validity) continue;
    const Validity& validity = *run.validity;
    Validity& worst = most ? *most : most.emplace();
    for (int64_t Validity::*count :
         {&Validity::queries_in_demonstrations, &Validity::texts_with_two_labels,
          &Validity::duplicates, &Validity::near_equal_labels, &Validity::duplicate_queries,
          &Validity::queries_with_two_labels, &Validity::near_expected_labels})
      worst.*count = std::max(worst.*count, validity.*count);
    const bool fewer =
        validity.labels - validity.labels_covered > worst.labels - worst.labels_covered;
    if (fewer || worst.labels == 0) {
      worst.labels = validity.labels;
      worst.labels_covered = validity.labels_covered;
    }
  }
  return most;
}

std::string number_of(int64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

void note_validity(const ReportGroup& group, std::vector<std::string>& notes) {
  if (!group.validity) return;
  const Validity& worst = *group.validity;
  std::vector<std::string> parts;
  const auto add = [&](int64_t count, const std::string& one, const std::string& many) {
    if (count > 0) parts.push_back(number_of(count, one, many));
  };
  add(worst.queries_in_demonstrations, "query is also a demonstration",
      "queries are also demonstrations");
  add(worst.texts_with_two_labels, "text has two labels", "texts have two labels");
  add(worst.duplicates, "duplicate demonstration", "duplicate demonstrations");
  add(worst.near_equal_labels, "label is nearly equal to another",
      "labels are nearly equal to another");
  add(worst.duplicate_queries, "query repeats another", "queries repeat another");
  add(worst.queries_with_two_labels, "text expects two labels", "texts expect two labels");
  add(worst.near_expected_labels, "query expects a label that is nearly one of the pool",
      "queries expect a label that is nearly one of the pool");
  // As `run` warns; of free answers no label is known.
  const int64_t queries = group.runs.front().queries;
  if (worst.labels_covered > 0 && 2 * worst.labels_covered < std::min(worst.labels, queries))
    parts.push_back("the " + std::to_string(queries) + " queries cover " +
                    std::to_string(worst.labels_covered) + " of " +
                    number_of(worst.labels, "label", "labels"));
  if (!parts.empty()) notes.push_back("Warning: " + group.name + ": " + joined(parts, "; ") + ".");
}

void note_unanswered(const ReportGroup& group, std::vector<std::string>& notes) {
  int64_t unanswered = 0, queries = 0;
  for (const ReportRun& run : group.runs) {
    unanswered += run.unanswered;
    queries += run.queries;
  }
  if (unanswered == 0) return;
  notes.push_back("Warning: " + group.name + ": " + std::to_string(unanswered) + " of " +
                  number_of(queries, "query has", "queries have") + " no answer" +
                  (group.accuracy ? ", which counts as wrong" : "") + "; the records say why.");
}

// What runs warned of, each text once, with the groups it is of.
void note_warnings(const std::vector<ReportGroup>& groups, std::vector<std::string>& notes) {
  constexpr size_t kShown = 20;
  std::vector<std::string> texts;  // in the order of the first groups
  std::map<std::string, std::vector<std::string>> groups_of;
  for (const ReportGroup& group : groups)
    for (const ReportRun& run : group.runs)
      for (const std::string& text : run.warnings) {
        std::vector<std::string>& names = groups_of[text];
        if (names.empty()) texts.push_back(text);
        if (names.empty() || names.back() != group.name) names.push_back(group.name);
      }
  for (size_t i = 0; i < texts.size() && i < kShown; ++i) {
    const std::vector<std::string>& names = groups_of[texts[i]];
    std::string of = joined(names, ", ");
    if (names.size() > 3)
      of = names.front() + " and " + std::to_string(names.size() - 1) + " others";
    if (names.size() == groups.size() && names.size() > 1) of = "all groups";
    notes.push_back("Warning: " + of + ": " + texts[i] + ".");
  }
  if (texts.size() > kShown)
    notes.push_back(
        "Warning: runs gave " +
        number_of(static_cast<int64_t>(texts.size() - kShown), "other warning", "other warnings") +
        "; the records have them.");
}

}  // namespace

void add_notes(std::vector<ReportGroup>& groups, std::vector<std::string>& notes) {
  note_missing_identities(groups, notes);
  for (const ReportGroup& group : groups) note_libraries(group, notes);
  for (ReportGroup& group : groups) {
    group.validity = worst_of(group);
    note_validity(group, notes);
    note_unanswered(group, notes);
  }
  note_warnings(groups, notes);
}

}  // namespace dbsa
