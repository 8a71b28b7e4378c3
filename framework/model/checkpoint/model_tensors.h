// The one table of a model's tensors: which there are, what they are for, under which name and in
// which rows of it they are stored. Loading, checking, counting and writing checkpoints follow it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config/model_spec.h"

namespace dbsa {

enum class TensorRole {
  kEmbedding,
  kAttentionNorm,
  kQ,
  kQBias,
  kK,
  kKBias,
  kV,
  kVBias,
  kQNorm,
  kKNorm,
  kO,
  kOBias,
  kAttentionOutputNorm,
  kMlpNorm,
  kRouter,
  kGate,
  kGateBias,
  kUp,
  kUpBias,
  kDown,
  kDownBias,
  kMlpOutputNorm,
  kNorm,
  kHead,
};

struct ModelTensor {
  TensorRole role;
  int64_t layer;               // -1: of no layer
  int64_t expert;              // -1: of no expert
  std::string name;            // Hugging Face's
  std::vector<int64_t> shape;  // as stored
  int64_t first_row;           // of the stored tensor
  int64_t rows;
  // What is asked for is a part of the tensor.
  bool is_slice() const { return rows != shape[0]; }
};

// Layer by layer; a tied head is the embedding's tensor.
std::vector<ModelTensor> model_tensors(const ModelSpec& spec);

}  // namespace dbsa
