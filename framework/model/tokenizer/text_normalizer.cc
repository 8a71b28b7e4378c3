#include "model/tokenizer/text_normalizer.h"

#include "model/tokenizer/component_reader.h"
#include "text/unicode.h"

namespace dbsa {

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content,
                        size_t enough) {
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for (size_t at; (at = text.find(pattern, done)) != std::string_view::npos;
       done = at + pattern.size()) {
    out += text.substr(done, at - done);
    out += content;
    if (out.size() > enough) return out;
  }
  out += text.substr(done);
  return out;
}

Status TextNormalizer::read_into(const ComponentReader& reader, std::vector<Step>& steps) {
  DBSA_ASSIGN_OR_RETURN(const std::string type, reader.type());
  if (type == "BertNormalizer") {
    DBSA_ASSIGN_OR_RETURN(const BertNormalizer bert, BertNormalizer::read(reader));
    steps.push_back({Kind::kBert, reader.step_place(type), "", "", bert});
  } else if (type == "NFC") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({}));
    steps.push_back({Kind::kNfc, reader.step_place(type), "", ""});
  } else if (type == "Prepend") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"prepend"}));
    DBSA_ASSIGN_OR_RETURN(std::string content, reader.string("prepend"));
    steps.push_back({Kind::kPrepend, reader.step_place(type), "", std::move(content)});
  } else if (type == "Replace") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"pattern", "content"}));
    DBSA_ASSIGN_OR_RETURN(ComponentReader::Pattern pattern, reader.pattern("pattern"));
    if (pattern.is_regex || pattern.text.empty())
      return reader.unsupported(
          "Replace is supported with a pattern {\"String\": \"...\"} that is not empty");
    DBSA_ASSIGN_OR_RETURN(std::string content, reader.string("content"));
    steps.push_back(
        {Kind::kReplace, reader.step_place(type), std::move(pattern.text), std::move(content)});
  } else if (type == "Sequence") {
    DBSA_RETURN_IF_ERROR(reader.allow_only({"normalizers"}));
    DBSA_ASSIGN_OR_RETURN(const std::vector<ComponentReader> parts, reader.list("normalizers"));
    for (const ComponentReader& part : parts) DBSA_RETURN_IF_ERROR(read_into(part, steps));
  } else {
    return reader.unsupported(
        "the normalizer \"" + type +
        "\" is not supported; known: BertNormalizer, NFC, Prepend, Replace, Sequence");
  }
  return {};
}

Result<TextNormalizer> TextNormalizer::read(const nlohmann::json& value) {
  TextNormalizer normalizer;
  if (!value.is_null())
    DBSA_RETURN_IF_ERROR(read_into(ComponentReader(value, "normalizer"), normalizer.steps_));
  return normalizer;
}

Result<std::string> TextNormalizer::apply(std::string_view text, const TextBounds& bounds) const {
  std::string out(text);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kBert:
        out = step.bert.apply(out);
        break;
      case Kind::kNfc:
        out = normalize_nfc(out);
        break;
      case Kind::kPrepend:
        if (!out.empty()) out.insert(0, step.content);
        break;
      case Kind::kReplace:
        out = replace_all(out, step.pattern, step.content, bounds.left());
        break;
    }
    if (out.size() > bounds.left()) return bounds.exceeded(step.place);
  }
  return out;
}

bool TextNormalizer::prepends_space() const {
  for (const Step& step : steps_) {
    if (step.kind == Kind::kPrepend && (step.content == " " || step.content == "\u2581"))
      return true;
  }
  return false;
}

}  // namespace dbsa
