// The best documents of an array of scores.
#pragma once

#include <dbsa/sdk/retriever.h>

#include <cstdint>
#include <vector>

namespace dbsa::retrieval {

// The best `count` documents with a score above 0, best first, ties by the lower id. Cost:
// O(documents + count log count).
std::vector<Hit> best_documents(const double* scores, int64_t documents, int64_t count);

}  // namespace dbsa::retrieval
