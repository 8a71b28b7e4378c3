#include "pipeline/pool/pool_index.h"

#include <string>

#include "config/hash128.h"

namespace dbsa {
namespace {

// What the retriever sees: of each block of demonstrations, or of each demonstration, block after
// block.
std::vector<std::string> documents(const PoolParts& parts, const PromptFormat& format,
                                   std::span<const Example> demonstrations,
                                   std::span<const std::vector<int64_t>> groups) {
  const RetrieverSettings& retriever = parts.settings.retriever;
  std::vector<std::string> texts;
  for (const std::vector<int64_t>& group : groups) {
    if (!retriever.by_demonstration) texts.emplace_back();
    for (const int64_t i : group) {
      const Example& example = demonstrations[static_cast<size_t>(i)];
      if (retriever.by_demonstration) texts.emplace_back();
      texts.back() += retriever.whole_demonstrations ? demonstration_text(format, example)
                                                     : example.text + "\n";
    }
  }
  return texts;
}

}  // namespace

Result<bool> index_pool(const PoolParts& parts, const PromptFormat& format,
                        std::span<const Example> demonstrations,
                        std::span<const std::vector<int64_t>> groups, const Pool* previous,
                        Pool& pool) {
  const std::vector<std::string> texts = documents(parts, format, demonstrations, groups);
  std::string all;
  for (const std::string& text : texts) all += hash_text(text).hex();
  pool.documents_hash = hash_text(all).hex();
  if (texts.empty()) return false;
  if (previous != nullptr && previous->made_index == pool.made_index &&
      previous->documents_hash == pool.documents_hash) {
    const auto count = static_cast<int64_t>(texts.size());
    const Status loaded = parts.retriever->load(previous->index, count);
    if (loaded.ok()) {
      pool.index = previous->index;
      return true;
    }
    if (loaded.error().code == ErrorCode::kCancelled) return loaded.error();
    parts.services.log(host::LogLevel::kWarning,
                       "the stored retriever index cannot be loaded: " + loaded.error().message +
                           "; the index is made again");
  }
  DBSA_RETURN_IF_ERROR(parts.retriever->index(texts));
  DBSA_ASSIGN_OR_RETURN(pool.index, parts.retriever->save());
  return false;
}

}  // namespace dbsa
