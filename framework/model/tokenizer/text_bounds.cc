#include "model/tokenizer/text_bounds.h"

#include "model/tokenizer/make_error.h"

namespace dbsa {

Error TextBounds::exceeded(const std::string& place) const {
  return make_error(ErrorCode::kConfig,
                    place + ": makes a text of " + std::to_string(text_bytes_) +
                        " bytes longer than " + std::to_string(text_bytes_ * kTimes + kMore) +
                        ", which is " + std::to_string(kTimes) + " times as long and " +
                        std::to_string(kMore) +
                        " bytes; fetch the tokenizer again, or take this step out");
}

}  // namespace dbsa
