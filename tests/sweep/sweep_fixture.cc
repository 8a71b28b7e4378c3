#include "tests/sweep/sweep_fixture.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "config/atomic_file.h"

namespace dbsa {

using nlohmann::json;

std::string SweepTest::make_sweep(int queries, const std::string& more) const {
  make_pipeline(24, queries);
  return workspace_.write("sweep.toml", R"(base = "pipeline.toml"
runs = 2

[set]
"kv_store.plugin" = "memory"

[output]
directory = "out"

[[axis]]
name = "share"
key = "selection.ratio"
values = [0.5, 1.0]

[[axis]]
name = "mask"
key = "mask_pattern.plugin"
values = ["dbsa", "self"]
)" + more);
}

std::vector<std::string> SweepTest::files(const std::string& folder) const {
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(path(folder), absent))
    if (!is_temporary_name(entry.path().filename().string()))  // what a killed sweep may leave
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

json SweepTest::answers_of(const json& record) {
  json queries = record.at("queries");
  for (json& query : queries) query.erase("seconds");
  return queries;
}

std::map<std::string, json> SweepTest::answers(const std::string& folder) const {
  std::map<std::string, json> out;
  for (const std::string& name : files(folder + "/records"))
    out[name] = answers_of(json::parse(workspace_.read(folder + "/records/" + name)));
  return out;
}

std::map<std::string, std::pair<ino_t, int64_t>> SweepTest::stamps(
    const std::string& folder) const {
  std::map<std::string, std::pair<ino_t, int64_t>> out;
  for (const std::string& name : files(folder + "/records")) {
    struct stat file = {};
    ::stat(path(folder + "/records/" + name).c_str(), &file);
    out[name] = {file.st_ino, file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec};
  }
  return out;
}

}  // namespace dbsa
