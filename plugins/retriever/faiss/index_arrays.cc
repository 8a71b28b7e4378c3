#include "index_arrays.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>
#include <faiss/invlists/BlockInvertedLists.h>

#include <cmath>
#include <sstream>
#include <vector>

#include "graph_arrays.h"

namespace dbsa::dense {
namespace {

// What the bytes of a code are. Any byte is a valid code of a quantizer.
enum class Code { kFloat, kHalf, kQuantized };

Code code_of(const ::faiss::ScalarQuantizer& quantizer) {
  return quantizer.qtype == ::faiss::ScalarQuantizer::QT_fp16 ? Code::kHalf : Code::kQuantized;
}

Status check_codes(const Archive& archive, const std::vector<uint8_t>& codes, Code code,
                   const std::string& name) {
  if (code == Code::kFloat)
    return check_values(archive, reinterpret_cast<const float*>(codes.data()),
                        codes.size() / sizeof(float), name);
  if (code == Code::kHalf) {
    const auto* halves = reinterpret_cast<const uint16_t*>(codes.data());
    for (size_t i = 0; i < codes.size() / sizeof *halves; ++i)
      if ((halves[i] & 0x7C00U) == 0x7C00U)  // at most 65504 otherwise
        return archive.wrong("value " + std::to_string(i) + " of " + name +
                             ": expected a finite number, found one that is not");
  }
  return {};
}

Status transfer_floats(Archive& archive, std::vector<float>& values, size_t count,
                       const char* name) {
  DBSA_RETURN_IF_ERROR(archive.array(values, count, name));
  return check_values(archive, values.data(), count, name);
}

Status transfer_codes(Archive& archive, ::faiss::IndexFlatCodes& index, size_t documents,
                      Code code) {
  DBSA_RETURN_IF_ERROR(archive.array(index.codes, documents * index.code_size, "codes"));
  return check_codes(archive, index.codes, code, "the vectors");
}

Status transfer_quantizer(Archive& archive, ::faiss::ProductQuantizer& quantizer) {
  return transfer_floats(archive, quantizer.centroids,
                         quantizer.M * quantizer.ksub * quantizer.dsub, "the codes' centroids");
}

// The least and the range of each dimension; nothing for floats of 16 bits.
Status transfer_quantizer(Archive& archive, ::faiss::ScalarQuantizer& quantizer) {
  const size_t count = code_of(quantizer) == Code::kHalf ? 0 : 2 * quantizer.d;
  return transfer_floats(archive, quantizer.trained, count, "the codes' ranges");
}

// ---- inverted lists ----

// A list holds its documents in ascending order, so the list of each document says all. [documents]
Status transfer_lists(Archive& archive, size_t documents,
                      std::vector<std::vector<::faiss::Index::idx_t>>& lists) {
  std::vector<uint32_t> list_of;
  if (!archive.reads()) {
    list_of.assign(documents, static_cast<uint32_t>(lists.size()));
    for (size_t list = 0; list < lists.size(); ++list)
      for (size_t i = 0; i < lists[list].size(); ++i) {
        const ::faiss::Index::idx_t id = lists[list][i];
        if (id < 0 || static_cast<size_t>(id) >= documents || (i > 0 && id <= lists[list][i - 1]))
          return archive.wrong("expected ascending documents in list " + std::to_string(list));
        list_of[static_cast<size_t>(id)] = static_cast<uint32_t>(list);
      }
  }
  DBSA_RETURN_IF_ERROR(archive.array(list_of, documents, "lists of the documents"));
  for (size_t id = 0; id < documents; ++id) {
    if (list_of[id] >= lists.size())
      return archive.wrong("document " + std::to_string(id) + ": expected a list below " +
                           std::to_string(lists.size()) + ", found " + std::to_string(list_of[id]));
    if (archive.reads()) lists[list_of[id]].push_back(static_cast<::faiss::Index::idx_t>(id));
  }
  return {};
}

Status transfer_lists(Archive& archive, ::faiss::InvertedLists& any, size_t documents, Code code) {
  if (auto* lists = dynamic_cast<::faiss::ArrayInvertedLists*>(&any)) {
    DBSA_RETURN_IF_ERROR(transfer_lists(archive, documents, lists->ids));
    for (size_t i = 0; i < lists->nlist; ++i) {
      DBSA_RETURN_IF_ERROR(
          archive.array(lists->codes[i], lists->ids[i].size() * lists->code_size, "codes"));
      DBSA_RETURN_IF_ERROR(
          check_codes(archive, lists->codes[i], code, "the vectors in list " + std::to_string(i)));
    }
    return {};
  }
  if (auto* lists = dynamic_cast<::faiss::BlockInvertedLists*>(&any)) {
    DBSA_RETURN_IF_ERROR(transfer_lists(archive, documents, lists->ids));
    for (size_t i = 0; i < lists->nlist; ++i) {
      const size_t blocks = (lists->ids[i].size() + lists->n_per_block - 1) / lists->n_per_block;
      DBSA_RETURN_IF_ERROR(archive.array(lists->codes[i], blocks * lists->block_size, "codes"));
    }
    return {};
  }
  return archive.wrong("this plugin cannot save faiss's inverted lists of this kind");
}

Status transfer_inverted_file(Archive& archive, ::faiss::IndexIVF& index, int64_t documents) {
  DBSA_RETURN_IF_ERROR(transfer(archive, *index.quantizer, static_cast<int64_t>(index.nlist)));
  Code code = Code::kQuantized;
  if (dynamic_cast<::faiss::IndexIVFFlat*>(&index) != nullptr) {
    code = Code::kFloat;
  } else if (auto* scalar = dynamic_cast<::faiss::IndexIVFScalarQuantizer*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, scalar->sq));
    code = code_of(scalar->sq);
  } else if (auto* product = dynamic_cast<::faiss::IndexIVFPQ*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, product->pq));
  } else if (auto* fast = dynamic_cast<::faiss::IndexIVFPQFastScan*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, fast->pq));
  } else {
    return archive.wrong("this plugin cannot save faiss's inverted file of this kind");
  }
  return transfer_lists(archive, *index.invlists, static_cast<size_t>(documents), code);
}

// ---- whole indexes ----

Status transfer_transforms(Archive& archive, ::faiss::IndexPreTransform& index) {
  for (::faiss::VectorTransform* step : index.chain) {
    auto* linear = dynamic_cast<::faiss::LinearTransform*>(step);
    if (linear == nullptr) return archive.wrong("this plugin cannot save faiss's transform");
    const auto rows = static_cast<size_t>(linear->d_out);
    DBSA_RETURN_IF_ERROR(transfer_floats(
        archive, linear->A, rows * static_cast<size_t>(linear->d_in), "the projection"));
    DBSA_RETURN_IF_ERROR(
        transfer_floats(archive, linear->b, linear->have_bias ? rows : 0, "the projection's bias"));
    if (archive.reads()) linear->is_trained = true;
  }
  return {};
}

// What the index itself has, and then those that it is made of.
Status transfer_parts(Archive& archive, ::faiss::Index& index, int64_t documents) {
  const auto count = static_cast<size_t>(documents);
  if (auto* outer = dynamic_cast<::faiss::IndexPreTransform*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_transforms(archive, *outer));
    return transfer(archive, *outer->index, documents);
  }
  if (auto* outer = dynamic_cast<::faiss::IndexRefine*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer(archive, *outer->base_index, documents));
    return transfer(archive, *outer->refine_index, documents);
  }
  if (auto* graph = dynamic_cast<::faiss::IndexHNSW*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_graph(archive, graph->hnsw, count));
    return transfer(archive, *graph->storage, documents);
  }
  if (auto* lists = dynamic_cast<::faiss::IndexIVF*>(&index))
    return transfer_inverted_file(archive, *lists, documents);
  if (auto* flat = dynamic_cast<::faiss::IndexFlat*>(&index))
    return transfer_codes(archive, *flat, count, Code::kFloat);
  if (auto* scalar = dynamic_cast<::faiss::IndexScalarQuantizer*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, scalar->sq));
    return transfer_codes(archive, *scalar, count, code_of(scalar->sq));
  }
  if (auto* product = dynamic_cast<::faiss::IndexPQ*>(&index)) {
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, product->pq));
    return transfer_codes(archive, *product, count, Code::kQuantized);
  }
  if (auto* fast = dynamic_cast<::faiss::IndexPQFastScan*>(&index)) {
    const auto block = static_cast<size_t>(fast->bbs);
    const size_t padded = (count + block - 1) / block * block;
    DBSA_RETURN_IF_ERROR(transfer_quantizer(archive, fast->pq));
    if (archive.reads()) fast->ntotal2 = padded;
    return archive.array(fast->codes, padded * fast->M2 / 2, "codes");
  }
  return archive.wrong("this plugin cannot save faiss's index of this kind");
}

}  // namespace

Status transfer(Archive& archive, ::faiss::Index& index, int64_t documents) {
  DBSA_RETURN_IF_ERROR(transfer_parts(archive, index, documents));
  if (archive.reads()) {
    index.ntotal = documents;
    index.is_trained = true;
  }
  return {};
}

Status check_values(const Archive& archive, const float* values, size_t count,
                    const std::string& name) {
  for (size_t i = 0; i < count; ++i) {
    if (std::abs(values[i]) <= kMaxMagnitude) continue;  // false of NaN
    std::ostringstream found;
    if (std::isnan(values[i]))
      found << "NaN";  // which may print a sign
    else
      found << values[i];
    return archive.wrong("value " + std::to_string(i) + " of " + name +
                         ": expected a number from -1e6 to 1e6, found " + found.str());
  }
  return {};
}

}  // namespace dbsa::dense
