// Mask pattern `streaming` (StreamingLLM, arXiv 2309.17453): the token at place p of the pool sees
// the token at place t iff t <= p and (t < sink_tokens, or p - t < window_tokens).
#include <dbsa/sdk/mask_pattern.h>

#include <algorithm>

namespace dbsa {
namespace {

class Streaming final : public MaskPattern {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<Streaming>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const int64_t sink, config.get<int64_t>("sink_tokens"));
    DBSA_ASSIGN_OR_RETURN(const int64_t window, config.get<int64_t>("window_tokens"));
    return std::make_unique<Streaming>(sink, window);
  }

  Streaming(int64_t sink, int64_t window) : sink_tokens_(sink), window_tokens_(window) {}

  // Cost: O(blocks that begin before the block's end); the segments are only those of the sink and
  // of the window.
  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                       int64_t block) const override {
    int64_t own = 0;  // place of the block's first token
    for (int64_t b = 0; b < block; ++b) own += block_lengths[b];
    // The nearest place that the block's first token sees through its window.
    const int64_t window_begin = own - std::min(own, window_tokens_ - 1);
    std::vector<Visible> segments;
    int64_t place = 0;
    for (int64_t b = 0; b <= block; ++b) {
      const int64_t end = place + block_lengths[b];
      const int64_t sink_end = std::clamp(sink_tokens_, place, end);
      const int64_t near_begin = std::clamp(window_begin, sink_end, end);
      if (sink_end > place)
        segments.push_back(
            {b, 0, sink_end - place, b == block ? DBSA_SEGMENT_CAUSAL : DBSA_SEGMENT_FULL, 0});
      if (end > near_begin)
        segments.push_back(
            {b, near_begin - place, end - near_begin, DBSA_SEGMENT_WINDOW, window_tokens_});
      place = end;
    }
    return segments;
  }

 private:
  int64_t sink_tokens_;
  int64_t window_tokens_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Streaming);
