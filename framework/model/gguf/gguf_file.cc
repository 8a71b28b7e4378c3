#include "model/gguf/gguf_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/path_kind.h"

namespace dbsa::gguf {
namespace {

Error split_fault(const std::string& path, const std::string& what) {
  return {ErrorCode::kEnvironment, path + ": " + what, {}};
}

// An integer key of a split model, from 0 to most.
Result<std::optional<uint64_t>> split_number(const GgufFile& file, const char* name,
                                             uint64_t most) {
  const Key* key = file.key(name);
  if (key == nullptr) return std::optional<uint64_t>();
  const auto* number = std::get_if<uint64_t>(&key->value);
  if (number == nullptr || *number > most)
    return split_fault(file.path(),
                       std::string("key '") + name + "', byte " + std::to_string(key->at) +
                           ": expected an integer from 0 to " + std::to_string(most) + ", found " +
                           (number == nullptr ? value_type_name(*key) : std::to_string(*number)) +
                           "; fetch the file again");
  return std::optional<uint64_t>(*number);
}

// "-00002-of-00003.gguf" for part 1, counted from 0.
std::string part_ending(uint64_t part, uint64_t count) {
  const auto five_digits = [](uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(5 - std::min<size_t>(digits.size(), 5), '0') + digits;
  };
  return "-" + five_digits(part + 1) + "-of-" + five_digits(count) + ".gguf";
}

// What a file says of the split; a part that does not is of no split.
Status check_part(const GgufFile& file, uint64_t part, uint64_t count) {
  DBSA_ASSIGN_OR_RETURN(const auto number,
                        split_number(file, "split.no", GgufParts::kMaxParts - 1));
  DBSA_ASSIGN_OR_RETURN(const auto parts, split_number(file, "split.count", GgufParts::kMaxParts));
  if (number == part && parts == count) return {};
  const auto text = [](const std::optional<uint64_t>& value) {
    return value ? std::to_string(*value) : std::string("none");
  };
  return split_fault(file.path(), "expected split.no " + std::to_string(part) +
                                      " and split.count " + std::to_string(count) + ", found " +
                                      text(number) + " and " + text(parts) +
                                      "; fetch all parts of one model again");
}

}  // namespace

Result<GgufFile> GgufFile::open(const std::string& path) {
  GgufFile file;
  DBSA_RETURN_IF_ERROR(file.map(path, "; expected a GGUF file"));
  DBSA_ASSIGN_OR_RETURN(Header header, parse_header(path, file.mapped()));
  file.keys_ = std::move(header.keys);
  file.set_entries(std::move(header.tensors));
  return file;
}

const Key* GgufFile::key(std::string_view name) const { return find_key(keys_, name); }

Result<GgufParts> GgufParts::open(const std::string& path) {
  GgufParts out;
  DBSA_ASSIGN_OR_RETURN(GgufFile first, GgufFile::open(path));
  DBSA_ASSIGN_OR_RETURN(const auto number, split_number(first, "split.no", kMaxParts - 1));
  DBSA_ASSIGN_OR_RETURN(const auto parts, split_number(first, "split.count", kMaxParts));
  DBSA_ASSIGN_OR_RETURN(const auto tensors,
                        split_number(first, "split.tensors.count", kMaxTensors));
  const uint64_t count = std::max<uint64_t>(parts.value_or(1), 1), part = number.value_or(0);
  const std::string ending = part_ending(part, count);
  if (count > 1 && !path.ends_with(ending))
    return split_fault(path, "is part " + std::to_string(part + 1) + " of " +
                                 std::to_string(count) + "; expected a name that ends in " +
                                 ending + ": rename the parts as they were published");
  const std::string stem = count > 1 ? path.substr(0, path.size() - ending.size()) : "";
  if (part > 0)
    return split_fault(path, count > 1 ? "is part " + std::to_string(part + 1) + " of " +
                                             std::to_string(count) + "; name the first part, " +
                                             stem + part_ending(0, count)
                                       : "expected split.no 0 in a file that is not split, found " +
                                             std::to_string(part) + "; fetch the file again");
  out.files_.push_back(std::move(first));
  for (uint64_t i = 1; i < count; ++i) {
    const std::string name = stem + part_ending(i, count);
    DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(name));
    if (kind == PathKind::kNothing)
      return split_fault(path, "is the first of " + std::to_string(count) + " parts, and part " +
                                   std::to_string(i + 1) + " is not there: fetch " + name);
    DBSA_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(name));
    DBSA_RETURN_IF_ERROR(check_part(file, i, count));
    out.files_.push_back(std::move(file));
  }
  for (size_t i = 0; i < out.files_.size(); ++i)
    for (const TensorEntry& entry : out.files_[i].entries())
      if (const auto [at, placed] = out.place_.emplace(entry.name, i); !placed)
        return split_fault(out.files_[i].path(), "tensor " + printable_name(entry.name) +
                                                     ": expected it once, found it in " +
                                                     out.files_[at->second].path() +
                                                     ", too; fetch all parts of one model again");
  if (tensors && *tensors != out.place_.size())
    return split_fault(path, "expected " + std::to_string(*tensors) +
                                 " tensors in all parts (split.tensors.count), found " +
                                 std::to_string(out.place_.size()) +
                                 "; fetch all parts of one model again");
  return out;
}

const GgufFile* GgufParts::file_of(std::string_view tensor) const {
  const auto it = place_.find(tensor);
  return it == place_.end() ? nullptr : &files_[it->second];
}

}  // namespace dbsa::gguf
