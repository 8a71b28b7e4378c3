// CountedRetriever: a retriever whose index is no more than the number of documents.
#pragma once

#include <dbsa/sdk/retriever.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbsa::retrieval {

class CountedRetriever : public Retriever {
 public:
  Status index(Texts documents) override;
  // `magic`, then the count in decimal digits.
  Result<std::string> save() const override;
  // kCorrupt for anything other than what save writes for the same magic, and for more documents
  // than document_limit.h allows.
  Status load(std::string_view bytes) override;

 protected:
  // magic: a literal.
  explicit CountedRetriever(std::string_view magic) : magic_(magic) {}
  // kInvalidArgument without an index.
  Result<int64_t> count() const;

 private:
  std::string_view magic_;
  std::optional<int64_t> count_;
};

}  // namespace dbsa::retrieval
