// The arrays of faiss's HNSW graph, see index_arrays.h.
#pragma once

#include <faiss/impl/HNSW.h>

#include "archive.h"

namespace dbsa::dense {

// Where each document's links lie and how many levels the graph has follow from the documents'
// levels and the graph's configuration. A link leads to a document on the same level, so a search
// that follows it down stays within that document's links.
Status transfer_graph(Archive& archive, ::faiss::HNSW& graph, size_t documents);

}  // namespace dbsa::dense
