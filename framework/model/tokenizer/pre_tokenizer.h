// The "pre_tokenizer" of tokenizer.json: splits a normalised text into the pieces that byte-pair
// encoding sees one by one.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/text_bounds.h"

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
  const TextBounds* bounds = nullptr;  // none: the text may become anything

  std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

class PreTokenizer {
 public:
  // From the file's value; null means none. Supported: BertPreTokenizer, ByteLevel, Split,
  // Digits, Metaspace, Sequence.
  static Result<PreTokenizer> read(const nlohmann::json& value);

  // Splits and rewrites the pieces. Error (kConfig) from SplitRegex::find_all, or where a step
  // leaves the bounds.
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
  struct PlacedStep {
    std::shared_ptr<const Step> step;
    std::string place;  // for messages
  };
  static Status read_into(const class ComponentReader& reader, std::vector<PlacedStep>& steps);

  std::vector<PlacedStep> steps_;
};

}  // namespace dbsa
