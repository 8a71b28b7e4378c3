// From a query's text to what the model reads for it: the blocks that are selected, and the tokens
// of its prompt. No pass of the model is needed, so that `validate` does it, too.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/retriever.h"
#include "icl/item_error.h"
#include "icl/selection.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/pool/pool.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// What a request depends on besides its text. Borrowed.
struct QueryContext {
  const Settings& settings;
  const Tokenizer& tokenizer;
  const host::Retriever* retriever;  // nullptr: only tokens are made
  PoolShape pool;
  std::span<const int64_t> block_of;  // of each document, where single demonstrations are ranked
  int64_t max_positions = 0;          // of the model
  int64_t answer_tokens = 0;          // how far tokens may follow the query
};

struct QueryRequest {
  Selection selection;
  std::vector<int32_t> ids;                         // of the query, its prompt's words included
  int64_t cut_tokens = 0;                           // of the text, as data.truncate says
  std::vector<std::vector<int32_t>> reference_ids;  // of reference_texts, likewise
  // The text's own fault: kPlugin, kNotTokenizable, kTooLong. Then the rest is not filled in.
  std::optional<ItemError> error;
};

// What the retriever is asked with for a query's text.
std::string retrieval_text(const Settings& settings, std::string_view text);

// What a retriever says of a query, best first. `blocks` counts blocks of demonstrations from 0, a
// prefix block not among them; it is made of `documents` where single demonstrations are ranked,
// and else the same.
struct Ranking {
  std::vector<Hit> documents;
  std::vector<Hit> blocks;
};

// Asks the retriever for the best `count` blocks, or for all demonstrations where they are ranked.
Result<Ranking> ask_retriever(const QueryContext& context, std::string_view text, int64_t count);

// Selects the blocks. A retriever that fails, or ranks nonsense, for this text is the text's error;
// missing memory, a damaged index and a cancellation are not.
Status select_for_query(const QueryContext& context, std::string_view text, QueryRequest& request);

// Makes the tokens of a selected request, and checks that it fits the model's positions. A text
// that is too long is cut from the side that data.truncate names, by whole tokens of the text,
// until it fits; the prompt's own words stay.
Status tokenize_query(const QueryContext& context, std::string_view text, QueryRequest& request);

// Makes the tokens of the reference queries that the scorer compares with, behind the same blocks.
// One that does not fit is an error of the request.
Status tokenize_references(const QueryContext& context, QueryRequest& request);

}  // namespace dbsa
