// QuantisedWeights: a second base class for attention backends that compute with the blocks of GGUF
// files, see dbsa/quantised_weights.h. Such a plugin has also
//
//   static constexpr uint32_t kBlockTypes[] = {DBSA_BLOCKS_Q4_0, ...};
//   static const void* extension(std::string_view id) { return quantised_extension<X>(id); }
#pragma once

#include <dbsa/quantised_weights.h>
#include <dbsa/sdk/attention_backend.h>

#include <iterator>
#include <span>
#include <string_view>

namespace dbsa {

class QuantisedWeights {
 public:
  virtual ~QuantisedWeights() = default;
  virtual Result<dbsa_weight*> weight_create_from_blocks(int32_t use, uint32_t type, int64_t rows,
                                                         int64_t width,
                                                         std::span<const unsigned char> blocks) = 0;
};

template <typename Plugin>
const void* quantised_extension(std::string_view id) {
  static constexpr dbsa_quantised_weights kWeights = {
      sizeof(dbsa_quantised_weights), std::size(Plugin::kBlockTypes), Plugin::kBlockTypes,
      [](void* instance, int32_t use, uint32_t type, int64_t rows, int64_t width,
         const void* blocks, uint64_t bytes, dbsa_weight** weight, dbsa_error* error) noexcept {
        return sdk::guard_make(weight, error, [&] {
          QuantisedWeights& plugin = static_cast<Plugin&>(sdk::backend(instance));
          return plugin.weight_create_from_blocks(
              use, type, rows, width, {static_cast<const unsigned char*>(blocks), bytes});
        });
      }};
  return id == DBSA_EXTENSION_QUANTISED_WEIGHTS ? &kWeights : nullptr;
}

}  // namespace dbsa
