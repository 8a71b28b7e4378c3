// Whether a file of queries has the column of labels, without which nothing is measured.
#pragma once

#include <filesystem>
#include <string>

#include "icl/text_fields.h"

namespace dbsa {

// "FILE has no column "label", so accuracy will not be measured; it has the columns "text",
// "lable"; did you mean "lable"? Rename it there ..."; "" where it has the column. Of a .jsonl file
// the first lines count. path: of a file that load_rows has read. delimiter: as there.
std::string missing_label_column(const std::filesystem::path& path, const TextFields& text,
                                 const std::string& label_field, char delimiter);

}  // namespace dbsa
