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
  Retriever retriever(std::move(instance));
  DBSA_RETURN_IF_ERROR(retriever.find_extensions());
  return retriever;
}

Status Retriever::find_extensions() {
  constexpr const char* kId = DBSA_EXTENSION_RETRIEVER_WORDS;
  const void* found = find_extension(instance_.plugin(), kId);
  if (found == nullptr) return {};
  const auto* given = static_cast<const dbsa_retriever_words*>(found);
  const auto broken = [&](const std::string& what) {
    return instance_.broken("extension", "returned for " + std::string(kId) + " " + what);
  };
  if (given->struct_size < DBSA_RETRIEVER_WORDS_LEAST)
    return broken("a struct_size of " + std::to_string(given->struct_size) +
                  ", expected at least " + std::to_string(DBSA_RETRIEVER_WORDS_LEAST));
  const dbsa_retriever_words words = sdk::read_struct(given);
  if (words.shared_words == nullptr) return broken("a shared_words that is null");
  words_ = words;
  return {};
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

namespace {

// Words as they come, and the first thing that is wrong with one.
struct TakenWords {
  std::vector<SharedWord> words;
  std::string fault;
};

std::string fault_of_word(const dbsa_shared_word* word, const std::vector<SharedWord>& before) {
  if (word == nullptr || word->struct_size < DBSA_SHARED_WORD_LEAST || word->word == nullptr ||
      word->length == 0)
    return "gave no word";
  if (word->in_query < 1 || word->in_document < 1) return "gave a word that is not in both texts";
  if (!before.empty() && before.back().word >= std::string_view(word->word, word->length))
    return "gave words that are not in byte order";
  return "";
}

int32_t take_word(void* context, const dbsa_shared_word* word) noexcept {
  try {
    auto& taken = *static_cast<TakenWords*>(context);
    if (taken.fault.empty()) taken.fault = fault_of_word(word, taken.words);
    if (!taken.fault.empty()) return DBSA_ERROR_INVALID_ARGUMENT;
    taken.words.push_back(
        {std::string(word->word, word->length), word->in_query, word->in_document, word->score});
    return DBSA_OK;
  } catch (const std::exception&) {
    return DBSA_ERROR_ENVIRONMENT;
  }
}

}  // namespace

Result<std::optional<std::vector<SharedWord>>> Retriever::shared_words(std::string_view text,
                                                                       int64_t document) const {
  using Words = std::optional<std::vector<SharedWord>>;
  if (!words_ || document < 0 || document >= documents_) return Words();
  TakenWords taken;
  const dbsa_shared_word_sink sink = {sizeof sink, &taken, take_word};
  const Status status = instance_.call("shared_words", words_->shared_words, text.data(),
                                       static_cast<uint64_t>(text.size()), document, &sink);
  if (!taken.fault.empty()) return instance_.broken("shared_words", taken.fault);
  if (!status.ok() && status.error().code == ErrorCode::kUnsupported) return Words();
  if (!status.ok()) return status.error();
  return Words(std::move(taken.words));
}

}  // namespace dbsa::host
