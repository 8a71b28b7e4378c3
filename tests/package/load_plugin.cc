// Loads the retriever "first" from a folder and asks it.
#include <cstdio>

#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/retriever.h"

namespace {

dbsa::Result<size_t> hits(const std::string& folder) {
  using namespace dbsa::host;
  PluginRegistry registry = PluginRegistry::discover({&folder, 1});
  DBSA_ASSIGN_OR_RETURN(const Manifest* manifest, registry.find(DBSA_KIND_RETRIEVER, "first"));
  DBSA_ASSIGN_OR_RETURN(const LoadedPlugin plugin, registry.load(*manifest));
  HostServices services({.threads = 1});
  DBSA_ASSIGN_OR_RETURN(Retriever retriever, Retriever::create(plugin, services, {{"limit", 2}}));
  const std::vector<std::string> documents = {"a", "b", "c"};
  DBSA_RETURN_IF_ERROR(retriever.index(documents));
  DBSA_ASSIGN_OR_RETURN(const auto found, retriever.query("a", 3));
  return found.size();
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = hits(argc > 1 ? argv[1] : ".");
  if (!count.ok() || *count != 2) {
    std::fprintf(stderr, "%s\n", count.ok() ? "wrong hits" : count.error().message.c_str());
    return 1;
  }
  std::printf("acme.retriever.first: 2 hits\n");
  return 0;
}
