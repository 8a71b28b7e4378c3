#include "commands/repeat.h"

#include "pipeline/identity/identity.h"
#include "pipeline/input_reader.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using nlohmann::json;

// Ids and revisions by stage, as identity_differences compares them.
json revisions(const json& plugins) {
  json out = json::object();
  for (const json& plugin : plugins)
    out[plugin.at("stage").get<std::string>()] = {{"plugin", plugin.at("id")},
                                                  {"revision", plugin.at("revision")}};
  return out;
}

json records_of(const std::vector<PluginRecord>& plugins) {
  json out = json::array();
  for (const PluginRecord& plugin : plugins)
    out.push_back({{"stage", plugin.stage},
                   {"id", plugin.id},
                   {"revision", plugin.revision},
                   {"library_hash", plugin.library_hash}});
  return out;
}

// Revisions may promise the same results; who compares answers should still know.
void warn_of_builds(const json& before, const json& now, Terminal& terminal) {
  for (const json& old : before)
    for (const json& plugin : now)
      if (old.at("stage") == plugin.at("stage") && old.at("id") == plugin.at("id") &&
          old.at("revision") == plugin.at("revision") &&
          old.at("library_hash") != plugin.at("library_hash"))
        terminal.warning(plugin.at("id").get<std::string>() + " is another build of its revision " +
                         plugin.at("revision").dump() + " than the record's (" +
                         old.at("library_hash").get<std::string>().substr(0, 8) + ", now " +
                         plugin.at("library_hash").get<std::string>().substr(0, 8) + ")");
}

// With --set a difference is asked for.
Status not_repeated(const std::string& changes, const std::string& remedy, const CommandLine& line,
                    Terminal& terminal) {
  const std::string path = line.text("record");
  if (!line.texts("set").empty()) {
    terminal.warning("this does not repeat " + shown_path(path) + ": " + changes);
    return {};
  }
  return Error{
      ErrorCode::kRun,
      path + ": cannot be repeated, because this has changed since: " + changes + "; " + remedy,
      ""};
}

}  // namespace

Status check_repeatable(const Session& session, const EarlierRecord& earlier,
                        const CommandLine& line, Terminal& terminal) {
  const std::string& path = earlier.path;
  const json& record = earlier.head;
  InputReader reader;
  DBSA_ASSIGN_OR_RETURN(const InputIdentity inputs, reader.read(session.resolved()));
  DBSA_ASSIGN_OR_RETURN(const std::vector<PluginRecord> loaded, session.plugin_records());
  std::vector<std::string> changes;
  try {
    const json now = records_of(loaded);
    changes = identity_differences(revisions(record.at("plugins")), revisions(now));
    if (const auto identity = record.find("identity"); identity != record.end()) {
      for (std::string& change : identity_differences(identity->at("inputs"), to_json(inputs)))
        changes.push_back(std::move(change));
    } else {
      terminal.warning(path +
                       ": was written before records had an identity, so whether its model "
                       "and data are the same is not known");
    }
    warn_of_builds(record.at("plugins"), now, terminal);
  } catch (const json::exception&) {
    return Error{ErrorCode::kConfig,
                 path +
                     ": is not a result record: its plugins or its identity are not those that "
                     "`dbsa-pipe run` writes",
                 ""};
  }
  if (changes.empty()) return {};
  std::string text;
  for (const std::string& change : changes) text += (text.empty() ? "" : "; ") + change;
  return not_repeated(text, "bring it back, or run the pipeline file for a new record", line,
                      terminal);
}

Status check_draw(const std::string& draw, const EarlierRecord& earlier, const CommandLine& line,
                  Terminal& terminal) {
  const json before = earlier.head.value("identity", json::object()).value("draw", json());
  if (!before.is_string() || before == draw) return {};
  return not_repeated(
      "its blocks hold other demonstrations (draw: " + before.get<std::string>().substr(0, 8) +
          ", now " + draw.substr(0, 8) +
          "), because of the two stores one has kept its blocks through an edit",
      "repeat it with --regroup, or with the store that it was run with", line, terminal);
}

Result<Comparison> compare_with(const EarlierRecord& earlier, const RunRecord& record) {
  const std::vector<json>& outcomes = earlier.outcomes;
  if (outcomes.size() != record.queries.size())
    return Error{ErrorCode::kRun,
                 earlier.path + ": has " + counted_queries(static_cast<int64_t>(outcomes.size())) +
                     ", this run " + std::to_string(record.queries.size()) +
                     "; the data has changed since",
                 ""};
  Comparison comparison;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    ++comparison.answers;
    const QueryRecord& query = record.queries[i];
    const auto part = outcomes[i].find(query.error ? "error" : "label");
    if (part == outcomes[i].end()) continue;
    comparison.equal += query.error ? *part == json(item_error_to_json(*query.error))
                                    : *part == query.answer.label.text;
  }
  return comparison;
}

}  // namespace dbsa::cli
