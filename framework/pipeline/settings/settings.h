// The framework's own keys of a pipeline file, typed. A plugin's keys stay JSON and go to the
// plugin. Made from a resolved configuration only: types, ranges and names are right by then.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "icl/label_names.h"
#include "icl/label_scorer.h"
#include "icl/selection.h"
#include "icl/text_fields.h"
#include "icl/tokenization.h"
#include "pipeline/encode/encode_plan.h"

namespace dbsa {

enum class PromptHead { kFirstBlocks, kPrefix };

struct ModelSettings {
  std::string path;
  std::string dtype;     // auto | f32 | bf16
  std::string kv_dtype;  // auto | f32 | bf16 | int8
  int64_t chunk_tokens = 0;
  int64_t batch_size = 1;          // 0: chosen by the pipeline
  int64_t kv_error_queries = 0;    // under int8
  bool packed_weights = false;     // kept on the machine
  int64_t max_positions = 0;       // of prompts; 0: the model's
  uint64_t block_cache_bytes = 0;  // of open blocks; 0: half of the machine's memory
};

enum class OnError { kReport, kFail };
enum class Truncate { kNone, kLeft, kRight };

struct DataSettings {
  std::string demonstrations;
  std::string queries;        // empty: none given
  std::string query_indices;  // empty: none given
  std::string labels;         // file with the labels to choose from; empty: none given
  TextFields text = "text";   // what makes the text of an example
  std::string label_field;
  int64_t demonstration_count = 0;  // 0: all
  int64_t held_out = 0;             // of the drawn demonstrations, not in the pool
  int64_t query_count = 0;          // 0: all
  uint64_t seed = 0;
  char delimiter = '\0';                // of .csv and .tsv files; '\0': by their headers
  OnError on_error = OnError::kReport;  // of a query
  Truncate truncate = Truncate::kNone;  // the side that texts are cut on
  LabelNames names;                     // of the codes in label_field; empty: it has labels
};

// How demonstrations and queries are written. Of prompt.demonstration: what stands before its first
// field, between its last one and the label, and behind the label, before the separator. Of the
// model's chat template, once chat_prompt.h has asked it: with what it puts around messages.
struct PromptSettings {
  std::string input_prefix;
  std::string label_break;  // between the text and output_prefix
  std::string output_prefix;
  std::string separator;
  PromptHead anchor = PromptHead::kFirstBlocks;
  bool bos = false;
  std::string instruction;
  PromptText head;
  std::string tail;
  bool chat = false;   // written by the model's chat template
  std::string system;  // text for it
};

enum class Edits { kInPlace, kAppend };

struct GrouperSettings {
  int64_t block_size = 0;
  uint64_t seed = 0;
  Edits edits = Edits::kInPlace;
};

struct RetrieverSettings {
  bool whole_demonstrations = true;  // text = "demonstration"
  bool by_demonstration = false;     // unit = "demonstration"
  BlockScore block_score = BlockScore::kMax;
};

enum class EmbeddingMethod { kNone, kSentenceTransformer, kLlmHidden };

struct EmbeddingSettings {
  EmbeddingMethod method = EmbeddingMethod::kNone;
  std::string path;   // of the encoder
  int64_t layer = 0;  // from 1; 0: the last
};

enum class DecodingMethod { kTrie, kGreedyTrie, kLikelihood, kFree, kVote };
// As decoding.method has it.
const char* method_name(DecodingMethod method);

struct DecodingSettings {
  DecodingMethod method = DecodingMethod::kTrie;
  int64_t max_tokens = 0;         // kFree
  std::vector<std::string> stop;  // besides the separator; kFree
  LabelScorer scorer = LabelScorer::kSum;
  std::vector<std::string> content_free;  // kContextual
  double temperature = 1;                 // unless it is fitted
  bool fit_temperature = false;
  bool fit_confidence = false;
  double abstain_below = 0;  // a probability; 0: never
};

struct Settings {
  ModelSettings model;
  DataSettings data;
  PromptSettings prompt;
  GrouperSettings grouper;
  EncodePositions encode_positions = EncodePositions::kPacked;  // of mask_pattern
  RetrieverSettings retriever;
  EmbeddingSettings embedding;
  SelectionRule selection;
  bool recompute = false;  // selection.recompute
  DecodingSettings decoding;
  std::string output_directory;
};

// Whether queries are answered with no demonstration in the prompt (selection.count = 0). A pool
// then holds labels, and a prefix block where there is one, and nothing else.
bool is_zero_shot(const SelectionRule& rule);

// Whether queries are answered from stored keys and values at all.
bool uses_stored_kv(const Settings& settings);

// Whether answers need what is measured on the held-out demonstrations.
bool needs_calibration(const Settings& settings);

// Texts behind whose queries labels are scored, too, for each request: see label_scorer.h.
std::vector<std::string> reference_texts(const Settings& settings);

// resolved: a whole configuration with defaults filled in and paths absolute. kConfig for values
// that do not go together.
Result<Settings> read_settings(const nlohmann::json& resolved);

}  // namespace dbsa
