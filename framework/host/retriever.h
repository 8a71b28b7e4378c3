// host::Retriever: a retriever plugin as the framework uses it. See dbsa/retriever.h.
#pragma once

#include <dbsa/sdk/retriever_words.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/instance.h"

namespace dbsa::host {

class Retriever {
 public:
  static Result<Retriever> create(const LoadedPlugin& plugin, HostServices& services,
                                  const nlohmann::json& config);
  const std::string& plugin_id() const { return instance_.plugin().id; }

  // [setup]
  Status index(std::span<const std::string> documents);
  // The index as bytes, and back. `documents` is how many it was made from: ids are checked
  // against it. load: kCorrupt for bytes that save did not write.
  Result<std::string> save() const;
  Status load(std::string_view bytes, int64_t documents);

  // At most `count` hits, best first; ids distinct and in range. It may return fewer. [any]
  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const;

  // The words that the text and an indexed document share, in byte order; nothing where the
  // retriever goes by no words. [any]
  Result<std::optional<std::vector<SharedWord>>> shared_words(std::string_view text,
                                                              int64_t document) const;

 private:
  explicit Retriever(Instance instance);
  Status find_extensions();
  Instance instance_;
  const dbsa_retriever_vtable* vtable_;
  std::optional<dbsa_retriever_words> words_;  // its extension
  int64_t documents_ = 0;
};

}  // namespace dbsa::host
