// Names of fields and columns: which one was meant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/text_fields.h"

namespace dbsa {

// Names are one where these are equal: in Unicode form C, without invisible characters, and without
// white space around them, which inside is one space.
std::string field_key(std::string_view name);

// The first of the names that differs from `field` in case, white space, punctuation or a final s
// only ("Label", " label", "labels"), "" where none does. Who has such a column means it.
std::string nearly_named(std::string_view field, std::span<const std::string> names);

// The name that most likely means `field`: the nearest one, one that holds it ("true label"), or
// the only one; "" where none does. `other` is never meant: it names another field.
std::string likely_named(std::string_view field, std::span<const std::string> names,
                         std::string_view other);

// "a", "b" in quotes, or none.
std::string quote_names(std::span<const std::string> names);

// What to do where no field has the name: "; did you mean "b"? Name the fields in [data] text_field
// and label_field", or in prompt.demonstration where the text has several of them. what: "fields"
// or "columns".
std::string name_advice(std::string_view field, std::span<const std::string> names,
                        const std::string& what, const TextFields& text);

}  // namespace dbsa
