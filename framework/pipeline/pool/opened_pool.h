// OpenedPool: a pool with all that answers need of it besides the model and its blocks' keys and
// values: the retriever that holds its index, and its labels as the decoding reads them.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "host/host_services.h"
#include "host/retriever.h"
#include "icl/label_scorer.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/pool/pool.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// A retriever with its own services: to index may take another embedder for a moment, which
// those who ask an earlier retriever must not see.
struct PoolRetriever {
  std::unique_ptr<host::HostServices> services;
  host::Retriever retriever;
};

// Does not change once it is made. [any]
struct OpenedPool {
  Pool pool;
  PoolRetriever index;
  int64_t anchor_blocks = 0;            // the mask's
  std::vector<EncodeBlock> planned;     // as pool.encoded_blocks(); empty where none is stored
  int64_t changed_unix_s = 0;           // of a stored pool, as the store says
  std::vector<int64_t> lengths;         // [blocks] tokens
  std::vector<int64_t> block_of;        // of each document, where demonstrations are ranked
  std::optional<LabelTrie> trie;        // under trie and greedy_trie
  std::optional<LikelihoodTree> tree;   // under likelihood
  std::optional<LabelScoring> scoring;  // beside it

  const host::Retriever& retriever() const { return index.retriever; }
  // Blocks as selections count them.
  const PoolBlock& block(int64_t at) const { return pool.blocks[static_cast<size_t>(at)]; }
  int64_t length(int64_t at) const { return lengths[static_cast<size_t>(at)]; }
};

// Fills in the rest. kConfig for labels that cannot be told apart.
Result<std::shared_ptr<OpenedPool>> open_pool(Pool pool, PoolRetriever index, int64_t anchor_blocks,
                                              const Settings& settings);

// The block that each demonstration of a pool stands in, from 0; a prefix block does not count.
std::vector<int64_t> blocks_of_demonstrations(const Pool& pool);

}  // namespace dbsa
