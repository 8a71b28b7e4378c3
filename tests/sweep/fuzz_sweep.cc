// The bytes of a sweep file over a base that is right, up to its cells. One that is accepted has
// cells whose pipelines are right, too.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "pipeline/sweep.h"

namespace {

namespace fs = std::filesystem;

constexpr const char* kBase = R"([model]
path = "model"
[data]
demonstrations = "pool.jsonl"
queries = "queries.jsonl"
[block_grouper]
plugin = "random"
[mask_pattern]
plugin = "dbsa"
[retriever]
plugin = "bm25"
[selection]
ratio = 0.3
[kv_store]
plugin = "hdf5"
path = "store"
)";

void write(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

// Removed when the process ends well.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("fuzz_sweep-" + std::to_string(::getpid()))) {
    fs::create_directories(path_ / "model");
    for (const char* name : {"pool.jsonl", "queries.jsonl"})
      write(path_ / name, "{\"text\": \"a\", \"label\": \"b\"}\n");
    write(path_ / "base.toml", kBase);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  static const Folder folder;
  static const host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  if (size > 1024) return 0;  // grids of many values take long
  write(folder.path() / "sweep.toml", {reinterpret_cast<const char*>(data), size});
  SweepChoice choice;
  choice.runs = 1;
  const Result<Sweep> sweep = load_sweep(folder.path() / "sweep.toml", choice, registry);
  if (!sweep.ok()) {
    if (sweep.error().message.empty()) std::abort();
    return 0;
  }
  if (sweep->cells.empty() || sweep->to_json().dump().empty()) std::abort();
  for (const SweepCell& cell : sweep->cells)
    if (cell.id.size() != 16 || cell.name().empty() || !cell.config.is_object()) std::abort();
  return 0;
}
