// Plain data, for units that are compiled for AMX: all eight tiles of 16 rows of 64 bytes.
#pragma once

#include <stdint.h>

namespace dbsa::cpu {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace dbsa::cpu
