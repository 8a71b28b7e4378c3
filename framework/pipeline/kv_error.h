// What int8 keys and values change in the answers to queries, against bfloat16.
#pragma once

#include <cstdint>
#include <span>

#include "pipeline/pipeline.h"

namespace dbsa {

struct KvError {
  int64_t queries = 0;
  int64_t labels_changed = 0;
  // Changes of log-probabilities of labels, absolute values: under likelihood of every label, else
  // of those that both answers name, as the best or the second. 0 where there are none.
  int64_t log_probabilities = 0;
  double mean = 0;
  double max = 0;
};

// reference: answers to the same queries in the same order, from keys and values that are not
// quantised. Log-probabilities that are not finite are left out.
KvError compare_answers(std::span<const Answer> quantised, std::span<const Answer> reference);

}  // namespace dbsa
