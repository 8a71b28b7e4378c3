// Computes again what a store has lost or spoiled of an opened pool.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "host/host_services.h"
#include "host/kv_store.h"
#include "model/decoder/window.h"
#include "pipeline/encode/block_cache.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/pool/opened_pool.h"

namespace dbsa {

// A block of the pool, and the layers whose planes are read of it.
struct BlockUse {
  int64_t block = 0;
  LayerSet layers;
};

// [any]; one call after the other.
class BlockRebuilder {
 public:
  // Makes the encoder of one call.
  using MakeEncoder = std::function<Encoder()>;
  BlockRebuilder(std::shared_ptr<const OpenedPool> pool, MakeEncoder make_encoder,
                 host::KvStore& store, BlockCache& cache, host::HostServices& services)
      : pool_(std::move(pool)),
        make_encoder_(std::move(make_encoder)),
        store_(store),
        cache_(cache),
        services_(services) {}

  // Drops each of these blocks of which a plane that is read does not match, then computes what the
  // store lacks of them, and of what they see. How many were computed.
  Result<int64_t> rebuild(std::span<const BlockUse> uses);

 private:
  Status drop_damaged(const BlockUse& use);

  const std::shared_ptr<const OpenedPool> pool_;
  const MakeEncoder make_encoder_;
  host::KvStore& store_;
  BlockCache& cache_;
  host::HostServices& services_;
  std::mutex mutex_;
};

}  // namespace dbsa
