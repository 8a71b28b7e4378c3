#include "config/toml_edit.h"

#include <algorithm>

#include "config/json_pointer.h"
#include "config/toml_document.h"
#include "config/toml_writer.h"

namespace dbsa {
namespace {

using nlohmann::json;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// One edit of a text.
class Editor {
 public:
  Editor(std::string text, const TomlDocument& document, const TomlEdit& edit)
      : text_(std::move(text)),
        document_(document),
        edit_(edit),
        pointer_(pointer_of_key(edit.key)),
        line_end_(text_.find("\r\n") == text_.npos ? "\n" : "\r\n") {}

  std::optional<std::string> apply() {
    const bool done = document_.contains(pointer_) ? (edit_.value ? replace() : comment_out())
                                                   : (edit_.value ? insert() : true);
    if (!done) return {};
    return std::move(text_);
  }

 private:
  // Where the key begins. Columns count characters.
  size_t key_start() const {
    const Place place = document_.place(pointer_);
    size_t at = 0;
    for (int64_t line = 1; line < place.line && at < text_.size(); ++line)
      at = std::min(text_.find('\n', at), text_.size() - 1) + 1;
    const auto continues = [&](size_t i) {
      return i < text_.size() && (static_cast<unsigned char>(text_[i]) & 0xC0) == 0x80;
    };
    for (int64_t column = 1; column < place.column && at < text_.size(); ++column)
      for (++at; continues(at);) ++at;
    return at;
  }
  size_t line_start(size_t at) const {
    const size_t before = at == 0 ? text_.npos : text_.rfind('\n', at - 1);
    return before == text_.npos ? 0 : before + 1;
  }

  std::string comments(const std::string& indent) const {
    std::string out;
    for (const std::string& comment : edit_.comments) {
      out += indent + "# ";
      out += comment;
      out += line_end_;
    }
    return out;
  }

  std::string assignment() const {
    const size_t dot = edit_.key.rfind('.');
    return edit_.key.substr(dot == edit_.key.npos ? 0 : dot + 1) + " = " +
           to_toml_value(*edit_.value) + line_end_;
  }

  // A number, a word or a text of one line; false for others.
  bool replace() {
    const size_t key = key_start();
    size_t begin = text_.find('=', key);
    if (begin == text_.npos) return false;
    ++begin;
    while (begin < text_.size() && is_blank(text_[begin])) ++begin;
    size_t end = begin;
    if (begin < text_.size() && (text_[begin] == '"' || text_[begin] == '\'')) {
      const char quote = text_[begin];
      for (++end; end < text_.size() && text_[end] != quote && text_[end] != '\n'; ++end)
        if (quote == '"' && text_[end] == '\\') ++end;
      if (end >= text_.size() || text_[end] != quote) return false;
      ++end;
    } else {
      end = std::min(text_.find_first_of(",]}# \t\r\n", begin), text_.size());
    }
    const size_t line = line_start(key);
    const size_t indent = std::min(text_.find_first_not_of(" \t", line), text_.size()) - line;
    text_.replace(begin, end - begin, to_toml_value(*edit_.value));
    text_.insert(line, comments(text_.substr(line, indent)));
    return true;
  }

  bool comment_out() {
    const size_t line = line_start(key_start());
    text_.insert(line, comments("") + "# ");
    return true;
  }

  bool insert() {
    const size_t dot = edit_.key.rfind('.');
    const std::string table = dot == edit_.key.npos ? "" : edit_.key.substr(0, dot);
    if (table.empty()) return false;
    if (!document_.contains(pointer_of_key(table))) {
      if (!text_.empty() && text_.back() != '\n') text_ += line_end_;
      text_ += line_end_ + "[" + table + "]" + line_end_ + comments("") + assignment();
      return true;
    }
    const std::string header = "[" + table + "]";
    for (size_t line = 0; line < text_.size();) {
      const size_t end = std::min(text_.find('\n', line), text_.size());
      const size_t first = text_.find_first_not_of(" \t", line);
      if (first < end && text_.compare(first, header.size(), header) == 0) {
        if (end == text_.size()) text_ += line_end_;
        text_.insert(std::min(end + 1, text_.size()), comments("") + assignment());
        return true;
      }
      line = end + 1;
    }
    return false;
  }

  std::string text_;
  const TomlDocument& document_;
  const TomlEdit& edit_;
  const std::string pointer_;
  const std::string line_end_;
};

}  // namespace

std::optional<std::string> edit_toml(std::string_view text, std::span<const TomlEdit> edits) {
  std::string edited(text);
  for (const TomlEdit& edit : edits) {
    const Result<TomlDocument> before = TomlDocument::parse(edited, "");
    if (!before.ok()) return {};
    json wanted = before->json();
    const std::string pointer = pointer_of_key(edit.key);
    if (edit.value) {
      try {
        wanted[json::json_pointer(pointer)] = *edit.value;
      } catch (const json::exception&) {  // it leads into something that is no table
        return {};
      }
    } else {
      erase_at(pointer, wanted);
    }
    std::optional<std::string> next = Editor(std::move(edited), *before, edit).apply();
    if (!next) return {};
    edited = std::move(*next);
    const Result<TomlDocument> after = TomlDocument::parse(edited, "");
    if (!after.ok() || after->json() != wanted) return {};
  }
  return edited;
}

}  // namespace dbsa
