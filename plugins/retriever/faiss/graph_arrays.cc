#include "graph_arrays.h"

#include <algorithm>
#include <vector>

namespace dbsa::dense {
namespace {

std::string document(size_t id) { return "document " + std::to_string(id); }

// levels: how many a document is on, from 1.
Status transfer_levels(Archive& archive, ::faiss::HNSW& graph, size_t documents) {
  DBSA_RETURN_IF_ERROR(archive.array(graph.levels, documents, "levels of the documents"));
  const auto most = static_cast<int>(graph.cum_nneighbor_per_level.size()) - 1;
  for (size_t id = 0; id < documents; ++id)
    if (graph.levels[id] < 1 || graph.levels[id] > most)
      return archive.wrong(document(id) + ": expected 1 to " + std::to_string(most) +
                           " levels, found " + std::to_string(graph.levels[id]));
  if (archive.reads()) {
    graph.offsets.assign(1, 0);
    graph.offsets.reserve(documents + 1);
    for (const int levels : graph.levels)
      graph.offsets.push_back(graph.offsets.back() +
                              static_cast<size_t>(graph.cum_nb_neighbors(levels)));
  }
  return {};
}

Status check_links(const Archive& archive, const ::faiss::HNSW& graph, size_t id, int level) {
  size_t begin = 0;
  size_t end = 0;
  graph.neighbor_range(static_cast<::faiss::HNSW::idx_t>(id), level, &begin, &end);
  for (size_t i = begin; i < end; ++i) {
    const int linked = graph.neighbors[i];
    if (linked == -1) continue;  // no link
    if (linked < 0 || static_cast<size_t>(linked) >= graph.levels.size())
      return archive.wrong(document(id) + ": expected a link to a document below " +
                           std::to_string(graph.levels.size()) + ", found " +
                           std::to_string(linked));
    if (graph.levels[static_cast<size_t>(linked)] <= level)
      return archive.wrong(document(id) + ": expected a link to a document on level " +
                           std::to_string(level) + ", found document " + std::to_string(linked) +
                           " with " + std::to_string(graph.levels[static_cast<size_t>(linked)]) +
                           " levels");
  }
  return {};
}

// Searches start at a document with the most levels.
Status transfer_entry_point(Archive& archive, ::faiss::HNSW& graph) {
  std::vector<int> entry(1, graph.entry_point);
  DBSA_RETURN_IF_ERROR(archive.array(entry, 1, "entry point"));
  const int most = *std::max_element(graph.levels.begin(), graph.levels.end());
  if (entry[0] < 0 || static_cast<size_t>(entry[0]) >= graph.levels.size() ||
      graph.levels[static_cast<size_t>(entry[0])] != most)
    return archive.wrong("expected an entry point with " + std::to_string(most) +
                         " levels, found document " + std::to_string(entry[0]));
  if (archive.reads()) {
    graph.entry_point = entry[0];
    graph.max_level = most - 1;
  }
  return {};
}

}  // namespace

Status transfer_graph(Archive& archive, ::faiss::HNSW& graph, size_t documents) {
  DBSA_RETURN_IF_ERROR(transfer_levels(archive, graph, documents));
  DBSA_RETURN_IF_ERROR(archive.array(graph.neighbors, graph.offsets.back(), "links"));
  for (size_t id = 0; id < documents; ++id)
    for (int level = 0; level < graph.levels[id]; ++level)
      DBSA_RETURN_IF_ERROR(check_links(archive, graph, id, level));
  return transfer_entry_point(archive, graph);
}

}  // namespace dbsa::dense
