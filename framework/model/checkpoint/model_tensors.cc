#include "model/checkpoint/model_tensors.h"

#include <utility>

namespace dbsa {
namespace {

class TensorTable {
 public:
  explicit TensorTable(const ModelSpec& spec) : spec_(spec) {}

  std::vector<ModelTensor> make() {
    const int64_t hidden = spec_.hidden_size, vocabulary = spec_.vocab_size;
    whole(TensorRole::kEmbedding, "model.embed_tokens.weight", {vocabulary, hidden});
    for (layer_ = 0; layer_ < static_cast<int64_t>(spec_.layers.size()); ++layer_) {
      prefix_ = "model.layers." + std::to_string(layer_) + ".";
      const LayerSpec& layer = spec_.layers[static_cast<size_t>(layer_)];
      attention(layer);
      feed_forward(layer);
    }
    layer_ = -1;
    prefix_.clear();
    whole(TensorRole::kNorm, "model.norm.weight", {hidden});
    whole(TensorRole::kHead, spec_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight",
          {vocabulary, hidden});
    return std::move(tensors_);
  }

 private:
  void whole(TensorRole role, const std::string& name, std::vector<int64_t> shape) {
    const int64_t rows = shape[0];
    tensors_.push_back({role, layer_, expert_, prefix_ + name, std::move(shape), 0, rows});
  }

  struct Part {
    TensorRole weight, bias;
    std::string name;
    int64_t rows;
  };
  // Linear layers of one x, each by its own name or all rows in one tensor `fused`.
  void linear(const std::vector<Part>& parts, int64_t columns, bool bias,
              const std::string& fused = "") {
    int64_t all = 0, first = 0;
    for (const Part& part : parts) all += part.rows;
    for (const Part& part : parts) {
      if (fused.empty()) {
        whole(part.weight, part.name + ".weight", {part.rows, columns});
        if (bias) whole(part.bias, part.name + ".bias", {part.rows});
        continue;
      }
      const std::string name = prefix_ + fused;
      tensors_.push_back(
          {part.weight, layer_, expert_, name + ".weight", {all, columns}, first, part.rows});
      if (bias)
        tensors_.push_back({part.bias, layer_, expert_, name + ".bias", {all}, first, part.rows});
      first += part.rows;
    }
  }

  void attention(const LayerSpec& layer) {
    const int64_t hidden = spec_.hidden_size, q = spec_.q_width(), kv = spec_.kv_width();
    if (layer.attention_norm) whole(TensorRole::kAttentionNorm, "input_layernorm.weight", {hidden});
    linear({{TensorRole::kQ, TensorRole::kQBias, "self_attn.q_proj", q},
            {TensorRole::kK, TensorRole::kKBias, "self_attn.k_proj", kv},
            {TensorRole::kV, TensorRole::kVBias, "self_attn.v_proj", kv}},
           hidden, layer.qkv_bias, spec_.fused_qkv ? "self_attn.qkv_proj" : "");
    if (layer.qk_norm != QkNorm::kNone) {
      const bool head = layer.qk_norm == QkNorm::kHead;
      whole(TensorRole::kQNorm, "self_attn.q_norm.weight", {head ? spec_.head_dim : q});
      whole(TensorRole::kKNorm, "self_attn.k_norm.weight", {head ? spec_.head_dim : kv});
    }
    linear({{TensorRole::kO, TensorRole::kOBias, "self_attn.o_proj", hidden}}, q,
           layer.output_bias);
    if (layer.attention_output_norm)
      whole(TensorRole::kAttentionOutputNorm, "post_attention_layernorm.weight", {hidden});
  }

  void feed_forward(const LayerSpec& layer) {
    const int64_t hidden = spec_.hidden_size;
    // With a norm on attention's output that one has the name that is this one's elsewhere.
    if (layer.mlp_norm)
      whole(TensorRole::kMlpNorm,
            layer.attention_output_norm ? "pre_feedforward_layernorm.weight"
                                        : "post_attention_layernorm.weight",
            {hidden});
    if (layer.experts)
      experts(layer);
    else
      mlp(layer, spec_.intermediate_size, "mlp.", {"gate_proj", "up_proj", "down_proj"});
    if (layer.mlp_output_norm)
      whole(TensorRole::kMlpOutputNorm, "post_feedforward_layernorm.weight", {hidden});
  }

  void experts(const LayerSpec& layer) {
    const bool mixtral = spec_.family == ModelFamily::kMixtral;
    const std::string of = mixtral ? "block_sparse_moe." : "mlp.";
    const MlpNames names =
        mixtral ? MlpNames{"w1", "w3", "w2"} : MlpNames{"gate_proj", "up_proj", "down_proj"};
    whole(TensorRole::kRouter, of + "gate.weight", {spec_.experts.count, spec_.hidden_size});
    for (expert_ = 0; expert_ < spec_.experts.count; ++expert_)
      mlp(layer, spec_.experts.intermediate_size, of + "experts." + std::to_string(expert_) + ".",
          names);
    expert_ = -1;
  }

  struct MlpNames {
    const char *gate, *up, *down;
  };
  void mlp(const LayerSpec& layer, int64_t wide, const std::string& of, const MlpNames& names) {
    const int64_t hidden = spec_.hidden_size;
    linear({{TensorRole::kGate, TensorRole::kGateBias, of + names.gate, wide},
            {TensorRole::kUp, TensorRole::kUpBias, of + names.up, wide}},
           hidden, layer.mlp_bias, spec_.fused_gate_up ? of + "gate_up_proj" : "");
    linear({{TensorRole::kDown, TensorRole::kDownBias, of + names.down, hidden}}, wide,
           layer.mlp_bias);
  }

  const ModelSpec& spec_;
  int64_t layer_ = -1;
  int64_t expert_ = -1;
  std::string prefix_;
  std::vector<ModelTensor> tensors_;
};

}  // namespace

std::vector<ModelTensor> model_tensors(const ModelSpec& spec) { return TensorTable(spec).make(); }

}  // namespace dbsa
