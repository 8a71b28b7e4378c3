// The saved index of a retriever that keeps no more than the number of documents.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace dbsa::retrieval {

// `magic`, then the count in decimal digits.
std::string save_count(std::string_view magic, int64_t count);

// kCorrupt for anything but what save_count writes for the same magic.
Result<int64_t> load_count(std::string_view magic, std::string_view bytes);

}  // namespace dbsa::retrieval
