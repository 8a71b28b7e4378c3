#include <string>

#include "model/decoder/decoder_state.h"
#include "model/decoder/weight_loader.h"

namespace dbsa {

// Where a tensor other than the embedding belongs.
host::Weight* Decoder::slot(const ModelTensor& tensor) {
  if (tensor.role == TensorRole::kNorm) return &norm_;
  if (tensor.role == TensorRole::kHead) return &head_;
  Layer& l = layers_[static_cast<size_t>(tensor.layer)];
  host::GatedMlpWeights& mlp =
      tensor.expert < 0 ? l.mlp : l.experts.experts[static_cast<size_t>(tensor.expert)];
  switch (tensor.role) {
    case TensorRole::kAttentionNorm:
      return &l.attention_norm;
    case TensorRole::kQ:
      return &l.q;
    case TensorRole::kQBias:
      return &l.q_bias;
    case TensorRole::kK:
      return &l.k;
    case TensorRole::kKBias:
      return &l.k_bias;
    case TensorRole::kV:
      return &l.v;
    case TensorRole::kVBias:
      return &l.v_bias;
    case TensorRole::kQNorm:
      return &l.q_norm;
    case TensorRole::kKNorm:
      return &l.k_norm;
    case TensorRole::kO:
      return &l.o;
    case TensorRole::kOBias:
      return &l.o_bias;
    case TensorRole::kAttentionOutputNorm:
      return &l.attention_output_norm;
    case TensorRole::kMlpNorm:
      return &l.mlp_norm;
    case TensorRole::kRouter:
      return &l.experts.router;
    case TensorRole::kGate:
      return &mlp.gate;
    case TensorRole::kGateBias:
      return &mlp.gate_bias;
    case TensorRole::kUp:
      return &mlp.up;
    case TensorRole::kUpBias:
      return &mlp.up_bias;
    case TensorRole::kDown:
      return &mlp.down;
    case TensorRole::kDownBias:
      return &mlp.down_bias;
    case TensorRole::kMlpOutputNorm:
      return &l.mlp_output_norm;
    default:
      return nullptr;
  }
}

Status Decoder::load_weights() {
  const bool f32 = !precision_.quantised && precision_.compute == DBSA_COMPUTE_F32;
  const auto kept = precision_.quantised ? backend_.block_types() : std::span<const uint32_t>();
  const WeightLoader load(weights_, backend_, "", packed_,
                          f32 ? TensorDtype::kF32 : TensorDtype::kBF16, kept);
  layers_.resize(spec_.layers.size());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const LayerSpec& layer = spec_.layers[i];
    host::ExpertWeights& experts = layers_[i].experts;
    if (layer.experts) {
      experts.experts.resize(static_cast<size_t>(spec_.experts.count));
      experts.used = spec_.experts.used;
      experts.normalised = spec_.experts.normalised;
    }
    if (layer.activation == Activation::kGeluTanh) {
      layers_[i].mlp.activation = DBSA_ACTIVATION_GELU_TANH;
      for (host::GatedMlpWeights& expert : experts.experts)
        expert.activation = DBSA_ACTIVATION_GELU_TANH;
    }
    changes_outputs_ = changes_outputs_ || layer.attention_output_norm || layer.mlp_output_norm ||
                       spec_.residual_multiplier != 1;
  }
  for (const ModelTensor& tensor : model_tensors(spec_)) {
    if (tensor.role == TensorRole::kEmbedding)
      DBSA_RETURN_IF_ERROR(load.embedding(tensor.name, tensor.rows, spec_.hidden_size, embedding_));
    else
      DBSA_RETURN_IF_ERROR(load.tensor(tensor, spec_, *slot(tensor)));
  }
  return {};
}

}  // namespace dbsa
