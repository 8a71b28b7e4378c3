// The framework's own keys of a pipeline file, typed. A plugin's keys stay JSON and go to the
// plugin. Made from a resolved configuration only: types, ranges and names are right by then.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "icl/selection.h"
#include "pipeline/encode_plan.h"

namespace dbsa {

enum class PromptHead { kFirstBlocks, kPrefix };

struct ModelSettings {
  std::string path;
  std::string dtype;     // auto | f32 | bf16
  std::string kv_dtype;  // auto | f32 | bf16
  int64_t chunk_tokens = 0;
};

struct DataSettings {
  std::string demonstrations;
  std::string queries;        // empty: none given
  std::string query_indices;  // empty: none given
  std::string labels;         // file with the labels to choose from; empty: none given
  std::string text_field;
  std::string label_field;
  int64_t demonstration_count = 0;  // 0: all
  int64_t query_count = 0;          // 0: all
  uint64_t seed = 0;
};

struct PromptSettings {
  std::string input_prefix;
  std::string output_prefix;
  std::string separator;
  PromptHead anchor = PromptHead::kFirstBlocks;
  bool bos = false;
  std::string instruction;
  std::string head;
  std::string tail;
};

struct GrouperSettings {
  int64_t block_size = 0;
  uint64_t seed = 0;
};

struct MaskSettings {
  EncodePositions encode_positions = EncodePositions::kPacked;
  int64_t anchor_blocks = 0;  // the pattern's own key; 0 where it has none
};

struct DecodingSettings {
  bool free = false;  // else trie
  int64_t max_tokens = 0;
  std::vector<std::string> stop;  // besides the separator; free only
};

struct Settings {
  ModelSettings model;
  DataSettings data;
  PromptSettings prompt;
  GrouperSettings grouper;
  MaskSettings mask;
  bool index_whole_demonstrations = true;  // retriever.text = "demonstration"
  SelectionRule selection;
  DecodingSettings decoding;
  std::string output_directory;
  std::string store_path;  // kv_store.path; empty: the store is not kept
};

// Whether queries are answered with no demonstration in the prompt (selection.count = 0). A pool
// then holds labels, and a prefix block where there is one, and nothing else.
bool is_zero_shot(const SelectionRule& rule);

// resolved: a whole configuration with defaults filled in and paths absolute. kConfig for values
// that do not go together.
Result<Settings> read_settings(const nlohmann::json& resolved);

}  // namespace dbsa
