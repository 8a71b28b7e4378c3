#include "host/retriever.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "host/texts.h"

namespace dbsa::host {

Retriever::Retriever(Instance instance)
    : instance_(std::move(instance)), vtable_(&instance_.vtable<dbsa_retriever_vtable>()) {}

Result<Retriever> Retriever::create(const LoadedPlugin& plugin, HostServices& services,
                                    const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_RETRIEVER));
  return Retriever(std::move(instance));
}

Status Retriever::index(std::span<const std::string> documents) {
  const BorrowedTexts texts(documents);
  documents_ = 0;
  DBSA_RETURN_IF_ERROR(instance_.setup_call("index", vtable_->index, texts.get()));
  documents_ = static_cast<int64_t>(documents.size());
  return {};
}

Result<std::string> Retriever::save() const {
  std::string bytes;
  const dbsa_byte_sink sink = {
      sizeof(dbsa_byte_sink), &bytes,
      [](void* context, const void* data, uint64_t size) noexcept -> int32_t {
        try {
          if (size != 0)
            static_cast<std::string*>(context)->append(static_cast<const char*>(data), size);
          return DBSA_OK;
        } catch (const std::exception&) {
          return DBSA_ERROR_ENVIRONMENT;
        }
      }};
  DBSA_RETURN_IF_ERROR(instance_.call("save", vtable_->save, &sink));
  return bytes;
}

Status Retriever::load(std::string_view bytes, int64_t documents) {
  documents_ = 0;
  DBSA_RETURN_IF_ERROR(instance_.setup_call("load", vtable_->load,
                                            static_cast<const void*>(bytes.data()),
                                            static_cast<uint64_t>(bytes.size())));
  documents_ = documents;
  return {};
}

Result<std::vector<Hit>> Retriever::query(std::string_view text, int64_t count) const {
  const int64_t capacity = std::clamp<int64_t>(count, 0, documents_);
  if (capacity == 0) return std::vector<Hit>();
  std::vector<int64_t> ids(static_cast<size_t>(capacity), -1);
  std::vector<double> scores(static_cast<size_t>(capacity), std::nan(""));
  dbsa_ranking ranking = {sizeof(dbsa_ranking), capacity, ids.data(), scores.data()};
  DBSA_RETURN_IF_ERROR(instance_.call("query", vtable_->query, text.data(),
                                      static_cast<uint64_t>(text.size()), &ranking));

  const auto broken = [&](const std::string& what) { return instance_.broken("query", what); };
  if (ranking.count < 0 || ranking.count > capacity)
    return broken("returned " + std::to_string(ranking.count) + " hits, asked for " +
                  std::to_string(capacity));
  std::vector<Hit> hits;
  hits.reserve(static_cast<size_t>(ranking.count));
  std::unordered_set<int64_t> seen;
  for (int64_t i = 0; i < ranking.count; ++i) {
    const Hit hit = {ids[static_cast<size_t>(i)], scores[static_cast<size_t>(i)]};
    if (hit.id < 0 || hit.id >= documents_)
      return broken("returned document " + std::to_string(hit.id) + " of " +
                    std::to_string(documents_));
    if (!seen.insert(hit.id).second)
      return broken("returned document " + std::to_string(hit.id) + " twice");
    if (std::isnan(hit.score))
      return broken("returned NaN as the score of document " + std::to_string(hit.id));
    if (!hits.empty() && hit.score > hits.back().score)
      return broken("returned ascending scores at hit " + std::to_string(i));
    hits.push_back(hit);
  }
  return hits;
}

}  // namespace dbsa::host
