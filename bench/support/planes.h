// Blocks as a store has them: planes in the host's memory.
#pragma once

#include "bench/support/plugins.h"
#include "host/attention_backend.h"
#include "pipeline/encode/block_planes.h"

namespace dbsa::bench {

// All tokens of `live`, as a store would keep them.
inline BlockPlanes export_block(host::AttentionBackend& backend, const host::Kv& live) {
  BlockPlanes planes;
  must(planes.reserve(must(backend.block_format(live.tokens()))));
  for (int32_t layer = 0; layer < static_cast<int32_t>(planes.format().layers); ++layer)
    must(backend.block_export(live, planes.format(), layer, planes.plane(layer)));
  return planes;
}

// Reads the planes in place.
inline host::Kv import_block(host::AttentionBackend& backend, const BlockPlanes& planes) {
  return must(backend.block_import(planes.format(), planes.all().data()));
}

}  // namespace dbsa::bench
