// Ids and texts equal Hugging Face `tokenizers` (and sentencepiece) on every line of the corpus,
// for every kind of tokenizer; character classes and NFC equal theirs on every code point.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

#include "model/tokenizer/bert_normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/split_regex.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/tokenizer/find_all.h"
#include "tests/tokenizer/reference_files.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa::testing {
namespace {

constexpr size_t kMinLines = 10000;

std::string escaped(std::string_view text) {
  std::ostringstream out;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = utf8::next(text, pos);
    if (c >= 0x20 && c < 0x7F) {
      out << static_cast<char>(c);
    } else {
      out << "\\u{" << std::hex << static_cast<uint32_t>(c) << "}";
    }
  }
  return out.str().substr(0, 400);
}

class TokenizerReference : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerReference, IdsAndTextsAreEqualOnEveryLine) {
  const std::string kind = GetParam();
  const std::vector<std::string> corpus = read_corpus();
  ASSERT_GE(corpus.size(), kMinLines);
  const Expected expected = read_expected(kind, corpus.size());
  ASSERT_GE(expected.full.size(), 300u);
  auto tokenizer = Tokenizer::load(reference_dir() / kind);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  size_t differences = 0;
  size_t special_differs = 0;
  for (size_t i = 0; i < corpus.size(); ++i) {
    const auto ids = (*tokenizer)->encode(corpus[i]);
    ASSERT_TRUE(ids.ok()) << "line " << i << ": " << ids.error().message;
    if (i < expected.full.size()) {
      EXPECT_EQ(*ids, expected.full[i]) << "line " << i;
    }
    const auto plain = (*tokenizer)->encode(corpus[i], {.parse_special = false});
    ASSERT_TRUE(plain.ok()) << plain.error().message;
    special_differs += *ids != *plain;
    const std::string text = (*tokenizer)->decode(*ids);
    const bool equal[3] = {fnv_ids(*ids) == expected.lines[i].ids,
                           fnv_ids(*plain) == expected.lines[i].plain_ids,
                           fnv(text) == expected.lines[i].text};
    if (equal[0] && equal[1] && equal[2]) continue;
    if (++differences <= 10) {
      ADD_FAILURE() << kind << " line " << i << (equal[0] ? "" : " ids")
                    << (equal[1] ? "" : " plain") << (equal[2] ? "" : " text") << ": "
                    << escaped(corpus[i]) << "\nids "
                    << ::testing::PrintToString(*ids).substr(0, 600) << "\ndecoded "
                    << escaped(text);
    }
  }
  EXPECT_EQ(differences, 0u);
  EXPECT_GT(special_differs, 0u) << "the corpus must hold special tokens";
  std::cout << kind << ": " << corpus.size() << " lines, " << differences << " differences\n";
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerReference,
                         ::testing::Values("llama3", "gpt2", "smollm2", "qwen2", "mistral_nemo",
                                           "llama2", "llama2_metaspace", "metaspace_always",
                                           "gpt2_prefix_space", "unk_without_bytes",
                                           "sentencepiece_bpe", "sentencepiece_unigram"),
                         [](const auto& kind) { return std::string(kind.param); });

// Little endian.
void append_u32(uint32_t value, std::string& bytes) {
  for (int shift = 0; shift < 32; shift += 8)
    bytes.push_back(static_cast<char>(value >> shift & 0xFF));
}

uint32_t u32_at(const std::string& bytes, size_t index) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[index * 4 + i]);
  return value;
}

class WordPieceReference : public ::testing::TestWithParam<const char*> {};

TEST_P(WordPieceReference, IdsAndTextsAreEqualOnEveryLine) {
  const std::string kind = GetParam();
  const std::vector<std::string> corpus = read_corpus();
  const std::string expected = read_bytes(reference_dir() / (kind + ".hashes"));
  ASSERT_EQ(expected.size(), corpus.size() * 4);
  auto tokenizer = Tokenizer::load(reference_dir() / kind);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  size_t differences = 0;
  for (size_t i = 0; i < corpus.size(); ++i) {
    const auto ids = (*tokenizer)->encode(corpus[i]);
    const auto plain = (*tokenizer)->encode(corpus[i], {.parse_special = false});
    ASSERT_TRUE(ids.ok() && plain.ok()) << "line " << i;
    const std::string text = (*tokenizer)->decode(*ids);
    std::string hashes;
    for (const uint32_t hash : {fnv_ids(*ids), fnv_ids(*plain), fnv(text)})
      append_u32(hash, hashes);
    if (fnv(hashes) == u32_at(expected, i) || ++differences > 10) continue;
    ADD_FAILURE() << kind << " line " << i << ": " << escaped(corpus[i]) << "\nids "
                  << ::testing::PrintToString(*ids).substr(0, 600) << "\ndecoded " << escaped(text);
  }
  EXPECT_EQ(differences, 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, WordPieceReference, ::testing::Values("bert_uncased", "bert_cased"),
                         [](const auto& kind) { return std::string(kind.param); });

// The set of code points in "0-1f 7f ...".
std::vector<bool> parse_ranges(const std::string& text) {
  std::vector<bool> set(0x110000);
  std::istringstream in(text);
  for (std::string range; in >> range;) {
    const size_t dash = range.find('-');
    const size_t low = std::stoul(range, nullptr, 16);
    const size_t high =
        dash == std::string::npos ? low : std::stoul(range.substr(dash + 1), nullptr, 16);
    for (size_t c = low; c <= high; ++c) set[c] = true;
  }
  return set;
}

template <typename Contains>
std::vector<std::string> differences(const std::vector<bool>& expected, const Contains& contains) {
  std::vector<std::string> out;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if (contains(c) == expected[c]) continue;
    std::ostringstream text;
    text << "U+" << std::hex << static_cast<uint32_t>(c) << (expected[c] ? " missing" : " extra");
    out.push_back(text.str());
  }
  return out;
}

// `before` and then a code point, for all of them.
std::string all_behind(const std::string& before) {
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    text += before;
    utf8::append(text, c);
  }
  return text;
}

// The code points c for which the regex matches `before` + c; text: all_behind(before).
std::vector<bool> find_single(const SplitRegex& regex, const std::string& before,
                              const std::string& text) {
  std::vector<SplitRegex::Span> spans;
  EXPECT_TRUE(find_all(regex, text, spans).ok());
  std::vector<bool> found(0x110000);
  for (const auto& [begin, end] : spans) {
    size_t pos = begin + before.size();
    found[utf8::next(text, pos)] = true;
    EXPECT_EQ(pos, end);
  }
  return found;
}

TEST(UnicodeReference, ClassesAreEqualOnEveryCodePoint) {
  std::istringstream file(read_bytes(reference_dir() / "unicode.txt"));
  const std::string alone = all_behind(""), behind_quotes = all_behind("'");
  size_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const size_t space = line.find(' ', line.starts_with("(?i") ? line.find(')') : 0);
    const std::string name = line.substr(0, space);
    const std::vector<bool> expected = parse_ranges(line.substr(space));
    std::vector<std::string> wrong;
    if (name == "\\w") {
      // The reference's table is newer (Unicode 16) than ours.
      wrong = differences(expected, [&](char32_t c) {
        return is_assigned(c) ? is_word_character(c) : bool(expected[c]);
      });
    } else if (name == "digits") {
      wrong = differences(expected, is_number);
    } else {
      const auto regex = SplitRegex::compile(name);
      ASSERT_TRUE(regex.ok()) << regex.error().message;
      const std::vector<bool> found = name.starts_with("(?i")
                                          ? find_single(*regex, "'", behind_quotes)
                                          : find_single(*regex, "", alone);
      wrong = differences(expected, [&](char32_t c) { return bool(found[c]); });
    }
    if (wrong.size() > 12) wrong.resize(12);
    EXPECT_THAT(wrong, ::testing::IsEmpty()) << name;
  }
  EXPECT_GE(rows, 40u);
}

TEST(UnicodeReference, NfcIsEqualOnEveryCodePoint) {
  const std::string expected = read_bytes(reference_dir() / "nfc.expected");
  ASSERT_EQ(expected.size(), 0x1100u * 4);
  for (char32_t block = 0; block < 0x110000; block += 256) {
    std::string text;
    for (char32_t c = block; c < block + 256; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      std::string one;
      utf8::append(one, c);
      text += one + ";a" + one + ";\u0915" + one + "\u0301\u0323;" + one + "b";
    }
    uint32_t wanted = 0;
    for (size_t i = 4; i-- > 0;)
      wanted = wanted << 8 | static_cast<unsigned char>(expected[block / 256 * 4 + i]);
    EXPECT_EQ(fnv(normalize_nfc(text)), wanted)
        << "block U+" << std::hex << static_cast<uint32_t>(block);
  }
}

TEST(UnicodeReference, BertPiecesAreEqualOnEveryCodePoint) {
  const std::string expected = read_bytes(reference_dir() / "bert.expected");
  ASSERT_EQ(expected.size(), 2 * 0x1100u * 4);
  const auto split = PreTokenizer::read(nlohmann::json{{"type", "BertPreTokenizer"}});
  ASSERT_TRUE(split.ok());
  for (const bool lowercase : {true, false}) {
    const BertNormalizer normalizer{true, true, lowercase, lowercase};
    for (char32_t block = 0; block < 0x110000; block += 256) {
      std::string text;
      for (char32_t c = block; c < block + 256; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string one;
        utf8::append(one, c);
        text += "a" + one + "b \u0915" + one + "\u0301\u0323";
      }
      struct Joiner final : PieceSink {
        std::string text;
        Status take(std::string_view piece, bool) override {
          if (!text.empty()) text += "|";
          text += piece;
          return {};
        }
      } joined;
      ASSERT_TRUE(split->apply(normalizer.apply(text), true, nullptr, joined).ok());
      EXPECT_EQ(fnv(joined.text), u32_at(expected, (lowercase ? 0 : 0x1100) + block / 256))
          << (lowercase ? "uncased" : "cased") << " block U+" << std::hex
          << static_cast<uint32_t>(block);
    }
  }
}

}  // namespace
}  // namespace dbsa::testing
