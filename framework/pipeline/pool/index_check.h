// Whether a retriever can index so many documents, found out before any of them is embedded.
#pragma once

#include <dbsa/sdk/result.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/host_services.h"
#include "host/retriever.h"
#include "icl/dataset.h"

namespace dbsa {

// Knows how wide vectors are and computes none: what a plugin refuses before it asks for them is
// the plugin's to refuse.
class StandInEmbedder final : public host::Embedder {
 public:
  explicit StandInEmbedder(int64_t width) : width_(width) {}
  int64_t width() const override { return width_; }
  Result<std::vector<float>> embed(std::span<const std::string_view>) override;
  std::string identity() const override { return ""; }

  // Whether vectors were asked for; what failed since did so for want of them.
  bool asked() const { return asked_; }

 private:
  int64_t width_;
  std::atomic<bool> asked_ = false;
};

// The error of a retriever that refuses so many documents, given these texts (at least as many)
// instead of theirs. Nothing is said, and no text is embedded, where the services have no embedder.
// The retriever is without an index afterwards.
Status check_index(host::Retriever& retriever, host::HostServices& services,
                   std::span<const Example> texts, int64_t documents);

// Whether an index of these texts takes embeddings; its queries then take them, too. The services
// must have an embedder. The retriever is without an index afterwards.
bool embeds_texts(host::Retriever& retriever, host::HostServices& services,
                  std::span<const Example> texts);

}  // namespace dbsa
