// The "pre_tokenizer" of tokenizer.json: splits a normalised text into the pieces that byte-pair
// encoding sees one by one.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

struct Piece {
  size_t begin = 0;
  size_t end = 0;
  bool first = false;  // begins where the whole text begins
};

// A text and its pieces, in order; bytes between pieces are dropped.
struct PieceList {
  std::string text;
  std::vector<Piece> pieces;

  std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

class PreTokenizer {
 public:
  // From the file's value; null means none. Supported: BertPreTokenizer, ByteLevel, Split,
  // Digits, Metaspace, Sequence.
  static Result<PreTokenizer> read(const nlohmann::json& value);

  // Splits and rewrites the pieces. Error (kConfig) from SplitRegex::find_all.
  Status apply(PieceList& list) const;

  // Whether some step puts a space or U+2581 before a text.
  bool prepends_space() const;

  class Step {
   public:
    virtual ~Step() = default;
    virtual Status apply(PieceList& list) const = 0;
    virtual bool prepends_space() const { return false; }
  };

 private:
  static Status read_into(const class ComponentReader& reader,
                          std::vector<std::shared_ptr<const Step>>& steps);

  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace dbsa
