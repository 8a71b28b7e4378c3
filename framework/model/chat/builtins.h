// Filters, tests, and methods of texts and maps, with Jinja's and Python's meaning. One that is not
// here is refused by name.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <utility>
#include <vector>

#include "model/chat/budget.h"
#include "model/chat/value.h"

namespace dbsa::jinja {

struct Arguments {
  std::vector<Value> values;
  Map named;
};

// kConfig "LINE: what" of each, the budget's faults included.
Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                           Budget& budget);
Result<bool> apply_test(const std::string& name, const Value& value,
                        const std::vector<Value>& arguments, Budget& budget);
Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments,
                          Budget& budget);

// a == b.
Result<bool> compared(const Value& a, const Value& b, Budget& budget);
// value[key], value[begin:end:step] (none: left out), and `item in value`.
Result<Value> item_of(const Value& value, const Value& key, Budget& budget);
Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step,
                       Budget& budget);
Result<bool> contains(const Value& value, const Value& item, Budget& budget);
// The items that a loop goes through: of a list, the characters of a text, the keys of a map.
Result<List> items_of(const Value& value, Budget& budget);
Result<Value> arithmetic(const std::string& operation, const Value& a, const Value& b,
                         Budget& budget);

// A list or a map that may not be too deep, nor hold a namespace.
Result<Value> checked_list(List list, Budget& budget);
Result<Value> checked_map(Map map, Budget& budget);

}  // namespace dbsa::jinja
