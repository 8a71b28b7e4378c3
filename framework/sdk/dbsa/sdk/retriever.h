// Retriever: base class of retriever plugins. See dbsa/retriever.h.
#pragma once

#include <dbsa/retriever.h>
#include <dbsa/sdk/plugin.h>

#include <functional>
#include <string>
#include <vector>

namespace dbsa {

struct Hit {
  int64_t id = 0;
  double score = 0;
  bool operator==(const Hit&) const = default;
};

class Retriever {
 public:
  using Kind = Retriever;
  using Vtable = dbsa_retriever_vtable;
  static constexpr uint32_t kKind = DBSA_KIND_RETRIEVER;
  static const Vtable kVtable;

  virtual ~Retriever() = default;
  // Indexes documents, replacing any earlier index; keeps no pointer into them.
  virtual Status index(Texts documents) = 0;
  // The index as bytes, and back. load returns kCorrupt for bytes that save did not write.
  virtual Result<std::string> save() const = 0;
  virtual Status load(std::string_view bytes) = 0;
  // At most `count` hits, best first, ties by the lower id. Thread-safe.
  virtual Result<std::vector<Hit>> query(std::string_view text, int64_t count) const = 0;
};

inline const Retriever::Vtable Retriever::kVtable = {
    sizeof(Vtable),
    [](void* instance, const dbsa_texts* documents, dbsa_error* error) noexcept {
      return sdk::guard(error,
                        [&] { return static_cast<Retriever*>(instance)->index(Texts(documents)); });
    },
    [](void* instance, const dbsa_byte_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(std::string bytes, static_cast<const Retriever*>(instance)->save());
        if (const int32_t code = sink->write(sink->context, bytes.data(), bytes.size());
            code != DBSA_OK)
          return Error{static_cast<ErrorCode>(code), "the host could not take the index", ""};
        return {};
      });
    },
    [](void* instance, const void* data, uint64_t bytes, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return static_cast<Retriever*>(instance)->load({static_cast<const char*>(data), bytes});
      });
    },
    [](void* instance, const char* text, uint64_t length, dbsa_ranking* ranking,
       dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(std::vector<Hit> hits, static_cast<const Retriever*>(instance)->query(
                                                         {text, length}, ranking->count));
        if (static_cast<int64_t>(hits.size()) > ranking->count)
          return Error{ErrorCode::kPlugin, "more hits returned than asked for", ""};
        ranking->count = static_cast<int64_t>(hits.size());
        for (size_t i = 0; i < hits.size(); ++i) {
          ranking->ids[i] = hits[i].id;
          ranking->scores[i] = hits[i].score;
        }
        return {};
      });
    },
};

}  // namespace dbsa
