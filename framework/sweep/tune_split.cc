#include "sweep/tune_split.h"

#include <dbsa/sdk/random.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "pipeline/pipeline.h"

namespace dbsa {
namespace {

constexpr int64_t kMostQueries = 2000;
constexpr int64_t kEnoughLeftOut = 400;  // of a file, to take the queries from them only
constexpr int64_t kFewest = 16;

// Those at the ascending indices, and the others.
std::vector<Example> take_out(std::vector<Example>& examples, const std::vector<int64_t>& indices) {
  std::vector<Example> taken, others;
  for (size_t i = 0; i < examples.size(); ++i)
    (std::binary_search(indices.begin(), indices.end(), static_cast<int64_t>(i)) ? taken : others)
        .push_back(std::move(examples[i]));
  examples = std::move(others);
  return taken;
}

Error too_few(const DataSettings& data, int64_t found) {
  return {ErrorCode::kConfig,
          data.demonstrations + ": expected at least " + std::to_string(5 * kFewest) +
              " demonstrations, a fifth of them to try settings on, found " + std::to_string(found),
          ""};
}

}  // namespace

Result<TuneSplit> split_for_tuning(const DataSettings& data, uint64_t seed,
                                   std::optional<int64_t> count) {
  DBSA_ASSIGN_OR_RETURN(std::vector<Example> others,
                        load_dataset(data.demonstrations, data.text, data.label_field,
                                     LabelPolicy::kRequired, data.delimiter, data.names));
  // Says what is wrong with the draw, as run does.
  DBSA_ASSIGN_OR_RETURN(const DataRows rows, read_demonstrations(data));
  DBSA_ASSIGN_OR_RETURN(LabelRows labels, read_labels(data, rows));
  const auto all = static_cast<int64_t>(others.size());
  const int64_t drawn = data.demonstration_count == 0 ? all : data.demonstration_count;
  TuneSplit split;
  split.labels = std::move(labels.labels);
  split.pool = take_out(others, draw_indices(all, drawn, data.seed));
  Random random(seed);
  split.from_pool = all - drawn < std::max(kEnoughLeftOut, count.value_or(0));
  if (split.from_pool) {
    const int64_t held = count.value_or(std::min(drawn / 5, kMostQueries));
    if (held < kFewest && !count) return too_few(data, drawn);
    if (held >= drawn - data.held_out)
      return Error{ErrorCode::kConfig,
                   "--held-out: must be below the number of demonstrations that are left for the "
                   "pool, " +
                       std::to_string(drawn - data.held_out) + ", got " + std::to_string(held),
                   ""};
    others = take_out(split.pool, draw_indices(drawn, held, random.next()));
  }
  random.shuffle(std::span<Example>(others));
  std::unordered_set<std::string> known;
  for (const Example& example : split.pool) known.insert(example.text);
  const auto wanted = static_cast<size_t>(count.value_or(kMostQueries));
  for (Example& example : others)
    if (split.queries.size() < wanted && known.insert(example.text).second)
      split.queries.push_back(std::move(example));
  if (split.queries.size() < 2) return too_few(data, all);
  return split;
}

std::vector<int64_t> slice_sizes(int64_t queries) {
  constexpr int64_t kFirst = 32;
  std::vector<int64_t> sizes;
  for (int64_t next = kFirst, left = queries; left > 0;) {
    const int64_t size = left < next + next / 2 ? left : next;
    sizes.push_back(size);
    left -= size;
    if (sizes.size() > 1) next *= 2;
  }
  return sizes;
}

std::string to_json_lines(const std::vector<Example>& examples, const LabelNames& names) {
  std::string out;
  for (const Example& example : examples) {
    nlohmann::ordered_json line = {{"text", example.text}, {"label", names.code_of(example.label)}};
    if (!example.more_labels.empty()) {
      std::vector<std::string> codes = all_labels(example);
      for (std::string& label : codes) label = names.code_of(label);
      line["label"] = codes;
    }
    out += line.dump() + "\n";
  }
  return out;
}

}  // namespace dbsa
