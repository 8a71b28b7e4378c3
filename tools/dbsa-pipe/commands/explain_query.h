// explain --query: why a text gets its answer.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "pipeline/explanation.h"
#include "pipeline/pipeline.h"
#include "session.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct PromptToken {
  int32_t id = 0;
  std::string text;
  bool special = false;
};

// A block of the prompt, or the query, which ends it.
struct PromptPart {
  std::optional<int64_t> block;  // index in the pool; nothing: the query
  int64_t start = 0;             // position of the first token
  std::string text;              // special tokens written out
  std::vector<PromptToken> tokens;
};

// A place in the retriever's ranking, from 1.
struct RankedHit {
  int64_t rank = 0;
  double score = 0;
};

// A demonstration of a block in the prompt.
struct ShownDemonstration {
  int64_t id = 0;        // in the pool
  int64_t document = 0;  // of the retriever, where it ranks demonstrations
  std::string label;
  std::optional<Example> example;   // where the data file is as it was when the pool was encoded
  std::optional<RankedHit> ranked;  // where the retriever ranks demonstrations
};

struct ShownBlock {
  AnswerBlock place;
  std::optional<RankedHit> ranked;  // among all blocks
  std::optional<KvLoaded> kv_loaded;
  std::vector<ShownDemonstration> demonstrations;
};

// An explanation with what it refers to.
struct QueryView {
  const Pipeline& pipeline;
  std::string text;
  Explanation explained;
  std::vector<PromptPart> prompt;         // in prompt order; empty under vote
  std::vector<ShownBlock> blocks;         // [answer.blocks]
  std::vector<int64_t> demonstration_of;  // of each document, where demonstrations are ranked
  std::string retriever;                  // the plugin's name

  // Words that the text shares with a document of the retriever; nullptr where it goes by none.
  const std::vector<SharedWord>* words_of(int64_t document) const;
  // Of a block in the prompt: each word once, in byte order.
  std::vector<std::string> words_of_block(const ShownBlock& block) const;
  bool ranks_demonstrations() const { return pipeline.settings().retriever.by_demonstration; }
  // The retriever's document for a block, where it ranks blocks; -1: it does not rank this one.
  int64_t document_of(int64_t block) const;
};

// What the numbers of the labels are and what they leave out, in a sentence or two.
std::string meaning_of(const DecodingSettings& decoding);

// The labels, likeliest first, the answer before its equals: those that were followed to their end,
// then the others by what they can be at most. Indices of Explanation::labels.
std::vector<size_t> by_probability(const QueryView& view);
// A label's name: the pool's, or the free answer.
std::string label_name(const QueryView& view, size_t label);
// Labels of a block's demonstrations with their counts, the most frequent first.
std::vector<std::pair<std::string, int64_t>> label_counts(const ShownBlock& block);
// Texts of ids one by one, which put together are the text of all.
std::vector<PromptToken> prompt_tokens(const Tokenizer& tokenizer, std::span<const int32_t> ids);

void print_query_view(const QueryView& view, bool whole_prompt, Terminal& terminal);

Status explain_query(Session& session, const CommandLine& line, Terminal& terminal);

}  // namespace dbsa::cli
