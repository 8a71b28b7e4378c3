#include "model/decoder/llm_hidden.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

// Rows of one pass; a longer text is a separate pass.
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

Status check_hidden_layer(int64_t layer, int64_t layers) {
  if (layer >= 0 && layer <= layers) return {};
  return Error{ErrorCode::kConfig,
               "embedding.layer: expected 1 to " + std::to_string(layers) +
                   ", the model's layers, or 0 for the last, found " + std::to_string(layer),
               "/embedding/layer"};
}

Result<std::vector<int32_t>> tokens_to_embed(const Tokenizer& tokenizer, std::string_view text,
                                             int64_t max_positions) {
  DBSA_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer.encode(text, {.parse_special = false}));
  if (static_cast<int64_t>(ids.size()) <= max_positions) return ids;
  return Error{ErrorCode::kConfig,
               "a text of " + std::to_string(ids.size()) +
                   " tokens cannot be embedded: the model reads " + std::to_string(max_positions) +
                   "; shorten a query (data.truncate does not cut what is embedded), or rank "
                   "single demonstrations (retriever.unit = \"demonstration\")",
               "/embedding/method"};
}

Result<std::unique_ptr<LlmHidden>> LlmHidden::create(Scheduler& scheduler, Decoder& model,
                                                     host::AttentionBackend& backend,
                                                     const Tokenizer& tokenizer,
                                                     const host::HostServices& services,
                                                     int64_t layer,
                                                     const std::string& model_fingerprint) {
  const int64_t layers = model.config().layers;
  DBSA_RETURN_IF_ERROR(check_hidden_layer(layer, layers));
  const auto chosen = static_cast<int32_t>(layer == 0 ? layers : layer);
  return std::unique_ptr<LlmHidden>(
      new LlmHidden(scheduler, model, backend, tokenizer, services, chosen,
                    "llm_hidden layer " + std::to_string(chosen) + " of " + model_fingerprint));
}

Result<std::vector<float>> LlmHidden::embed(std::span<const std::string_view> texts) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string_view text : texts) {
    DBSA_ASSIGN_OR_RETURN(ids.emplace_back(),
                          tokens_to_embed(tokenizer_, text, model_.config().max_positions));
  }
  const auto vector_width = static_cast<size_t>(width());
  std::vector<float> vectors(texts.size() * vector_width);
  for (size_t first = 0; first < ids.size();) {
    if (services_.cancelled()) return Error{ErrorCode::kCancelled, "stopped while embedding", ""};
    size_t end = first, tokens = 0;
    while (end < ids.size() && (end == first || tokens + ids[end].size() <= kPassTokens))
      tokens += ids[end++].size();
    DBSA_RETURN_IF_ERROR(scheduler_.run_work([&] {
      return embed_some(std::span(ids).subspan(first, end - first),
                        vectors.data() + first * vector_width);
    }));
    first = end;
  }
  return vectors;
}

// One pass. Each text has its own KV object, as attention works in chunks that begin at multiples
// of the object's tokens: so a row's bits do not depend on the texts before it.
Status LlmHidden::embed_some(std::span<const std::vector<int32_t>> texts, float* vectors) {
  std::vector<host::Kv> kvs;
  kvs.reserve(texts.size());  // ranges point into it
  ForwardInput input;
  for (const std::vector<int32_t>& text : texts) {
    if (text.empty()) continue;
    const auto tokens = static_cast<int64_t>(text.size());
    DBSA_ASSIGN_OR_RETURN(kvs.emplace_back(), backend_.kv_create(tokens));
    const dbsa_segment own = {
        sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kvs.back().get(), 0, tokens, 0, 0};
    input.ranges.push_back({tokens, &kvs.back(), 0, {own}});
    for (size_t i = 0; i < text.size(); ++i) {
      input.ids.push_back(text[i]);
      input.positions.push_back(static_cast<int32_t>(i));
    }
  }
  std::vector<float> hidden;
  if (!input.ids.empty()) {
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
