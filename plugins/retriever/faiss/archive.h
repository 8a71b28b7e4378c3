// Archive: arrays of numbers, written to bytes or read from them, so that one walk over an index
// describes both directions.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstring>
#include <string>
#include <string_view>

namespace dbsa::dense {

class Archive {
 public:
  // Appends to `bytes`, or only checks what would be written where that is null.
  static Archive writer(std::string* bytes) { return Archive(false, bytes, {}); }
  static Archive reader(std::string_view bytes) { return Archive(true, nullptr, bytes); }

  bool reads() const { return reads_; }
  std::string_view rest() const { return in_; }  // not yet read

  // values: a std::vector or faiss::AlignedTable. Written, it has to have `count` values; read, it
  // gets them, and no memory is taken for more than the bytes hold.
  template <typename Values>
  Status array(Values& values, size_t count, const char* name) {
    const size_t width = sizeof *values.data();
    if (reads_) {
      if (count > in_.size() / width) return wrong("its size does not fit its counts");
      values.resize(count);
      if (count > 0) std::memcpy(values.data(), in_.data(), count * width);
      in_.remove_prefix(count * width);
      return {};
    }
    if (values.size() != count)
      return wrong(std::string("expected ") + std::to_string(count) + " values as its " + name +
                   ", found " + std::to_string(values.size()));
    if (out_ != nullptr && count > 0)
      out_->append(reinterpret_cast<const char*>(values.data()), count * width);
    return {};
  }

  // What is wrong with the index; whoever asked for the walk adds whose index it is.
  Error wrong(const std::string& what) const {
    return Error{reads_ ? ErrorCode::kCorrupt : ErrorCode::kRun, what, ""};
  }

 private:
  Archive(bool reads, std::string* out, std::string_view in) : reads_(reads), out_(out), in_(in) {}

  bool reads_;
  std::string* out_;
  std::string_view in_;
};

}  // namespace dbsa::dense
