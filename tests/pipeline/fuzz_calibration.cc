// Feeds any bytes to the reader of calibrations, once as they are and once with a right head. What
// is read is written and read back.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "pipeline/answer/calibration.h"

namespace {

const std::string kIdentity(32, 'a');

void use(std::string_view text) {
  const auto read = dbsa::parse_calibration(text, "fuzz.json", kIdentity, 2);
  if (!read.ok()) return;
  const auto again =
      dbsa::parse_calibration(dbsa::calibration_text(*read, kIdentity), "again.json", kIdentity, 2);
  if (!again.ok() || !(*again == *read)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  use(bytes);
  use("{\"calibration\":1,\"identity\":\"" + kIdentity + "\"," + bytes);
  return 0;
}
