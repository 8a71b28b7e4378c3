// What a Decoder holds in the backend: weights of its layers, and the activations of a pass.
#pragma once

#include "model/decoder/decoder.h"

namespace dbsa {

struct Decoder::Layer {
  // Empty: the layer has none.
  host::Weight attention_norm, attention_output_norm, mlp_norm, mlp_output_norm;
  host::Weight q, k, v, o;
  host::Weight q_bias, k_bias, v_bias, o_bias;
  host::Weight q_norm, k_norm;
  host::GatedMlpWeights mlp;    // or
  host::ExpertWeights experts;  // with a router where the layer has them
};

// Grown to the largest pass so far.
struct Decoder::Activations {
  int64_t rows = 0;
  int64_t last_rows = 0;
  int64_t logit_rows = 0;
  host::Buffer x, normed, q, k, v, attended;  // [rows, *]
  host::Buffer branch;                        // [rows, hidden]; where outputs are changed only
  host::Buffer last_x, last_attended;         // [last_rows, *]
  host::Buffer logits;                        // [logit_rows, vocabulary]
};

}  // namespace dbsa
