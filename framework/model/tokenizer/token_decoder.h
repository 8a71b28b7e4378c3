// The "decoder" of tokenizer.json: from the texts of tokens back to a text.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dbsa {

class TokenDecoder {
 public:
  // From the file's value. Null: tokens are joined by spaces, as in the reference. Supported:
  // ByteLevel, Metaspace, Replace (string), ByteFallback, Fuse, Strip, WordPiece, Sequence.
  static Result<TokenDecoder> read(const nlohmann::json& value);

  // May hold bytes that are not UTF-8, where tokens do.
  std::string decode(std::vector<std::string> tokens) const;

  class Step {
   public:
    virtual ~Step() = default;
    virtual void apply(std::vector<std::string>& tokens) const = 0;
  };

 private:
  Status read_into(const class ComponentReader& reader);

  double growth_ = 1;  // how many times as long its steps may make a text
  bool given_ = false;
  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace dbsa
