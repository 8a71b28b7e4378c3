// Lines of standard input: their ends, and those that are too long.
#include "tools/dbsa-pipe/commands/input_lines.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace dbsa::cli {
namespace {

using testing::ElementsAre;

// The lines of an input that comes in parts, each a separate read; "too long" for such lines.
std::vector<std::string> lines_of(const std::vector<std::string>& parts, size_t most = 8) {
  std::array<int, 2> ends;
  if (::pipe(ends.data()) != 0) return {"no pipe"};
  std::thread writer([&] {
    for (const std::string& part : parts)
      if (::write(ends[1], part.data(), part.size()) != static_cast<ssize_t>(part.size())) break;
    ::close(ends[1]);
  });
  InputLines input(ends[0], most, [] { return false; });
  std::vector<std::string> lines;
  for (InputLine line; input.next(line);) {
    lines.push_back(line.too_long ? "too long" : line.text);
    EXPECT_EQ(input.number(), static_cast<int64_t>(lines.size()));
    EXPECT_TRUE(!line.too_long || line.text.empty());
  }
  EXPECT_FALSE(input.failed());
  writer.join();
  ::close(ends[0]);
  return lines;
}

TEST(InputLines, EndAsTheyMay) {
  EXPECT_THAT(lines_of({}), ElementsAre());
  EXPECT_THAT(lines_of({"a\nb\r\n\nc"}), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(lines_of({"a", "b\n", "c", "\n"}), ElementsAre("ab", "c"));
  EXPECT_THAT(lines_of({"\n\n"}), ElementsAre("", ""));
}

TEST(InputLines, OneThatIsTooLongIsSkipped) {
  EXPECT_THAT(lines_of({"12345678\n123456789\na\n"}), ElementsAre("12345678", "too long", "a"));
  EXPECT_THAT(lines_of({"123456789"}), ElementsAre("too long"));
  EXPECT_THAT(lines_of({"123456789\n"}), ElementsAre("too long"));
  EXPECT_THAT(lines_of({"12345678", "9", "\nb"}), ElementsAre("too long", "b"));
  const std::string endless(1 << 20, 'x');
  EXPECT_THAT(lines_of({endless, endless, endless + "\nb\n" + endless}),
              ElementsAre("too long", "b", "too long"));
}

}  // namespace
}  // namespace dbsa::cli
