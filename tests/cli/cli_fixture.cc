#include "tests/cli/cli_fixture.h"

#include <filesystem>

#include <dbsa/sdk/random.h>

namespace dbsa {
namespace {

constexpr const char* kPipeline = R"([model]
path = "model"

[data]
demonstrations = "pool.jsonl"
queries = "queries.jsonl"

[block_grouper]
block_size = 4

[mask_pattern]
plugin = "dbsa"

[selection]
ratio = 0.5

[kv_store]
path = "store"
)";

// Seeded nonsense with four labels.
std::string make_examples(int count, uint64_t seed) {
  static constexpr const char* kWords[] = {"card", "money", "late", "rate",  "fee",
                                           "cash", "phone", "pin",  "limit", "lost"};
  static constexpr const char* kLabels[] = {"alpha", "beta", "beta two", "gamma"};
  Random random(seed);
  std::string lines;
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (int word = 0; word < 5; ++word)
      text += (word == 0 ? "" : " ") + std::string(kWords[random.below(10)]);
    lines += nlohmann::json{{"text", text}, {"label", kLabels[i % 4]}}.dump() + "\n";
  }
  return lines;
}

}  // namespace

CliTest::Words CliTest::command(const Words& words) const {
  Words all = {DBSA_BINARY_DIR "/bin/dbsa-pipe"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

ProcessResult CliTest::cli(const Words& words, const ProcessOptions& options) const {
  ProcessOptions own = options;
  // Neither the user's plugins nor the user's cache take part.
  own.environment.emplace_back("DBSA_PLUGIN_PATH", "");
  own.environment.emplace_back("XDG_CACHE_HOME", path("cache"));
  return run_process(command(words), own);
}

std::string CliTest::make_pipeline(int demonstrations, int queries) const {
  const ProcessResult made =
      run_process({DBSA_BINARY_DIR "/bin/dbsa-make-checkpoint", "--out=" + path("model"),
                   "--preset=tiny", "--dtype=f32", "--seed=3"});
  EXPECT_EQ(made.exit_code, 0) << made.error;
  workspace_.write("pool.jsonl", make_examples(demonstrations, 1));
  workspace_.write("queries.jsonl", make_examples(queries, 2));
  return workspace_.write("pipeline.toml", kPipeline);
}

std::string CliTest::edit_pipeline(const std::string& from, const std::string& to) const {
  std::string text = workspace_.read("pipeline.toml");
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return workspace_.write("pipeline.toml", text.replace(at, from.size(), to));
}

nlohmann::json CliTest::run(const Words& more) const {
  Words words = {"run", path("pipeline.toml"), "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 0) << result.error;
  if (result.exit_code != 0) return {};
  const std::string file = nlohmann::json::parse(result.out).at("record");
  nlohmann::json record =
      nlohmann::json::parse(workspace_.read(std::filesystem::relative(file, path()).string()));
  record["said"] = result.error;
  return record;
}

nlohmann::json CliTest::only_record() const {
  nlohmann::json record;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path("runs"))) {
    record = nlohmann::json::parse(workspace_.read("runs/" + entry.path().filename().string()));
    ++count;
  }
  EXPECT_EQ(count, 1);
  return record;
}

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> values;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    values.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return values;
}

}  // namespace dbsa
