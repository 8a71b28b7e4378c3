// What an index of faiss holds beside its configuration: arrays of numbers, whose sizes follow from
// the configuration and the number of documents.
//
// A saved index is these arrays and nothing else. It is read into an index that index_factory made
// from the pipeline's own configuration, so no class, size or pointer comes from the saved bytes;
// and each number that faiss uses as an index is checked before faiss sees it. faiss's own format
// is not used: its reader (1.7.3) trusts what it reads.
#pragma once

#include <faiss/Index.h>

#include <cstdint>
#include <string>

#include "archive.h"

namespace dbsa::dense {

// The largest magnitude of a number in an index or an embedding. Embeddings have length 1. What
// faiss computes of such numbers, three products deep over some 60,000 values, is still finite, and
// it never compares with NaN.
inline constexpr float kMaxMagnitude = 1e6F;

// Writes the arrays of an index with documents, or fills an index as index_factory made it and
// marks it as trained. documents: from 1 to 2^31 - 1. An index whose reading failed cannot be used.
// Cost: O(bytes).
Status transfer(Archive& archive, ::faiss::Index& index, int64_t documents);

// Fails with what is wrong, "value 7 of the vectors: expected ...", for numbers beyond
// kMaxMagnitude or not finite.
Status check_values(const Archive& archive, const float* values, size_t count,
                    const std::string& name);

}  // namespace dbsa::dense
