#include "model/tokenizer/token_decoder.h"

#include <algorithm>
#include <optional>

#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/text_normalizer.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

std::string join(const std::vector<std::string>& tokens, std::string_view between) {
  std::string out;
  for (const std::string& token : tokens) {
    if (&token != &tokens.front()) out += between;
    out += token;
  }
  return out;
}

class ByteLevelDecoder : public TokenDecoder::Step {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) alphabet_.append_bytes(token, bytes);
    tokens = {utf8::to_valid(bytes)};
  }

 private:
  ByteLevelAlphabet alphabet_;
};

class MetaspaceDecoder : public TokenDecoder::Step {
 public:
  MetaspaceDecoder(std::string replacement, bool prepends)
      : replacement_(std::move(replacement)), prepends_(prepends) {}

  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_all(tokens[i], replacement_, i == 0 && prepends_ ? "" : " ");
  }

 private:
  std::string replacement_;
  bool prepends_;
};

class ReplaceDecoder : public TokenDecoder::Step {
 public:
  ReplaceDecoder(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) token = replace_all(token, pattern_, content_);
  }

 private:
  std::string pattern_;
  std::string content_;
};

// Runs of <0x..> tokens become the characters their bytes form, or one U+FFFD a byte.
class ByteFallbackDecoder : public TokenDecoder::Step {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string run;
    const auto flush = [&] {
      if (run.empty()) return;
      if (!utf8::find_invalid(run)) {
        out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), "\xEF\xBF\xBD");
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const std::optional<char> byte = parse(token)) {
        run.push_back(*byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }

 private:
  static std::optional<char> parse(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>'))
      return std::nullopt;
    int value = 0;
    for (const char c : token.substr(3, 2)) {
      const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'f';
      if (!letter && (c < '0' || c > '9')) return std::nullopt;
      value = value * 16 + (letter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    return static_cast<char>(value);
  }
};

class FuseDecoder : public TokenDecoder::Step {
 public:
  void apply(std::vector<std::string>& tokens) const override { tokens = {join(tokens, "")}; }
};

// Takes up to `start` copies of one character from the front of every token, `stop` from its end.
class StripDecoder : public TokenDecoder::Step {
 public:
  StripDecoder(std::string content, int64_t start, int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (int64_t i = 0; i < start_ && rest.starts_with(content_); ++i)
        rest.remove_prefix(content_.size());
      for (int64_t i = 0; i < stop_ && rest.ends_with(content_); ++i)
        rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
  }

 private:
  std::string content_;
  int64_t start_;
  int64_t stop_;
};

// Words get a space in front, continuations lose their prefix.
class WordPieceDecoder : public TokenDecoder::Step {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}

  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0 && token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else if (i > 0) {
        token.insert(0, 1, ' ');
      }
      if (cleanup_) token = clean(token);
    }
  }

 private:
  // English spacing. Each token by itself, as in the reference.
  static std::string clean(std::string token) {
    constexpr std::string_view kRules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kRules) token = replace_all(token, from, to);
    return token;
  }

  std::string prefix_;
  bool cleanup_;
};

Result<std::shared_ptr<const TokenDecoder::Step>> read_word_piece_decoder(
    const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(reader.allow_only({"prefix", "cleanup"}));
  DBSA_ASSIGN_OR_RETURN(std::string prefix, reader.string("prefix"));
  DBSA_ASSIGN_OR_RETURN(const bool cleanup, reader.boolean("cleanup"));
  return std::shared_ptr<const TokenDecoder::Step>(
      std::make_shared<WordPieceDecoder>(std::move(prefix), cleanup));
}

Result<std::shared_ptr<const TokenDecoder::Step>> read_metaspace_decoder(
    const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(
      reader.allow_only({"replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"}));
  DBSA_ASSIGN_OR_RETURN(std::string replacement, reader.string("replacement"));
  if (replacement.empty()) return reader.unsupported("\"replacement\" is empty");
  DBSA_ASSIGN_OR_RETURN(bool prepends, reader.boolean("add_prefix_space", true));
  if (reader.has("prepend_scheme")) {
    DBSA_ASSIGN_OR_RETURN(const std::string scheme, reader.string("prepend_scheme"));
    prepends = scheme != "never";
  }
  return std::shared_ptr<const TokenDecoder::Step>(
      std::make_shared<MetaspaceDecoder>(std::move(replacement), prepends));
}

// Raises `growth` by how many times as long the step may make a text.
Result<std::shared_ptr<const TokenDecoder::Step>> read_replace_decoder(
    const ComponentReader& reader, double& growth) {
  DBSA_RETURN_IF_ERROR(reader.allow_only({"pattern", "content"}));
  DBSA_ASSIGN_OR_RETURN(ComponentReader::Pattern pattern, reader.pattern("pattern"));
  if (pattern.is_regex || pattern.text.empty())
    return reader.unsupported(
        "Replace is supported with a pattern {\"String\": \"...\"} that is not empty");
  DBSA_ASSIGN_OR_RETURN(std::string content, reader.string("content"));
  growth *=
      std::max(1.0, static_cast<double>(content.size()) / static_cast<double>(pattern.text.size()));
  return std::shared_ptr<const TokenDecoder::Step>(
      std::make_shared<ReplaceDecoder>(std::move(pattern.text), std::move(content)));
}

Result<std::shared_ptr<const TokenDecoder::Step>> read_strip_decoder(
    const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(reader.allow_only({"content", "start", "stop"}));
  DBSA_ASSIGN_OR_RETURN(std::string content, reader.string("content"));
  DBSA_ASSIGN_OR_RETURN(const int64_t start, reader.integer("start"));
  DBSA_ASSIGN_OR_RETURN(const int64_t stop, reader.integer("stop"));
  if (content.empty() || content.size() != utf8::length(content[0]))
    return reader.unsupported("\"content\" must be one character, found \"" + content + "\"");
  return std::shared_ptr<const TokenDecoder::Step>(
      std::make_shared<StripDecoder>(std::move(content), start, stop));
}

}  // namespace

Status TokenDecoder::read_into(const ComponentReader& reader) {
  DBSA_ASSIGN_OR_RETURN(const std::string type, reader.type());
  if (type == "Sequence") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"decoders"}));
    DBSA_ASSIGN_OR_RETURN(const std::vector<ComponentReader> parts, reader.list("decoders"));
    for (const ComponentReader& part : parts) DBSA_RETURN_IF_ERROR(read_into(part));
    return {};
  }
  std::shared_ptr<const Step> step;
  if (type == "ByteLevel") {
    step = std::make_shared<ByteLevelDecoder>();
  } else if (type == "ByteFallback") {
    step = std::make_shared<ByteFallbackDecoder>();
  } else if (type == "Fuse") {
    step = std::make_shared<FuseDecoder>();
  } else if (type == "Metaspace") {
    DBSA_ASSIGN_OR_RETURN(step, read_metaspace_decoder(reader));
  } else if (type == "Replace") {
    DBSA_ASSIGN_OR_RETURN(step, read_replace_decoder(reader, growth_));
    if (growth_ > static_cast<double>(TextBounds::kTimes))
      return reader.unsupported(
          "Replace steps up to this one may make a text more than " +
          std::to_string(TextBounds::kTimes) +
          " times as long, which is not supported; fetch the tokenizer again");
  } else if (type == "Strip") {
    DBSA_ASSIGN_OR_RETURN(step, read_strip_decoder(reader));
  } else if (type == "WordPiece") {
    DBSA_ASSIGN_OR_RETURN(step, read_word_piece_decoder(reader));
  } else {
    return reader.unsupported(
        "the decoder \"" + type +
        "\" is not supported; known: ByteFallback, ByteLevel, Fuse, Metaspace, "
        "Replace, Sequence, Strip, WordPiece");
  }
  steps_.push_back(std::move(step));
  return {};
}

Result<TokenDecoder> TokenDecoder::read(const nlohmann::json& value) {
  TokenDecoder decoder;
  if (value.is_null()) return decoder;
  decoder.given_ = true;
  DBSA_RETURN_IF_ERROR(decoder.read_into(ComponentReader(value, "decoder")));
  return decoder;
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  for (const auto& step : steps_) step->apply(tokens);
  return join(tokens, given_ ? "" : " ");
}

}  // namespace dbsa
