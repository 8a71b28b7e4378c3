// The objects behind the handles of the ABI.
#pragma once

#include "device_pool.h"
#include "imported_block.h"
#include "kernels.h"
#include "linear.h"
#include "plan.h"
#include "tensor_map.h"

#include <dbsa/attention_backend.h>

#include <cstddef>
#include <cstdint>
#include <memory>

struct dbsa_buffer {
  int64_t rows = 0;
  int64_t width = 0;
  uint64_t content = 0;  // unique to what is in it; 0: none yet
  dbsa::cuda::DeviceMemory memory;

  float* row(int64_t r) const { return memory.as<float>() + r * width; }
};

struct dbsa_weight {
  int32_t use = 0;
  int64_t rows = 0;  // output width, vocabulary, or 1
  int64_t width = 0;
  dbsa::cuda::Number type = dbsa::cuda::Number::kF32;
  dbsa::cuda::DeviceMemory memory;
  bool has_map = false;  // for products of few rows, see linear.h
  dbsa::cuda::TensorMap map = {};

  bool of_few_rows(int64_t count) const { return has_map && count <= dbsa::cuda::kMostFewRows; }
  const float* values() const { return memory.as<float>(); }
};

struct dbsa_kv {
  int64_t tokens = 0;
  int64_t padded_tokens = 0;
  int64_t plane_bytes = 0;  // of a layer, on the device and of the format
  bool live = false;
  dbsa::cuda::DeviceMemory memory;                      // of live KV, [layers] planes
  std::shared_ptr<dbsa::cuda::ImportedBlock> imported;  // else

  std::byte* plane(int64_t layer) const {
    return live ? memory.data() + layer * plane_bytes : imported->device_plane(layer);
  }
};

struct dbsa_plan {
  int64_t rows = 0;
  std::unique_ptr<dbsa::cuda::Plan> plan;
  dbsa::cuda::DeviceMemory memory;
  dbsa::cuda::DevicePlan placed = {};
  dbsa::cuda::PinnedBlocks imported;  // of KV it names
};
