// Tokenizers of GGUF vocabularies: byte-level BPE with the pre-tokenisers that `pre` names, and
// what is refused. That published vocabularies give llama.cpp's ids was checked by hand.
#include "model/tokenizer/ggml_vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <random>

#include "model/tokenizer/byte_level.h"

namespace dbsa {
namespace {

using Ids = std::vector<int32_t>;

// All bytes, and a few tokens more. Texts live as long as this.
struct ByteLevelVocabulary {
  ByteLevelVocabulary() {
    const ByteLevelAlphabet alphabet;
    for (int byte = 0; byte < 256; ++byte) {
      std::string character;
      alphabet.append(std::string(1, static_cast<char>(byte)), character);
      add(character);
    }
    for (const char* token : {"ab", "\u0120ab", "12", "121", "xyz", "'S", "ca"}) add(token);
    add("<|im_start|>", GgmlTokenType::kControl);
    add("<tool>", GgmlTokenType::kUserDefined);
    merges = {"a b", "\u0120 ab", "1 2", "12 1", "' S", "c a"};
  }
  void add(const std::string& token, GgmlTokenType type = GgmlTokenType::kNormal) {
    texts.push_back(token);
    types.push_back(type);
  }
  GgmlVocabulary vocabulary(const std::string& pre) const {
    GgmlVocabulary out;
    out.kind = "gpt2";
    out.pre = pre;
    out.tokens.assign(texts.begin(), texts.end());
    out.types = types;
    out.merges.assign(merges.begin(), merges.end());
    return out;
  }
  int32_t id(const std::string& token) const {
    return static_cast<int32_t>(std::find(texts.begin(), texts.end(), token) - texts.begin());
  }
  Ids ids(const std::vector<std::string>& tokens) const {
    Ids out;
    for (const std::string& token : tokens) out.push_back(id(token));
    return out;
  }
  std::vector<std::string> texts, merges;
  std::vector<GgmlTokenType> types;
};

class GgmlByteLevel : public ::testing::Test {
 protected:
  std::unique_ptr<Tokenizer> make(const std::string& pre) {
    auto made = make_ggml_tokenizer(all.vocabulary(pre), "m.gguf");
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(made).value();
  }
  Ids encode(const std::string& pre, const std::string& text, bool special = true) {
    return *make(pre)->encode(text, {.parse_special = special});
  }
  std::string fault(const GgmlVocabulary& vocabulary) {
    const auto made = make_ggml_tokenizer(vocabulary, "m.gguf");
    return made.ok() ? "" : made.error().message;
  }
  const ByteLevelVocabulary all;
};

TEST_F(GgmlByteLevel, EachPreTokenizerSplitsItsWay) {
  const std::string text = "ab ab1212";
  EXPECT_EQ(encode("gpt-2", text), all.ids({"ab", "\u0120ab", "12", "12"}));
  EXPECT_EQ(encode("smollm", text), all.ids({"ab", "\u0120ab", "1", "2", "1", "2"}));
  EXPECT_EQ(encode("llama-bpe", text), all.ids({"ab", "\u0120ab", "121", "2"}));
  EXPECT_EQ(encode("qwen2", text), all.ids({"ab", "\u0120ab", "1", "2", "1", "2"}));
  // Numbers of up to three digits, and with the space before them.
  EXPECT_EQ(encode("gpt-2", "12121"), all.ids({"12", "121"}));
  EXPECT_EQ(encode("llama-bpe", "12121"), all.ids({"121", "2", "1"}));
  EXPECT_EQ(encode("gpt-2", " 12"), all.ids({"\u0120", "12"}));
  // Contractions in capitals.
  EXPECT_EQ(encode("gpt-2", "ab'Sab"), all.ids({"ab", "'", "S", "ab"}));
  for (const char* pre : {"llama-bpe", "qwen2"})
    EXPECT_EQ(encode(pre, "ab'Sab"), all.ids({"ab", "'S", "ab"})) << pre;
}

TEST_F(GgmlByteLevel, LlamaBpeTakesPiecesWhole) {
  EXPECT_EQ(encode("llama-bpe", "xyz"), all.ids({"xyz"}));
  EXPECT_EQ(encode("gpt-2", "xyz"), all.ids({"x", "y", "z"}));
  EXPECT_EQ(encode("qwen2", "xyz"), all.ids({"x", "y", "z"}));
}

TEST_F(GgmlByteLevel, OtherNamesOfTheSame) {
  const std::string text = "ab'Sxyz 91212\n\n ab";
  EXPECT_EQ(encode("llama3", text), encode("llama-bpe", text));
  EXPECT_EQ(encode("llama-v3", text), encode("llama-bpe", text));
  EXPECT_EQ(encode("deepseek-r1-qwen", text), encode("qwen2", text));
  EXPECT_EQ(encode("olmo", text), encode("gpt-2", text));
  EXPECT_EQ(encode("refact", text), encode("smollm", text));
  EXPECT_EQ(encode("dbrx", text), encode("smaug-bpe", text));
}

TEST_F(GgmlByteLevel, SplitAsLlamaBpeWithoutItsWholePieces) {
  for (const char* pre : {"dbrx", "smaug-bpe"}) {
    const std::string text = "ab'Sab 91212\n\n ab";
    EXPECT_EQ(encode(pre, text), encode("llama-bpe", text)) << pre;
    EXPECT_EQ(encode(pre, "xyz"), all.ids({"x", "y", "z"})) << pre;
    EXPECT_EQ(make(pre)->adds_bos(), false) << pre;
  }
}

// Words end before a capital, take a contraction with them, and numbers have three digits.
TEST_F(GgmlByteLevel, Gpt4oSplitsAtCapitals) {
  EXPECT_EQ(encode("gpt-4o", "abAb"), all.ids({"ab", "A", "b"}));
  EXPECT_EQ(encode("gpt-4o", "Aab"), all.ids({"A", "ab"}));
  EXPECT_EQ(encode("gpt-4o", "aBab"), all.ids({"a", "B", "ab"}));
  EXPECT_EQ(encode("gpt-4o", "1212"), all.ids({"121", "2"}));
  EXPECT_EQ(encode("gpt-4o", " ab'Sab"), all.ids({"\u0120ab", "'S", "ab"}));
  EXPECT_EQ(encode("gpt-4o", "xyz"), all.ids({"x", "y", "z"}));
  EXPECT_EQ(make("gpt-4o")->adds_bos(), false);
}

TEST_F(GgmlByteLevel, ControlTokensAreTextWhereTheyAreNotAskedFor) {
  const Ids tool = all.ids({"<tool>", "ab"});
  EXPECT_EQ(encode("gpt-2", "<tool>ab"), tool);
  EXPECT_EQ(encode("gpt-2", "<tool>ab", false), tool) << "user-defined";
  EXPECT_EQ(encode("gpt-2", "<|im_start|>ab"), all.ids({"<|im_start|>", "ab"}));
  EXPECT_GT(encode("gpt-2", "<|im_start|>ab", false).size(), 8u);
  const auto tokenizer = make("gpt-2");
  EXPECT_TRUE(tokenizer->is_special(all.id("<|im_start|>")));
  EXPECT_FALSE(tokenizer->is_special(all.id("<tool>")));
  EXPECT_FALSE(tokenizer->starts_with_space());
}

TEST_F(GgmlByteLevel, DecodesWhatItEncodes) {
  const uint32_t seed = 7;
  std::cout << "seed " << seed << "\n";
  std::mt19937 draw(seed);
  const std::vector<std::string> parts = {"ab",         " ",  "12", "\n", "\u00e9",
                                          "\U0001f600", "'S", "x",  "\t"};
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2", "dbrx", "gpt-4o"}) {
    const auto tokenizer = make(pre);
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (uint32_t n = draw() % 20; n > 0; --n) text += parts[draw() % parts.size()];
      EXPECT_EQ(tokenizer->decode(*tokenizer->encode(text)), text);
    }
  }
}

TEST_F(GgmlByteLevel, BosAndEos) {
  EXPECT_EQ(make("gpt-2")->adds_bos(), false);
  EXPECT_EQ(make("llama-bpe")->adds_bos(), true);
  GgmlVocabulary vocabulary = all.vocabulary("llama-bpe");
  vocabulary.add_bos = false;
  vocabulary.eos_id = all.id("<|im_start|>");
  const auto made = make_ggml_tokenizer(vocabulary, "m.gguf");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ((*made)->adds_bos(), false);
  EXPECT_EQ((*made)->eos_id(), all.id("<|im_start|>"));
}

TEST_F(GgmlByteLevel, FingerprintIsOfAllThatDecides) {
  const auto print = [](const GgmlVocabulary& vocabulary) {
    return (*make_ggml_tokenizer(vocabulary, "m.gguf"))->fingerprint();
  };
  const GgmlVocabulary plain = all.vocabulary("gpt-2");
  EXPECT_EQ(print(plain), print(all.vocabulary("gpt-2")));
  EXPECT_NE(print(plain), print(all.vocabulary("smollm")));
  GgmlVocabulary changed = plain;
  changed.types.back() = GgmlTokenType::kNormal;
  EXPECT_NE(print(plain), print(changed));
  changed = plain;
  changed.merges.pop_back();
  EXPECT_NE(print(plain), print(changed));
}

TEST_F(GgmlByteLevel, PreTokenizersThatAreNotKnown) {
  const std::string known =
      "m.gguf: key 'tokenizer.ggml.pre': expected one of gpt-2, smollm, llama-bpe, llama3, "
      "llama-v3, qwen2, deepseek-r1-qwen, smaug-bpe, dbrx, gpt-4o, olmo, refact, found ";
  EXPECT_EQ(fault(all.vocabulary("tekken")),
            known + "\"tekken\"; use the model as a Hugging Face folder");
  EXPECT_EQ(
      fault(all.vocabulary("default")),
      known + "\"default\"; how the model splits texts is not said: fetch a newer conversion");
  EXPECT_EQ(fault(all.vocabulary("")),
            known + "none; how the model splits texts is not said: fetch a newer conversion");
  GgmlVocabulary other = all.vocabulary("gpt-2");
  other.kind = "t5";
  EXPECT_EQ(fault(other),
            "m.gguf: key 'tokenizer.ggml.model': expected gpt2 or llama, found "
            "\"t5\"; use the model as a Hugging Face folder");
}

TEST_F(GgmlByteLevel, DamagedVocabularies) {
  const auto expect = [&](const std::function<void(GgmlVocabulary&)>& change,
                          const std::string& what) {
    GgmlVocabulary vocabulary = all.vocabulary("gpt-2");
    change(vocabulary);
    EXPECT_EQ(fault(vocabulary), "m.gguf: key 'tokenizer.ggml." + what + "; fetch the file again");
  };
  const std::string count = std::to_string(all.texts.size());
  expect([](auto& v) { v.tokens.clear(); }, "tokens': expected 1 to 4194304 tokens, found 0");
  expect([](auto& v) { v.types.pop_back(); }, "token_type': expected one element for each of " +
                                                  count + " tokens, found " +
                                                  std::to_string(all.texts.size() - 1));
  expect([](auto& v) { v.types[3] = static_cast<GgmlTokenType>(9); },
         "token_type': token 3: expected a type from 1 to 6, found 9");
  expect([](auto& v) { v.tokens[4] = "\xff"; },
         "tokens': token 4: expected UTF-8, found other bytes");
  expect(
      [](auto& v) { v.tokens.back() = ""; },
      "tokens': token " + std::to_string(all.texts.size() - 1) + ": expected a text, found none");
  expect([](auto& v) { v.merges[2] = "12"; },
         "merges': merge 2: expected two tokens with a space between");
  GgmlVocabulary vocabulary = all.vocabulary("gpt-2");
  vocabulary.merges[2] = "ab nothing";
  EXPECT_EQ(fault(vocabulary),
            "m.gguf: merge 2 (\"ab\" + \"nothing\") needs the token \"nothing\", which is not in "
            "model.vocab");
  vocabulary = all.vocabulary("gpt-2");
  vocabulary.tokens[5] = vocabulary.tokens[6];
  EXPECT_NE(fault(vocabulary).find("m.gguf: model.vocab lists token"), std::string::npos);
}

}  // namespace
}  // namespace dbsa
