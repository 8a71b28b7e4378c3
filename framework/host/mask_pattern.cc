#include "host/mask_pattern.h"

#include <string>

namespace dbsa::host {
namespace {

std::string text_of(const Visible& s) {
  return "tokens " + std::to_string(s.first_token) + " to " +
         std::to_string(static_cast<uint64_t>(s.first_token) + static_cast<uint64_t>(s.length)) +
         " of block " + std::to_string(s.block);
}

// What is wrong with one more segment; empty when nothing is.
std::string fault_of(const Visible& s, std::span<const int64_t> block_lengths, int64_t block,
                     const Visible* before) {
  if (s.block < 0 || s.block > block)
    return "block " + std::to_string(s.block) + " for block " + std::to_string(block) +
           ", which sees no later block";
  const int64_t tokens = block_lengths[static_cast<size_t>(s.block)];
  if (s.first_token < 0 || s.length < 1 || s.first_token >= tokens ||
      s.length > tokens - s.first_token)
    return text_of(s) + ", which has " + std::to_string(tokens);
  if (s.kind != DBSA_SEGMENT_FULL && s.kind != DBSA_SEGMENT_CAUSAL && s.kind != DBSA_SEGMENT_WINDOW)
    return "the unknown segment kind " + std::to_string(s.kind);
  if (s.kind == DBSA_SEGMENT_WINDOW ? s.window < 1 : s.window != 0)
    return "a window of " + std::to_string(s.window) + " for segment kind " +
           std::to_string(s.kind);
  if (s.block == block && s.kind == DBSA_SEGMENT_FULL)
    return "a block's own tokens as a full segment";
  if (before != nullptr &&
      (s.block < before->block ||
       (s.block == before->block && s.first_token < before->first_token + before->length)))
    return text_of(s) + " after " + text_of(*before) + ", not ascending";
  return "";
}

}  // namespace

Result<MaskPattern> MaskPattern::create(const LoadedPlugin& plugin, HostServices& services,
                                        const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_MASK_PATTERN));
  return MaskPattern(std::move(instance));
}

Result<std::vector<Visible>> MaskPattern::visible(std::span<const int64_t> block_lengths,
                                                  int64_t block) const {
  if (block < 0 || block >= static_cast<int64_t>(block_lengths.size()))
    return Error{ErrorCode::kInvalidArgument, "visible: a block out of range", ""};
  struct Context {
    std::span<const int64_t> block_lengths;
    int64_t block;
    std::vector<Visible> segments;
    std::string fault;
  } context{block_lengths, block, {}, ""};
  const dbsa_visible_sink sink = {
      sizeof(dbsa_visible_sink), &context,
      [](void* argument, const dbsa_visible* s) noexcept -> int32_t {
        auto& self = *static_cast<Context*>(argument);
        if (!self.fault.empty()) return DBSA_ERROR_PLUGIN;
        if (s->struct_size < DBSA_VISIBLE_LEAST) {
          self.fault = "a segment with struct_size " + std::to_string(s->struct_size) +
                       ", expected at least " + std::to_string(DBSA_VISIBLE_LEAST);
          return DBSA_ERROR_PLUGIN;
        }
        const Visible next = {s->block, s->first_token, s->length, s->kind, s->window};
        self.fault = fault_of(next, self.block_lengths, self.block,
                              self.segments.empty() ? nullptr : &self.segments.back());
        if (!self.fault.empty()) return DBSA_ERROR_PLUGIN;
        self.segments.push_back(next);
        return DBSA_OK;
      }};
  const Status status = instance_.call(
      "visible", instance_.vtable<dbsa_mask_pattern_vtable>().visible, block_lengths.data(),
      static_cast<int64_t>(block_lengths.size()), block, &sink);
  if (!context.fault.empty()) return instance_.broken("visible", "returned " + context.fault);
  if (!status.ok()) return status.error();
  // A row sees at least itself.
  const int64_t own = block_lengths[static_cast<size_t>(block)];
  int64_t covered = own;
  for (auto s = context.segments.rbegin(); s != context.segments.rend() && s->block == block; ++s) {
    if (s->first_token + s->length != covered) break;
    covered = s->first_token;
  }
  if (covered != 0)
    return instance_.broken("visible", "returned segments for block " + std::to_string(block) +
                                           " that do not end with all " + std::to_string(own) +
                                           " tokens of its own");
  return std::move(context.segments);
}

Result<int64_t> MaskPattern::anchor_blocks() const {
  const auto function = instance_.vtable<dbsa_mask_pattern_vtable>().anchor_blocks;
  if (function == nullptr) return int64_t{0};
  const PluginCallScope scope(instance_.plugin(), "anchor_blocks");
  const int64_t blocks = function(instance_.get());
  if (blocks < 0) return instance_.broken("anchor_blocks", "returned " + std::to_string(blocks));
  return blocks;
}

}  // namespace dbsa::host
