// The bytes of a sweep file over a base that is right, up to its cells. One that is accepted has
// cells whose pipelines are right, too.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "sweep/sweep.h"
#include "tests/support/workspace.h"

namespace {

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  static const Workspace& workspace = *[] {
    static const Workspace made;
    std::filesystem::create_directories(made.path("model"));
    for (const char* name : {"pool.jsonl", "queries.jsonl"})
      made.write(name, "{\"text\": \"a\", \"label\": \"b\"}\n");
    made.write("base.toml", kBase);
    return &made;
  }();
  static const host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  if (size > 1024) return 0;  // grids of many values take long
  const std::string path =
      workspace.write("sweep.toml", {reinterpret_cast<const char*>(data), size});
  SweepChoice choice;
  choice.runs = 1;
  const Result<Sweep> sweep = load_sweep(path, choice, registry);
  if (!sweep.ok()) {
    if (sweep.error().message.empty()) std::abort();
    return 0;
  }
  if (sweep->cells.empty() || sweep->to_json().dump().empty()) std::abort();
  for (const SweepCell& cell : sweep->cells)
    if (cell.id.size() != 16 || cell.name().empty() || !cell.config.is_object()) std::abort();
  return 0;
}
