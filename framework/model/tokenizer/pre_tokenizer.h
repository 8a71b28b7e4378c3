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

// Receives the pieces of a text, in order, as soon as each is known: no list of them is kept, so
// that a text of many megabytes takes no multiple of its size.
class PieceSink {
 public:
  // first: the piece begins where the whole text begins. An error ends the text.
  virtual Status take(std::string_view piece, bool first) = 0;

 protected:
  ~PieceSink() = default;
};

class PreTokenizer {
 public:
  static constexpr size_t kMaxSteps = 64;

  // From the file's value; null means none. Supported: BertPreTokenizer, ByteLevel, Split,
  // Digits, Metaspace, Sequence, kMaxSteps in all.
  static Result<PreTokenizer> read(const nlohmann::json& value);

  // Splits and rewrites `text`; returns the bytes of the pieces. bounds: nullptr: the text may
  // become anything. Error: the sink's, or kConfig from SplitRegex, or where a step leaves the
  // bounds.
  Result<size_t> apply(std::string_view text, bool first, const TextBounds* bounds,
                       PieceSink& sink) const;

  // Whether some step puts a space or U+2581 before a text.
  bool prepends_space() const;

  class Step {
   public:
    virtual ~Step() = default;
    // Hands what becomes of a piece to `next`.
    virtual Status apply(std::string_view piece, bool first, const TextBounds* bounds,
                         PieceSink& next) const = 0;
    virtual bool prepends_space() const { return false; }
  };

 private:
  struct PlacedStep {
    std::shared_ptr<const Step> step;
    std::string place;  // for messages
  };
  class Stage;
  static Status read_into(const class ComponentReader& reader, std::vector<PlacedStep>& steps);

  std::vector<PlacedStep> steps_;
};

}  // namespace dbsa
