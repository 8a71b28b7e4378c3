// What is wrong with one item: a record of a data file, a line of a stream, or a query. The others
// are worked on all the same.
#pragma once

#include <string>

namespace dbsa {

enum class ItemFault {
  kMalformed,       // no JSON, no record of the file's columns, or longer than a record may be
  kNotUtf8,         //
  kBadField,        // a field is missing, or is not of its type
  kEmptyText,       //
  kBadLabel,        // empty, or with white space around it
  kTooLong,         // the text does not fit the model's positions
  kNotTokenizable,  // the tokenizer has no tokens for the text
  kPlugin,          // a plugin could not work on this text
};

struct ItemError {
  ItemFault fault = ItemFault::kMalformed;
  std::string message;  // with the place, where it is known: "queries.jsonl:7: expected ..."
  bool operator==(const ItemError&) const = default;
};

// "too_long": as records, journals and answers name it.
constexpr const char* item_fault_name(ItemFault fault) {
  switch (fault) {
    case ItemFault::kMalformed:
      return "malformed";
    case ItemFault::kNotUtf8:
      return "not_utf8";
    case ItemFault::kBadField:
      return "bad_field";
    case ItemFault::kEmptyText:
      return "empty_text";
    case ItemFault::kBadLabel:
      return "bad_label";
    case ItemFault::kTooLong:
      return "too_long";
    case ItemFault::kNotTokenizable:
      return "not_tokenizable";
    case ItemFault::kPlugin:
      break;
  }
  return "plugin";
}

inline constexpr ItemFault kAllItemFaults[] = {
    ItemFault::kMalformed, ItemFault::kNotUtf8, ItemFault::kBadField,       ItemFault::kEmptyText,
    ItemFault::kBadLabel,  ItemFault::kTooLong, ItemFault::kNotTokenizable, ItemFault::kPlugin};

}  // namespace dbsa
