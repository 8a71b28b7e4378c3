// What every format asks of an example.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

#include "icl/dataset.h"

namespace dbsa {

// kConfig "NAME:LINE: what".
Error data_fault(const std::string& name, int64_t line, const std::string& what);

// Whether it is empty or ASCII white space.
bool is_blank(std::string_view text);

// A text that is not blank, and labels without white space around them as far as `policy` asks for
// them.
Status check_label(const std::string& label, int64_t line, const std::string& name,
                   const std::string& label_field);
Status check_example(const Example& example, const std::string& name, const std::string& text_field,
                     const std::string& label_field, LabelPolicy policy);

}  // namespace dbsa
