// Explanation: what Pipeline::explain says of an answer besides the answer itself. Everything in it
// was noted on the way of that answer, or comes from the same functions; nothing is computed in
// another way for it.
#pragma once

#include <dbsa/sdk/retriever_words.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "icl/label_reading.h"
#include "pipeline/answer/query_request.h"
#include "pipeline/pipeline.h"

namespace dbsa {

// What is answered to the same tokens of the query when one selected block is left out and the
// others close up, as selection.positions says. The keys and values of the others stay as they are
// stored: what they saw of the block while they were encoded is still in them.
struct WithoutBlock {
  int64_t block = 0;
  // Nothing where no demonstration is left to vote.
  std::optional<AnswerLabel> label;
  // Of the explained answer's label, or of its tokens under free decoding; nothing where it has no
  // vote.
  std::optional<double> log_probability;
};

struct Explanation {
  Answer answer;
  // The query's part of the prompt: tokens and position of the first. None under vote, where no
  // model reads it.
  std::vector<int32_t> query_ids;
  int64_t query_start = 0;
  // All that the retriever ranks, where the answer asked only for the best. An approximate index
  // may rank more documents in another order than a few.
  Ranking ranking;
  // Of the documents in the selected blocks; nothing where the retriever goes by no words.
  std::optional<std::map<int64_t, std::vector<SharedWord>>> words;
  std::vector<KvLoaded> kv_loaded;  // [answer.blocks]; empty where no stored block is used
  // Of each of the pool's labels, in their order; under free decoding one, the answer's.
  std::vector<LabelReading> labels;
  // On request: of each selected block with demonstrations, in prompt order.
  std::vector<WithoutBlock> without;
};

}  // namespace dbsa
