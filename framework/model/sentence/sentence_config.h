// What a sentence-transformers folder says of its model: a BERT encoder, mean pooling, length 1.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

namespace dbsa {

// config.json of model_type "bert".
struct BertConfig {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t type_vocab_size = 0;
  double layer_norm_eps = 0;
};

struct SentenceConfig {
  BertConfig bert;
  std::string model_folder;    // where config.json, the weights and the tokenizer lie
  int64_t max_seq_length = 0;  // tokens of a text, [CLS] and [SEP] included; the rest is cut off
  bool do_lower_case = false;  // of a text, before the tokenizer
};

// Reads modules.json (Transformer, Pooling, Normalize; without it the folder is the Transformer's,
// with mean pooling), config.json, sentence_bert_config.json, the pooling's config.json. Errors:
// kEnvironment for missing or damaged files, kConfig for what is not supported, every fault of a
// file on a line.
Result<SentenceConfig> load_sentence_config(const std::string& folder);

}  // namespace dbsa
