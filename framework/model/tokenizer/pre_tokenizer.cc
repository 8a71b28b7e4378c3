#include "model/tokenizer/pre_tokenizer.h"

#include <optional>
#include <span>
#include <utility>

#include "model/tokenizer/bert_characters.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/split_behavior.h"
#include "model/tokenizer/split_regex.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// What ByteLevel splits on with use_regex: GPT-2's pattern.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Cuts a piece at the matches that `find` hands to its argument, one after the other.
template <typename Find>
Status split_piece(std::string_view piece, bool first, SplitBehavior behavior, bool invert,
                   PieceSink& next, const Find& find) {
  const auto give = [&](ByteSpan span) {
    return next.take(piece.substr(span.first, span.second - span.first), first && span.first == 0);
  };
  Splitter splitter(behavior, invert, give);
  DBSA_RETURN_IF_ERROR(find([&](ByteSpan match) { return splitter.match(match); }));
  return splitter.finish(piece.size());
}

template <typename Give>
Status find_regex(const SplitRegex& regex, std::string_view text, const TextBounds* bounds,
                  const Give& give) {
  const auto deadline =
      bounds == nullptr ? SplitRegex::Clock::time_point::max() : bounds->deadline();
  SplitRegex::Matches matches(regex, text, deadline);
  for (ByteSpan match;;) {
    DBSA_ASSIGN_OR_RETURN(const bool found, matches.next(match));
    if (!found) return {};
    DBSA_RETURN_IF_ERROR(give(match));
  }
}

template <typename Give>
Status find_literal(std::string_view literal, std::string_view text, const Give& give) {
  for (size_t at = text.find(literal); at != std::string_view::npos;
       at = text.find(literal, at + literal.size()))
    DBSA_RETURN_IF_ERROR(give(ByteSpan{at, at + literal.size()}));
  return {};
}

template <typename Is, typename Give>
Status find_characters(const Is& is_one, std::string_view text, const Give& give) {
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    if (is_one(utf8::next(text, pos))) DBSA_RETURN_IF_ERROR(give(ByteSpan{begin, pos}));
  }
  return {};
}

class SplitStep : public PreTokenizer::Step {
 public:
  SplitStep(std::optional<SplitRegex> regex, std::string literal, SplitBehavior behavior,
            bool invert)
      : regex_(std::move(regex)),
        literal_(std::move(literal)),
        behavior_(behavior),
        invert_(invert) {}

  Status apply(std::string_view piece, bool first, const TextBounds* bounds,
               PieceSink& next) const override {
    return split_piece(piece, first, behavior_, invert_, next, [&](const auto& give) {
      return regex_ ? find_regex(*regex_, piece, bounds, give)
                    : find_literal(literal_, piece, give);
    });
  }

 private:
  std::optional<SplitRegex> regex_;  // or else:
  std::string literal_;
  SplitBehavior behavior_;
  bool invert_;
};

class ByteLevelStep : public PreTokenizer::Step {
 public:
  ByteLevelStep(std::optional<SplitRegex> regex, bool add_prefix_space)
      : regex_(std::move(regex)), add_prefix_space_(add_prefix_space) {}

  Status apply(std::string_view piece, bool first, const TextBounds* bounds,
               PieceSink& next) const override {
    std::string prefixed;
    if (add_prefix_space_ && !piece.starts_with(' ')) {
      prefixed.reserve(piece.size() + 1);
      prefixed += ' ';
      prefixed += piece;
      piece = prefixed;
    }
    Alphabet alphabet(alphabet_, next);
    if (!regex_) return alphabet.take(piece, first);
    return split_piece(piece, first, SplitBehavior::kIsolated, false, alphabet,
                       [&](const auto& give) { return find_regex(*regex_, piece, bounds, give); });
  }
  bool prepends_space() const override { return add_prefix_space_; }

 private:
  // Hands pieces on with their bytes written as characters.
  class Alphabet final : public PieceSink {
   public:
    Alphabet(const ByteLevelAlphabet& alphabet, PieceSink& next)
        : alphabet_(alphabet), next_(next) {}
    Status take(std::string_view piece, bool first) override {
      written_.clear();
      alphabet_.append(piece, written_);
      return next_.take(written_, first);
    }

   private:
    const ByteLevelAlphabet& alphabet_;
    PieceSink& next_;
    std::string written_;
  };

  ByteLevelAlphabet alphabet_;
  std::optional<SplitRegex> regex_;
  bool add_prefix_space_;
};

class DigitsStep : public PreTokenizer::Step {
 public:
  explicit DigitsStep(bool individual) : individual_(individual) {}

  Status apply(std::string_view piece, bool first, const TextBounds*,
               PieceSink& next) const override {
    const auto behavior = individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
    return split_piece(piece, first, behavior, false, next,
                       [&](const auto& give) { return find_characters(is_number, piece, give); });
  }

 private:
  bool individual_;
};

// Cuts at white space, which is dropped, and around every punctuation character.
class BertStep : public PreTokenizer::Step {
 public:
  Status apply(std::string_view piece, bool first, const TextBounds*,
               PieceSink& next) const override {
    Punctuation punctuation(next);
    return split_piece(
        piece, first, SplitBehavior::kRemoved, false, punctuation,
        [&](const auto& give) { return find_characters(utf8::is_white_space, piece, give); });
  }

 private:
  class Punctuation final : public PieceSink {
   public:
    explicit Punctuation(PieceSink& next) : next_(next) {}
    Status take(std::string_view piece, bool first) override {
      return split_piece(
          piece, first, SplitBehavior::kIsolated, false, next_,
          [&](const auto& give) { return find_characters(is_bert_punctuation, piece, give); });
    }

   private:
    PieceSink& next_;
  };
};

class MetaspaceStep : public PreTokenizer::Step {
 public:
  enum class Prepend { kNever, kFirst, kAlways };
  MetaspaceStep(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  Status apply(std::string_view piece, bool first, const TextBounds*,
               PieceSink& next) const override {
    std::string text;
    text.reserve(piece.size() + piece.size() / 2);
    const bool wanted = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && first);
    if (wanted && !piece.starts_with(' ') && !piece.starts_with(replacement_)) text += replacement_;
    for (const char c : piece) {
      if (c == ' ') {
        text += replacement_;
      } else {
        text += c;
      }
    }
    if (!split_) return next.take(text, first);
    return split_piece(text, first, SplitBehavior::kMergedWithNext, false, next,
                       [&](const auto& give) { return find_literal(replacement_, text, give); });
  }
  bool prepends_space() const override { return prepend_ != Prepend::kNever; }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

Result<std::shared_ptr<const PreTokenizer::Step>> read_byte_level(const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(reader.allow_only({"add_prefix_space", "trim_offsets", "use_regex"}));
  DBSA_ASSIGN_OR_RETURN(const bool prefix, reader.boolean("add_prefix_space"));
  DBSA_ASSIGN_OR_RETURN(const bool use_regex, reader.boolean("use_regex", true));
  std::optional<SplitRegex> regex;
  if (use_regex) {
    DBSA_ASSIGN_OR_RETURN(regex, SplitRegex::compile(kGpt2Pattern));
  }
  return std::shared_ptr<const PreTokenizer::Step>(
      std::make_shared<ByteLevelStep>(std::move(regex), prefix));
}

Result<std::shared_ptr<const PreTokenizer::Step>> read_split(const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(reader.allow_only({"pattern", "behavior", "invert"}));
  DBSA_ASSIGN_OR_RETURN(ComponentReader::Pattern pattern, reader.pattern("pattern"));
  DBSA_ASSIGN_OR_RETURN(const std::string name, reader.string("behavior"));
  DBSA_ASSIGN_OR_RETURN(const bool invert, reader.boolean("invert", false));
  const std::optional<SplitBehavior> behavior = split_behavior(name);
  if (!behavior) {
    return reader.unsupported("the behavior \"" + name +
                              "\" is not supported; known: Removed, Isolated, MergedWithPrevious, "
                              "MergedWithNext, Contiguous");
  }
  if (pattern.text.empty()) return reader.unsupported("an empty pattern is not supported");
  std::optional<SplitRegex> regex;
  if (pattern.is_regex) {
    Result<SplitRegex> compiled = SplitRegex::compile(pattern.text);
    if (!compiled) return reader.unsupported(compiled.error().message);
    regex = std::move(compiled).value();
    pattern.text.clear();
  }
  return std::shared_ptr<const PreTokenizer::Step>(
      std::make_shared<SplitStep>(std::move(regex), std::move(pattern.text), *behavior, invert));
}

// The older spelling says add_prefix_space where the newer says prepend_scheme.
Result<std::shared_ptr<const PreTokenizer::Step>> read_metaspace(const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(
      reader.allow_only({"replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"}));
  DBSA_ASSIGN_OR_RETURN(std::string replacement, reader.string("replacement"));
  if (replacement.empty() || replacement.size() != utf8::length(replacement[0]))
    return reader.unsupported("\"replacement\" must be one character, found \"" + replacement +
                              "\"");
  DBSA_ASSIGN_OR_RETURN(const bool split, reader.boolean("split", true));
  DBSA_ASSIGN_OR_RETURN(const bool legacy, reader.boolean("add_prefix_space", true));
  std::string scheme = legacy ? "always" : "never";
  if (reader.has("prepend_scheme")) {
    DBSA_ASSIGN_OR_RETURN(scheme, reader.string("prepend_scheme"));
    if (!legacy && scheme != "never")
      return reader.unsupported("add_prefix_space = false contradicts prepend_scheme = \"" +
                                scheme + "\"");
  }
  MetaspaceStep::Prepend prepend;
  if (scheme == "always") {
    prepend = MetaspaceStep::Prepend::kAlways;
  } else if (scheme == "first") {
    prepend = MetaspaceStep::Prepend::kFirst;
  } else if (scheme == "never") {
    prepend = MetaspaceStep::Prepend::kNever;
  } else {
    return reader.unsupported("the prepend_scheme \"" + scheme +
                              "\" is not supported; known: always, first, never");
  }
  return std::shared_ptr<const PreTokenizer::Step>(
      std::make_shared<MetaspaceStep>(std::move(replacement), prepend, split));
}

}  // namespace

Status PreTokenizer::read_into(const ComponentReader& reader, std::vector<PlacedStep>& steps) {
  DBSA_ASSIGN_OR_RETURN(const std::string type, reader.type());
  if (type == "Sequence") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"pretokenizers"}));
    DBSA_ASSIGN_OR_RETURN(const std::vector<ComponentReader> parts, reader.list("pretokenizers"));
    for (const ComponentReader& part : parts) DBSA_RETURN_IF_ERROR(read_into(part, steps));
    return {};
  }
  std::shared_ptr<const Step> step;
  if (type == "BertPreTokenizer") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({}));
    step = std::make_shared<BertStep>();
  } else if (type == "ByteLevel") {
    DBSA_ASSIGN_OR_RETURN(step, read_byte_level(reader));
  } else if (type == "Split") {
    DBSA_ASSIGN_OR_RETURN(step, read_split(reader));
  } else if (type == "Metaspace") {
    DBSA_ASSIGN_OR_RETURN(step, read_metaspace(reader));
  } else if (type == "Digits") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"individual_digits"}));
    DBSA_ASSIGN_OR_RETURN(const bool individual, reader.boolean("individual_digits"));
    step = std::make_shared<DigitsStep>(individual);
  } else {
    return reader.unsupported(
        "the pre_tokenizer \"" + type +
        "\" is not supported; known: BertPreTokenizer, ByteLevel, Digits, Metaspace, Sequence, "
        "Split");
  }
  if (steps.size() == kMaxSteps)
    return reader.unsupported("more than " + std::to_string(kMaxSteps) +
                              " steps are not supported");
  steps.push_back({std::move(step), reader.step_place(type)});
  return {};
}

Result<PreTokenizer> PreTokenizer::read(const nlohmann::json& value) {
  PreTokenizer result;
  if (!value.is_null())
    DBSA_RETURN_IF_ERROR(read_into(ComponentReader(value, "pre_tokenizer"), result.steps_));
  return result;
}

// Takes what the step before it made, within the bounds, through the steps from its own on.
class PreTokenizer::Stage final : public PieceSink {
 public:
  Stage(std::span<const PlacedStep> steps, size_t index, const TextBounds* bounds, PieceSink& next)
      : steps_(steps), index_(index), bounds_(bounds), next_(next) {}

  Status take(std::string_view piece, bool first) override {
    made_ += piece.size();
    if (index_ > 0 && bounds_ != nullptr && made_ > bounds_->left())
      return bounds_->exceeded(steps_[index_ - 1].place);
    if (index_ == steps_.size()) return next_.take(piece, first);
    return steps_[index_].step->apply(piece, first, bounds_, next_);
  }
  size_t made() const { return made_; }

 private:
  std::span<const PlacedStep> steps_;
  size_t index_;
  const TextBounds* bounds_;
  PieceSink& next_;  // the stage of the next step, or the text's sink
  size_t made_ = 0;
};

Result<size_t> PreTokenizer::apply(std::string_view text, bool first, const TextBounds* bounds,
                                   PieceSink& sink) const {
  std::vector<Stage> stages;  // from the last to the first
  stages.reserve(steps_.size() + 1);
  PieceSink* next = &sink;
  for (size_t i = steps_.size() + 1; i-- > 0;)
    next = &stages.emplace_back(steps_, i, bounds, *next);
  DBSA_RETURN_IF_ERROR(next->take(text, first));
  return stages.front().made();
}

bool PreTokenizer::prepends_space() const {
  for (const PlacedStep& placed : steps_) {
    if (placed.step->prepends_space()) return true;
  }
  return false;
}

}  // namespace dbsa
