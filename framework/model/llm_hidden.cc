#include "model/llm_hidden.h"

#include <cmath>

namespace dbsa {
namespace {

// Rows of one pass; a longer text is a pass of its own.
constexpr size_t kPassTokens = 2048;

// vector = the mean of rows [tokens, width], brought to length 1.
void mean_row(std::span<const float> rows, size_t tokens, std::span<float> vector) {
  std::vector<double> sums(vector.size(), 0.0);
  for (size_t t = 0; t < tokens; ++t)
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += rows[t * sums.size() + i];
  double square = 0;
  for (const double sum : sums) square += sum * sum;
  if (square == 0) sums[0] = square = 1;
  const double length = std::sqrt(square);
  for (size_t i = 0; i < sums.size(); ++i) vector[i] = static_cast<float>(sums[i] / length);
}

}  // namespace

Result<std::unique_ptr<LlmHidden>> LlmHidden::create(Llama& model, host::AttentionBackend& backend,
                                                     const Tokenizer& tokenizer,
                                                     const host::HostServices& services,
                                                     int64_t layer,
                                                     const std::string& model_fingerprint) {
  const int64_t layers = model.config().layers;
  if (layer < 0 || layer > layers)
    return Error{ErrorCode::kConfig,
                 "embedding.layer: expected 1 to " + std::to_string(layers) +
                     ", the model's layers, or 0 for the last, found " + std::to_string(layer),
                 "/embedding/layer"};
  const auto chosen = static_cast<int32_t>(layer == 0 ? layers : layer);
  return std::unique_ptr<LlmHidden>(
      new LlmHidden(model, backend, tokenizer, services, chosen,
                    "llm_hidden layer " + std::to_string(chosen) + " of " + model_fingerprint));
}

Result<std::vector<float>> LlmHidden::embed(std::span<const std::string_view> texts) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string_view text : texts) {
    DBSA_ASSIGN_OR_RETURN(ids.emplace_back(), tokenizer_.encode(text, {.parse_special = false}));
    if (static_cast<int64_t>(ids.back().size()) > model_.config().max_positions)
      return Error{ErrorCode::kConfig,
                   "a text of " + std::to_string(ids.back().size()) +
                       " tokens cannot be embedded: the model has " +
                       std::to_string(model_.config().max_positions) +
                       " positions; rank single demonstrations (retriever.unit = "
                       "\"demonstration\")",
                   "/embedding/method"};
  }
  const auto vector_width = static_cast<size_t>(width());
  std::vector<float> vectors(texts.size() * vector_width);
  for (size_t first = 0; first < ids.size();) {
    if (services_.cancelled()) return Error{ErrorCode::kCancelled, "stopped while embedding", ""};
    size_t end = first, tokens = 0;
    while (end < ids.size() && (end == first || tokens + ids[end].size() <= kPassTokens))
      tokens += ids[end++].size();
    DBSA_RETURN_IF_ERROR(embed_some(std::span(ids).subspan(first, end - first),
                                    vectors.data() + first * vector_width));
    first = end;
  }
  return vectors;
}

// One pass: the texts one after the other in one live KV, each seeing its own tokens alone.
Status LlmHidden::embed_some(std::span<const std::vector<int32_t>> texts, float* vectors) {
  int64_t tokens = 0;
  for (const std::vector<int32_t>& text : texts) tokens += static_cast<int64_t>(text.size());
  std::vector<float> hidden;
  if (tokens > 0) {
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.kv_create(tokens));
    ForwardInput input;
    for (const std::vector<int32_t>& text : texts) {
      if (text.empty()) continue;
      RowRange range;
      range.rows = static_cast<int64_t>(text.size());
      range.kv = &kv;
      range.first_token = static_cast<int64_t>(input.ids.size());
      range.segments.push_back({sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kv.get(),
                                range.first_token, range.rows, 0, 0});
      for (size_t i = 0; i < text.size(); ++i) {
        input.ids.push_back(text[i]);
        input.positions.push_back(static_cast<int32_t>(i));
      }
      input.ranges.push_back(std::move(range));
    }
    DBSA_ASSIGN_OR_RETURN(hidden, model_.hidden_states(input, layer_));
  }
  const auto vector_width = static_cast<size_t>(width());
  size_t row = 0;
  for (const std::vector<int32_t>& text : texts) {
    mean_row(std::span(hidden).subspan(row * vector_width), text.size(), {vectors, vector_width});
    vectors += vector_width;
    row += text.size();
  }
  return {};
}

}  // namespace dbsa
