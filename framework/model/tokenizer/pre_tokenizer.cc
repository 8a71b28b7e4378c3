#include "model/tokenizer/pre_tokenizer.h"

#include <optional>

#include "model/tokenizer/bert_characters.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/split_behavior.h"
#include "model/tokenizer/split_regex.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/utf8.h"

namespace dbsa {
namespace {

// What ByteLevel splits on with use_regex: GPT-2's pattern.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Cuts every piece at the matches that `find` reports in it.
template <typename Find>
Status split_pieces(PieceList& list, SplitBehavior behavior, bool invert, const Find& find) {
  std::vector<Piece> out;
  std::vector<ByteSpan> matches;
  for (const Piece& piece : list.pieces) {
    matches.clear();
    const std::string_view text = list.view(piece);
    DBSA_RETURN_IF_ERROR(find(text, matches));
    for (const ByteSpan& span : split_at(text.size(), matches, behavior, invert)) {
      out.push_back(
          {piece.begin + span.first, piece.begin + span.second, piece.first && span.first == 0});
    }
  }
  list.pieces = std::move(out);
  return {};
}

Status find_in(const PieceList& list, const SplitRegex& regex, std::string_view text,
               std::vector<ByteSpan>& matches) {
  if (list.bounds == nullptr) return regex.find_all(text, matches);
  return regex.find_all(text, matches, list.bounds->deadline());
}

// Writes every piece anew.
template <typename Rewrite>
void rewrite_pieces(PieceList& list, const Rewrite& rewrite) {
  std::string out;
  out.reserve(list.text.size() + list.text.size() / 2);
  for (Piece& piece : list.pieces) {
    const size_t begin = out.size();
    rewrite(list.view(piece), piece.first, out);
    piece.begin = begin;
    piece.end = out.size();
  }
  list.text = std::move(out);
}

class SplitStep : public PreTokenizer::Step {
 public:
  SplitStep(std::optional<SplitRegex> regex, std::string literal, SplitBehavior behavior,
            bool invert)
      : regex_(std::move(regex)),
        literal_(std::move(literal)),
        behavior_(behavior),
        invert_(invert) {}

  Status apply(PieceList& list) const override {
    return split_pieces(list, behavior_, invert_,
                        [&](std::string_view text, std::vector<ByteSpan>& matches) -> Status {
                          if (regex_) return find_in(list, *regex_, text, matches);
                          find_literal(text, matches);
                          return {};
                        });
  }

 private:
  void find_literal(std::string_view text, std::vector<ByteSpan>& matches) const {
    for (size_t at = text.find(literal_); at != std::string_view::npos;
         at = text.find(literal_, at + literal_.size()))
      matches.emplace_back(at, at + literal_.size());
  }

  std::optional<SplitRegex> regex_;  // or else:
  std::string literal_;
  SplitBehavior behavior_;
  bool invert_;
};

class ByteLevelStep : public PreTokenizer::Step {
 public:
  ByteLevelStep(std::optional<SplitRegex> regex, bool add_prefix_space)
      : regex_(std::move(regex)), add_prefix_space_(add_prefix_space) {}

  Status apply(PieceList& list) const override {
    if (add_prefix_space_) {
      rewrite_pieces(list, [](std::string_view text, bool, std::string& out) {
        if (!text.starts_with(' ')) out += ' ';
        out += text;
      });
    }
    if (regex_) {
      DBSA_RETURN_IF_ERROR(split_pieces(list, SplitBehavior::kIsolated, false,
                                        [&](std::string_view text, std::vector<ByteSpan>& matches) {
                                          return find_in(list, *regex_, text, matches);
                                        }));
    }
    rewrite_pieces(
        list, [&](std::string_view text, bool, std::string& out) { alphabet_.append(text, out); });
    return {};
  }
  bool prepends_space() const override { return add_prefix_space_; }

 private:
  ByteLevelAlphabet alphabet_;
  std::optional<SplitRegex> regex_;
  bool add_prefix_space_;
};

class DigitsStep : public PreTokenizer::Step {
 public:
  explicit DigitsStep(bool individual) : individual_(individual) {}

  Status apply(PieceList& list) const override {
    return split_pieces(list, individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                        false, [](std::string_view text, std::vector<ByteSpan>& matches) -> Status {
                          for (size_t pos = 0; pos < text.size();) {
                            const size_t begin = pos;
                            if (is_number(utf8::next(text, pos))) matches.emplace_back(begin, pos);
                          }
                          return {};
                        });
  }

 private:
  bool individual_;
};

// Cuts at white space, which is dropped, and around every punctuation character.
class BertStep : public PreTokenizer::Step {
 public:
  Status apply(PieceList& list) const override {
    DBSA_RETURN_IF_ERROR(split_at_each(list, SplitBehavior::kRemoved, utf8::is_white_space));
    return split_at_each(list, SplitBehavior::kIsolated, is_bert_punctuation);
  }

 private:
  static Status split_at_each(PieceList& list, SplitBehavior behavior, bool (*is_one)(char32_t)) {
    return split_pieces(list, behavior, false,
                        [&](std::string_view text, std::vector<ByteSpan>& matches) -> Status {
                          for (size_t pos = 0; pos < text.size();) {
                            const size_t begin = pos;
                            if (is_one(utf8::next(text, pos))) matches.emplace_back(begin, pos);
                          }
                          return {};
                        });
  }
};

class MetaspaceStep : public PreTokenizer::Step {
 public:
  enum class Prepend { kNever, kFirst, kAlways };
  MetaspaceStep(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  Status apply(PieceList& list) const override {
    rewrite_pieces(list, [&](std::string_view text, bool first, std::string& out) {
      const bool wanted = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && first);
      if (wanted && !text.starts_with(' ') && !text.starts_with(replacement_)) out += replacement_;
      for (const char c : text) {
        if (c == ' ') {
          out += replacement_;
        } else {
          out += c;
        }
      }
    });
    if (!split_) return {};
    return split_pieces(list, SplitBehavior::kMergedWithNext, false,
                        [&](std::string_view text, std::vector<ByteSpan>& matches) -> Status {
                          for (size_t at = text.find(replacement_); at != std::string_view::npos;
                               at = text.find(replacement_, at + replacement_.size()))
                            matches.emplace_back(at, at + replacement_.size());
                          return {};
                        });
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
  steps.push_back({std::move(step), reader.step_place(type)});
  return {};
}

Result<PreTokenizer> PreTokenizer::read(const nlohmann::json& value) {
  PreTokenizer result;
  if (!value.is_null())
    DBSA_RETURN_IF_ERROR(read_into(ComponentReader(value, "pre_tokenizer"), result.steps_));
  return result;
}

Status PreTokenizer::apply(PieceList& list) const {
  for (const auto& [step, place] : steps_) {
    DBSA_RETURN_IF_ERROR(step->apply(list));
    if (list.bounds != nullptr && list.text.size() > list.bounds->left())
      return list.bounds->exceeded(place);
  }
  return {};
}

bool PreTokenizer::prepends_space() const {
  for (const PlacedStep& placed : steps_) {
    if (placed.step->prepends_space()) return true;
  }
  return false;
}

}  // namespace dbsa
