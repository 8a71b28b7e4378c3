#include "model/tokenizer/tokenizer_json.h"
#include "model/tokenizer/make_error.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxDetail = 200;
// Entries of each table, and values outside them; the largest published files have a tenth of it.
constexpr size_t kMaxEntries = size_t{1} << 22;

std::string shortened(std::string_view text) {
  if (text.size() <= kMaxDetail) return std::string(text);
  return utf8::to_valid(text.substr(0, kMaxDetail)) + "...";
}

// Receives the parser's events. Events inside the two tables fill vectors, all others a tree.
class Handler : public nlohmann::json_sax<json> {
 public:
  explicit Handler(TokenizerJson& out) : out_(out) {}

  // What went wrong, and the byte where the parser noticed (0: not known, see the message).
  std::string message;
  size_t byte = 0;

  bool null() override { return value(json(nullptr), "null"); }
  bool boolean(bool v) override { return value(json(v), "a boolean"); }
  bool number_float(number_float_t v, const string_t&) override {
    return value(json(v), "a fraction");
  }
  bool binary(binary_t&) override { return fail("binary data"); }
  bool number_integer(number_integer_t v) override { return integer(v, json(v)); }
  bool number_unsigned(number_unsigned_t v) override {
    return integer(v > INT64_MAX ? INT64_MAX : static_cast<int64_t>(v), json(v));
  }

  bool string(string_t& v) override {
    if (table_ == Table::kMerges) return merge(v);
    return value(json(v), "a string");
  }

  bool key(string_t& v) override {
    if (table_ == Table::kVocab) {
      token_ = std::move(v);
      return true;
    }
    if (table_ == Table::kMerges) return fail("model.merges holds an object; each entry is a pair");
    json& object = *open_.back();
    const bool table = open_.size() == 2 && keys_.size() == 2 && keys_[0] == "model";
    if (object.contains(v) ||
        (table && ((v == "vocab" && out_.has_vocab) || (v == "merges" && out_.has_merges))))
      return fail("the key \"" + v + "\" is given twice");
    keys_.back() = v;
    return true;
  }

  bool start_object(size_t) override {
    if (table_ != Table::kNone) return fail_in_table("an object");
    if (at_table("vocab")) {
      table_ = Table::kVocab;
      return out_.has_vocab = true;
    }
    return open(json::object());
  }
  bool start_array(size_t) override {
    if (table_ == Table::kMerges && !in_pair_) {
      in_pair_ = true;
      pair_.clear();
      return true;
    }
    if (table_ != Table::kNone) return fail_in_table("an array");
    if (at_table("merges")) {
      table_ = Table::kMerges;
      return out_.has_merges = true;
    }
    return open(json::array());
  }
  bool end_object() override {
    if (table_ == Table::kVocab) {
      table_ = Table::kNone;
      return true;
    }
    return close();
  }
  bool end_array() override {
    if (table_ != Table::kMerges) return close();
    if (!in_pair_) {
      table_ = Table::kNone;
      return true;
    }
    in_pair_ = false;
    if (pair_.size() != 2) return fail_in_table("an array of " + std::to_string(pair_.size()));
    if (out_.merges.size() == kMaxEntries) return too_many("model.merges");
    out_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    byte = position;
    // nlohmann's text: "[json.exception.parse_error.101] parse error at line ...: syntax error ..."
    const std::string_view text = e.what();
    const size_t detail = text.find(": ");
    // It quotes the token it read, however long that is.
    message = "not valid JSON: " +
              shortened(detail == std::string_view::npos ? text : text.substr(detail + 2));
    return false;
  }

 private:
  enum class Table { kNone, kVocab, kMerges };

  bool fail(std::string what) {
    if (message.empty()) message = std::move(what);
    return false;
  }
  bool too_many(const std::string& where) {
    return fail(where + " has more than " + std::to_string(kMaxEntries) + " entries");
  }
  bool fail_in_table(const std::string& found) {
    if (table_ == Table::kVocab)
      return fail("the id of token \"" + token_ + "\" in model.vocab is " + found +
                  ", not a whole number");
    return fail("entry " + std::to_string(out_.merges.size()) + " of model.merges is or holds " +
                found + "; expected \"left right\" or [\"left\", \"right\"]");
  }
  bool at_table(std::string_view name) const {
    return open_.size() == 2 && keys_[0] == "model" && keys_[1] == name;
  }

  bool integer(int64_t v, json&& tree) {
    if (table_ != Table::kVocab) return value(std::move(tree), "a number");
    if (out_.vocab.size() == kMaxEntries) return too_many("model.vocab");
    out_.vocab.emplace_back(std::move(token_), v);
    return true;
  }

  bool merge(string_t& v) {
    if (in_pair_) {
      if (pair_.size() == 2) return fail_in_table("an array of 3 or more");
      pair_.push_back(std::move(v));
      return true;
    }
    if (v.starts_with("#version")) return true;  // a line of merges.txt; the reference skips it too
    const size_t space = v.find(' ');
    if (space == std::string::npos || v.find(' ', space + 1) != std::string::npos)
      return fail_in_table("\"" + v + "\"");
    if (out_.merges.size() == kMaxEntries) return too_many("model.merges");
    out_.merges.emplace_back(v.substr(0, space), v.substr(space + 1));
    return true;
  }

  bool value(json&& v, const char* kind) {
    if (table_ != Table::kNone) return fail_in_table(kind);
    return insert(std::move(v)) != nullptr;
  }
  // nullptr, with the message, where there are too many.
  json* insert(json&& v) {
    if (++values_ > kMaxEntries && !too_many("the file, outside model.vocab and model.merges,"))
      return nullptr;
    if (open_.empty()) {
      out_.root = std::move(v);
      return &out_.root;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[keys_.back()] = std::move(v));
  }
  bool open(json&& v) {
    if (open_.size() >= kMaxDepth) return fail("brackets nest deeper than 64 levels");
    json* const container = insert(std::move(v));
    if (container == nullptr) return false;
    open_.push_back(container);
    keys_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  TokenizerJson& out_;
  // Containers being filled, outermost first; stable, since only the last one grows.
  std::vector<json*> open_;
  std::vector<std::string> keys_;  // the key last read in each of them
  Table table_ = Table::kNone;
  std::string token_;
  bool in_pair_ = false;
  std::vector<std::string> pair_;
  size_t values_ = 0;  // in the tree
};

}  // namespace

json member(const json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? json(nullptr) : *it;
}

Result<TokenizerJson> read_tokenizer_json(std::string_view bytes, const std::string& name) {
  TokenizerJson out;
  Handler handler(out);
  if (!json::sax_parse(bytes.begin(), bytes.end(), &handler)) {
    const std::string place = handler.byte > 0 ? "byte " + std::to_string(handler.byte) + ": " : "";
    return make_error(ErrorCode::kEnvironment,
                      name + ": " + place + handler.message +
                          ". Expected a complete tokenizer.json; copy or download it again");
  }
  if (!out.root.is_object()) {
    return make_error(ErrorCode::kEnvironment,
                      name + ": the file holds no JSON object, so it is no tokenizer.json");
  }
  return out;
}

}  // namespace dbsa
