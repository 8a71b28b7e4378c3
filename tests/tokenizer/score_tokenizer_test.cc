// The `llama` kind of GGUF vocabularies against a slow and obvious version of the same rules.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>
#include <optional>
#include <random>

#include "model/tokenizer/ggml_vocabulary.h"
#include "model/tokenizer/token_cutter.h"

namespace dbsa {
namespace {

using Ids = std::vector<int32_t>;
using Type = GgmlTokenType;

struct Token {
  std::string text;
  float score = 0;
  Type type = Type::kNormal;
};

struct ScoreVocabulary {
  std::vector<Token> tokens;
  std::optional<bool> add_space_prefix = {};

  GgmlVocabulary made() const {
    GgmlVocabulary out;
    out.kind = "llama";
    out.pre = "default";
    for (const Token& token : tokens) {
      out.tokens.push_back(token.text);
      out.scores.push_back(token.score);
      out.types.push_back(token.type);
    }
    out.add_space_prefix = add_space_prefix;
    out.unknown_id = 0;
    return out;
  }
  std::unique_ptr<Tokenizer> tokenizer() const {
    auto tokenizer = make_ggml_tokenizer(made(), "m.gguf");
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    return std::move(tokenizer).value();
  }
  int32_t id(const std::string& text) const {
    for (size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i].text == text) return static_cast<int32_t>(i);
    return -1;
  }
  Ids ids(const std::vector<std::string>& texts) const {
    Ids out;
    for (const std::string& text : texts) out.push_back(id(text));
    return out;
  }
};

std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> out;
  for (const char c : text)
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80)
      out.back() += c;
    else
      out.emplace_back(1, c);
  return out;
}

// Looks for every pair, again after every join.
void merge_slowly(const ScoreVocabulary& v, std::string text, Ids& ids) {
  for (size_t at = text.find(' '); at != std::string::npos; at = text.find(' '))
    text.replace(at, 1, "\u2581");
  std::vector<std::string> symbols = characters(text);
  for (;;) {
    size_t best = symbols.size();
    float score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int32_t id = v.id(symbols[i] + symbols[i + 1]);
      if (id < 0) continue;
      const float found = v.tokens[static_cast<size_t>(id)].score;
      if (best == symbols.size() || found > score) best = i, score = found;
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  for (const std::string& symbol : symbols) {
    if (const int32_t id = v.id(symbol); id >= 0) {
      ids.push_back(id);
      continue;
    }
    for (const char c : symbol) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned char>(c));
      ids.push_back(v.id(name));
    }
  }
}

Ids encode_slowly(const ScoreVocabulary& v, const std::string& text, bool special) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const Type type = v.tokens[i].type;
    if (type == Type::kUserDefined ||
        (special && (type == Type::kControl || type == Type::kUnknown)))
      order.push_back(static_cast<int32_t>(i));
  }
  const auto text_of = [&](int32_t id) { return v.tokens[static_cast<size_t>(id)].text; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return text_of(a).size() > text_of(b).size(); });
  struct Part {
    std::string text;
    int32_t id;
  };
  std::vector<Part> parts = {{text, -1}};
  for (const int32_t id : order) {
    std::vector<Part> next;
    for (const Part& part : parts) {
      std::string rest = part.text;
      size_t at = std::string::npos;
      while (part.id < 0 && (at = rest.find(text_of(id))) != std::string::npos) {
        if (at > 0) next.push_back({rest.substr(0, at), -1});
        next.push_back({"", id});
        rest.erase(0, at + text_of(id).size());
      }
      if (part.id >= 0 || !rest.empty()) next.push_back({rest, part.id});
    }
    parts = next;
  }
  Ids ids;
  bool behind_token = true;
  for (const Part& part : parts) {
    if (part.id >= 0)
      ids.push_back(part.id);
    else
      merge_slowly(v, (behind_token && v.add_space_prefix.value_or(true) ? " " : "") + part.text,
                   ids);
    behind_token = part.id >= 0;
  }
  return ids;
}

ScoreVocabulary with_bytes() {
  ScoreVocabulary v;
  v.tokens = {
      {"<unk>", 0, Type::kUnknown}, {"<s>", 0, Type::kControl}, {"</s>", 0, Type::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    v.tokens.push_back({name, 0, Type::kByte});
  }
  return v;
}

TEST(ScoreTokenizer, JoinsTheHighestScore) {
  ScoreVocabulary v = with_bytes();
  for (const char* one : {"\u2581", "a", "b", "c"}) v.tokens.push_back({one, -10});
  v.tokens.insert(v.tokens.end(), {{"ab", -3}, {"bc", -2}, {"\u2581a", -4}});
  const auto t = v.tokenizer();
  EXPECT_TRUE(t->starts_with_space());
  EXPECT_EQ(t->adds_bos(), true);
  // "bc" before "ab", of which no letter is left then.
  EXPECT_EQ(*t->encode("abc"), v.ids({"\u2581a", "bc"}));
  EXPECT_EQ(*t->encode("ab"), v.ids({"\u2581", "ab"}));
  EXPECT_EQ(*t->encode("b\nb"), v.ids({"\u2581", "b", "<0x0A>", "b"}));
  EXPECT_EQ(*t->encode("\u00e9"), v.ids({"\u2581", "<0xC3>", "<0xA9>"}));
  EXPECT_EQ(*t->encode("</s>a"), v.ids({"</s>", "\u2581a"}));
  EXPECT_EQ(*t->encode("a</s>", {.parse_special = false}),
            v.ids({"\u2581a", "<0x3C>", "<0x2F>", "<0x73>", "<0x3E>"}));
  const ByteRange data = {4, 9};  // "a</s>"
  EXPECT_EQ(*t->encode("</s>a</s></s>", {.parse_special = true, .plain = {&data, 1}}),
            v.ids({"</s>", "\u2581a", "<0x3C>", "<0x2F>", "<0x73>", "<0x3E>", "</s>"}));
  EXPECT_EQ(t->decode(*t->encode("abc a\u00e9")), "abc a\u00e9");
  EXPECT_EQ(t->decode(*t->encode("</s>a")), "a");
  EXPECT_EQ(t->decode(*t->encode("</s>a"), {.skip_special = false}), "</s>a");
}

TEST(ScoreTokenizer, WithoutASpaceInFront) {
  ScoreVocabulary v = with_bytes();
  v.tokens.insert(v.tokens.end(), {{"\u2581", -9}, {"a", -9}, {"\u2581a", -1}});
  v.add_space_prefix = false;
  const auto t = v.tokenizer();
  EXPECT_FALSE(t->starts_with_space());
  EXPECT_EQ(*t->encode("a a"), v.ids({"a", "\u2581a"}));
  EXPECT_EQ(t->decode(*t->encode(" a a")), " a a");
}

// Runs of a character are cut from the left, the longest first.
TEST(ScoreTokenizer, UserDefinedTokensAreCutOutFirst) {
  ScoreVocabulary v = with_bytes();
  v.tokens.insert(v.tokens.end(), {{"\u2581", -9},
                                   {"a", -9},
                                   {"\n\n", 0, Type::kUserDefined},
                                   {"\n\n\n", 0, Type::kUserDefined},
                                   {"  ", 0, Type::kUserDefined},
                                   {"xyz", 0, Type::kUserDefined},
                                   {"wx", 0, Type::kUserDefined}});
  v.add_space_prefix = false;
  const auto t = v.tokenizer();
  EXPECT_EQ(*t->encode("a\n\n\n\n\na"), v.ids({"a", "\n\n\n", "\n\n", "a"}));
  EXPECT_EQ(*t->encode("a   a"), v.ids({"a", "  ", "\u2581", "a"}));
  // The longer one, although the other begins first.
  EXPECT_EQ(*t->encode("wxyz"), v.ids({"<0x77>", "xyz"}));
}

TEST(ScoreTokenizer, RandomVocabulariesAgainstTheSlowVersion) {
  for (const uint32_t seed : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u}) {
    std::cout << "seed " << seed << "\n";
    std::mt19937 draw(seed);
    const std::vector<std::string> alphabet = {"a", "b", "c", "\u00e9", "\u2581", "\U0001f600"};
    ScoreVocabulary v = with_bytes();
    // Not all characters are tokens themselves; joins are random, with equal scores among them.
    for (int i = 0; i < 60; ++i) {
      std::string text;
      const bool inner_space = seed % 2 == 0;
      for (uint32_t n = 1 + draw() % 4; n > 0; --n) {
        const std::string& c = alphabet[draw() % alphabet.size()];
        if (c == "\u2581" && !text.empty() && !inner_space) continue;
        text += c;
      }
      if (v.id(text) < 0) v.tokens.push_back({text, -static_cast<float>(draw() % 20)});
    }
    for (const char* text : {"ab", "  ", "b c", "ca\u00e9", "\n\n", "\n"})
      if (v.id(text) < 0) v.tokens.push_back({text, 0, Type::kUserDefined});
    if (seed % 3 == 0) v.add_space_prefix = false;
    const auto t = v.tokenizer();
    for (int round = 0; round < 400; ++round) {
      std::string text;
      for (uint32_t n = 1 + draw() % 40; n > 0; --n) {
        const uint32_t which = draw() % 9;
        text += which < 6 ? alphabet[which] : which == 6 ? " " : which == 7 ? "\n" : "</s>";
      }
      const bool special = round % 2 == 0;
      const auto ids = t->encode(text, {.parse_special = special});
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      ASSERT_EQ(*ids, encode_slowly(v, text, special)) << text;
    }
  }
}

TEST(ScoreTokenizer, ALongTextWithoutSpacesTakesNoSquareOfTime) {
  ScoreVocabulary v = with_bytes();
  v.tokens.insert(v.tokens.end(), {{"\u2581", -9}, {"a", -9}, {"aa", -1}, {"aaaa", -2}});
  const auto ids = v.tokenizer()->encode(std::string(400'000, 'a'));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->size(), 100'001u);
}

TEST(ScoreTokenizer, CharactersWithoutBytes) {
  ScoreVocabulary v;
  v.tokens = {{"<unk>", 0, Type::kUnknown}, {"\u2581", -1}, {"a", -1}};
  EXPECT_EQ(*v.tokenizer()->encode("ab"), v.ids({"\u2581", "a", "<unk>"}));
  GgmlVocabulary none = v.made();
  none.unknown_id.reset();
  const auto t = make_ggml_tokenizer(none, "m.gguf");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ((*t)->encode("ab").error().message,
            "m.gguf: the vocabulary has no token for \"b\" and none for unknown text; remove the "
            "character from the text");
}

TEST(ScoreTokenizer, EndlessTokensAreNotSearchedFor) {
  ScoreVocabulary v = with_bytes();
  v.tokens.push_back({std::string(256, 'a'), 0, Type::kUserDefined});
  EXPECT_EQ(*v.tokenizer()->encode(std::string(256, 'a')), (Ids{259}));
  v.tokens.back().text += 'a';
  const GgmlVocabulary endless = v.made();
  EXPECT_EQ(
      make_ggml_tokenizer(endless, "m.gguf").error().message,
      "m.gguf: key 'tokenizer.ggml.tokens': token 259: expected at most 256 bytes for a token "
      "that texts are searched for, found 257; fetch the file again");
}

TEST(ScoreTokenizer, DamagedScores) {
  ScoreVocabulary v = with_bytes();
  GgmlVocabulary damaged = v.made();
  damaged.scores[7] = std::nanf("");
  EXPECT_EQ(make_ggml_tokenizer(damaged, "m.gguf").error().message,
            "m.gguf: key 'tokenizer.ggml.scores': token 7: expected a number, found one that is "
            "none; fetch the file again");
  damaged.scores.pop_back();
  EXPECT_EQ(make_ggml_tokenizer(damaged, "m.gguf").error().message,
            "m.gguf: key 'tokenizer.ggml.scores': expected one element for each of 259 tokens, "
            "found 258; fetch the file again");
}

}  // namespace
}  // namespace dbsa
