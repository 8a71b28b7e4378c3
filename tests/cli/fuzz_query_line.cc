// Any bytes as standard input of `dbsa-pipe query`: lines come as they are, those that are too long
// come as such, and each is a query or an error that names it.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tools/dbsa-pipe/commands/input_lines.h"
#include "tools/dbsa-pipe/commands/query_line.h"

namespace {

constexpr size_t kMost = 64;  // bytes of a line, so that the fuzzer finds longer ones

void require(bool condition) {
  if (!condition) std::abort();
}

// The next line, found the plain way.
std::string_view take_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa::cli;
  const int file = ::memfd_create("lines", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::lseek(file, 0, SEEK_SET);
  InputLines input(file, kMost, [] { return false; });
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  int64_t number = 0;
  for (InputLine line; input.next(line);) {
    require(!rest.empty() && input.number() == ++number);
    std::string_view expected = take_line(rest);
    require(line.too_long == (expected.size() > kMost));
    if (line.too_long) expected = {};
    while (expected.ends_with('\r')) expected.remove_suffix(1);
    require(line.text == expected);
    const auto query = parse_query(line.text, number, "text", "label");
    const std::string place = "standard input:" + std::to_string(number) + ": ";
    require(query.error ? query.error->message.starts_with(place) : !query.example.text.empty());
    require(query.id.empty() || nlohmann::json::accept(query.id));
  }
  require(rest.empty() && !input.failed());
  ::close(file);
  return 0;
}
