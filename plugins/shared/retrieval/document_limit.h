// How many documents a retriever takes whose saved index says only how many they were.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

namespace dbsa::retrieval {

// A query then takes some 200 MB at most, no matter which count a saved index claims.
inline constexpr int64_t kMaxDocuments = 4'000'000;

// For documents to be indexed.
inline Status check_document_count(int64_t documents) {
  if (documents <= kMaxDocuments) return {};
  return Error{ErrorCode::kUnsupported,
               "indexes at most " + std::to_string(kMaxDocuments) + " documents, got " +
                   std::to_string(documents) + "; use another retriever",
               ""};
}

// For the count in a saved index.
inline Status check_saved_count(int64_t documents) {
  if (documents >= 0 && documents <= kMaxDocuments) return {};
  return Error{ErrorCode::kCorrupt,
               "index: expected 0 to " + std::to_string(kMaxDocuments) + " documents, found " +
                   std::to_string(documents),
               ""};
}

}  // namespace dbsa::retrieval
