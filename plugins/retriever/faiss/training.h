// What an index of faiss needs to learn from documents.
#pragma once

#include <faiss/Index.h>

#include <cstdint>

namespace dbsa::dense {

// The fewest documents that an index, as index_factory made it, can be trained with; 0 where it
// learns nothing.
int64_t least_documents(const ::faiss::Index& index);

// Silences faiss's warnings about few documents, and leaves out what is learned for polysemous
// codes, minutes for a search that is not used.
void quiet_training(::faiss::Index& index);

}  // namespace dbsa::dense
