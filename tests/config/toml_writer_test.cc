#include "config/toml_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <iostream>
#include <limits>
#include <random>

#include "config/toml_document.h"

namespace dbsa {
namespace {

using nlohmann::json;

json read_back(const json& value) {
  const std::string text = to_toml(value);
  const auto document = TomlDocument::parse(text, "a.toml");
  if (!document.ok()) ADD_FAILURE() << document.error().message << "\n" << text;
  return document.ok() ? document->json() : json();
}

// Values that TOML has, down to `depth` levels.
class RandomTable {
 public:
  explicit RandomTable(uint64_t seed) : random_(seed) {}

  json table(int depth) {
    json out = json::object();
    for (size_t i = pick(5); i > 0; --i) out[text()] = value(depth);
    return out;
  }

 private:
  size_t pick(size_t count) { return random_() % count; }

  json value(int depth) {
    switch (pick(depth > 0 ? 7 : 5)) {
      case 0:
        return text();
      case 1:
        return integer();
      case 2:
        return number();
      case 3:
        return pick(2) == 0;
      case 4:
        return json::array();
      case 5:
        return table(depth - 1);
      default:
        return list(depth - 1);
    }
  }

  json list(int depth) {
    json out = json::array();
    for (size_t i = pick(4); i > 0; --i) out.push_back(value(depth));
    return out;
  }

  json integer() {
    const int64_t edges[] = {0, -1, std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()};
    return pick(2) == 0 ? edges[pick(std::size(edges))] : static_cast<int64_t>(random_());
  }

  json number() {
    const double edges[] = {-0.0,    0.1,  1e300, 5e-324, 1.0, std::numeric_limits<double>::max(),
                            1.0 / 3, 1e16, -2.5};
    if (pick(2) == 0) return edges[pick(std::size(edges))];
    const uint64_t bits = random_();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return std::isfinite(value) ? value : 0.5;
  }

  // Letters of every kind that strings and quoted keys must escape, and some that they need not.
  std::string text() {
    static const std::string kParts[] = {"a",
                                         "Z",
                                         "7",
                                         "_",
                                         "-",
                                         ".",
                                         " ",
                                         "\"",
                                         "'",
                                         "\\",
                                         "#",
                                         "=",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "\b",
                                         "\f",
                                         std::string(1, '\0'),
                                         "\x1b",
                                         "\x7f",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "\xc2\x85",
                                         "\xef\xbb\xbf",
                                         "/",
                                         "~"};
    std::string out;
    for (size_t i = pick(6); i > 0; --i) out += kParts[pick(std::size(kParts))];
    return out;
  }

  std::mt19937_64 random_;
};

TEST(TomlWriter, RandomTablesComeBack) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  RandomTable random(seed);
  for (int round = 0; round < 2000; ++round) {
    const json value = random.table(round % 5);
    // As text, so that 1 is not 1.0 and -0.0 not 0.0.
    ASSERT_EQ(read_back(value).dump(), value.dump()) << to_toml(value);
  }
}

TEST(TomlWriter, WritesForPeople) {
  const json value = json::parse(R"({
    "title": "a",
    "empty": {},
    "selection": {"ratio": 1.0, "count": 3, "odd key": true, "stop": ["a", "b"]},
    "retriever": {"first": {"plugin": "bm25"}},
    "axis": [{"name": "x", "set": {"a.b": 1}}, {}]})");
  EXPECT_EQ(to_toml(value), R"(axis = [{ name = "x", set = { "a.b" = 1 } }, {}]
title = "a"

[empty]

[retriever]

[retriever.first]
plugin = "bm25"

[selection]
count = 3
"odd key" = true
ratio = 1.0
stop = ["a", "b"]
)");
  EXPECT_EQ(read_back(value), value);
}

TEST(TomlWriter, KeepsTheLimitsOfNumbersAndLetters) {
  const json value = {{"low", std::numeric_limits<int64_t>::min()},
                      {"high", std::numeric_limits<int64_t>::max()},
                      {"zero", -0.0},
                      {"large", 1e300},
                      {"\x7f\n", "\x7f \xe2\x82\xac"}};
  EXPECT_EQ(read_back(value).dump(), value.dump());
}

TEST(TomlWriter, LeavesOutNull) {
  EXPECT_EQ(to_toml({{"a", nullptr}, {"b", {1, nullptr}}, {"c", {{"d", nullptr}}}}),
            "b = [1]\n\n[c]\n");
  EXPECT_EQ(to_toml(json::object()), "");
}

}  // namespace
}  // namespace dbsa
