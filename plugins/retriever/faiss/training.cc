#include "training.h"

#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/VectorTransform.h>

#include <algorithm>

namespace dbsa::dense {
namespace {

// The index that another one wraps, or null.
::faiss::Index* inner(const ::faiss::Index& index) {
  if (const auto* outer = dynamic_cast<const ::faiss::IndexPreTransform*>(&index))
    return outer->index;
  if (const auto* outer = dynamic_cast<const ::faiss::IndexRefine*>(&index))
    return outer->base_index;
  if (const auto* outer = dynamic_cast<const ::faiss::IndexHNSW*>(&index)) return outer->storage;
  return nullptr;
}

::faiss::ProductQuantizer* product_quantizer(::faiss::Index& index) {
  if (auto* pq = dynamic_cast<::faiss::IndexPQ*>(&index)) return &pq->pq;
  if (auto* pq = dynamic_cast<::faiss::IndexIVFPQ*>(&index)) return &pq->pq;
  if (auto* pq = dynamic_cast<::faiss::IndexPQFastScan*>(&index)) return &pq->pq;
  if (auto* pq = dynamic_cast<::faiss::IndexIVFPQFastScan*>(&index)) return &pq->pq;
  return nullptr;
}

}  // namespace

int64_t least_documents(const ::faiss::Index& index) {
  int64_t least = index.is_trained ? 0 : 1;
  if (const auto* outer = dynamic_cast<const ::faiss::IndexPreTransform*>(&index))
    for (const auto* step : outer->chain)
      if (!step->is_trained) least = std::max<int64_t>(least, step->d_out);
  if (const auto* lists = dynamic_cast<const ::faiss::IndexIVF*>(&index))
    least = std::max<int64_t>(least, static_cast<int64_t>(lists->nlist));
  if (const auto* codes = product_quantizer(const_cast<::faiss::Index&>(index)))
    least = std::max<int64_t>(least, static_cast<int64_t>(codes->ksub));
  if (const auto* wrapped = inner(index)) least = std::max(least, least_documents(*wrapped));
  return least;
}

void quiet_training(::faiss::Index& index) {
  if (auto* lists = dynamic_cast<::faiss::IndexIVF*>(&index)) lists->cp.min_points_per_centroid = 1;
  if (auto* codes = product_quantizer(index)) codes->cp.min_points_per_centroid = 1;
  // Orders codes for a search that is not used here, in a minute for a few hundred documents.
  if (auto* pq = dynamic_cast<::faiss::IndexPQ*>(&index)) pq->do_polysemous_training = false;
  if (auto* pq = dynamic_cast<::faiss::IndexIVFPQ*>(&index)) pq->do_polysemous_training = false;
  if (auto* wrapped = inner(index)) quiet_training(*wrapped);
}

}  // namespace dbsa::dense
