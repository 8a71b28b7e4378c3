#include "model/decoder/window.h"

namespace dbsa {

LayerSet layers_reaching(const ModelSpec& spec, int64_t first_row, int64_t last_token) {
  LayerSet layers;
  layers.reserve(spec.layers.size());
  for (const LayerSpec& layer : spec.layers) {
    const int64_t window = spec.attention_types[static_cast<size_t>(layer.attention)].window;
    layers.push_back(window_reaches(window, first_row, last_token));
  }
  return layers;
}

}  // namespace dbsa
