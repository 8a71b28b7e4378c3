// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace dbsa::cli {

std::string human_count(int64_t count);     // "24,310"
std::string human_bytes(uint64_t bytes);    // "95.2 MiB"
std::string human_seconds(double seconds);  // "12.3 ms", "1.23 s", "2 min 05 s", "1 h 02 min"
std::string clock_seconds(double seconds);  // "0:11", "1:02:03": for a count-down
std::string human_rate(double per_second);  // "1,203", "3.4"
std::string human_ratio(double ratio);      // "85.2 %"
// "1 block", "3 blocks": the count and the noun, with an s for all but one.
std::string counted(int64_t count, const std::string& noun);
std::string counted_queries(int64_t count);  // "1 query", "3 queries"

}  // namespace dbsa::cli
