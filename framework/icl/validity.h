// Whether an evaluation measures what it is thought to: what a data set may have wrong that no
// parser notices.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "icl/dataset.h"

namespace dbsa {

// Something that was counted, with the first cases: "line 7 as line 3".
struct Count {
  int64_t count = 0;
  std::vector<std::string> examples;  // three at most
};

// Texts are the same here if they differ only in case, white space or normal form; of labels in the
// case of Turkish, too.
struct DataValidity {
  Count queries_in_demonstrations;  // queries whose text a demonstration has
  Count texts_with_two_labels;      // demonstrations' texts that stand under different labels
  Count duplicates;                 // demonstrations that an earlier one equals, label included
  Count near_equal_labels;          // labels that an earlier one equals in all but these
  Count duplicate_queries;          // queries whose text and labels an earlier one has
  Count queries_with_two_labels;    // queries' texts that expect different labels
  // Queries that expect no label there is, and one that equals a label in all but these.
  Count near_expected_labels;
};

// labels: to choose from. Cost: O(bytes), expected.
DataValidity check_validity(std::span<const Example> demonstrations, std::span<const Row> queries,
                            std::span<const std::string> labels);

// One sentence for each count that should make a reader doubt the figures, with its examples.
std::vector<std::string> warnings(const DataValidity& validity);

// The text in lower case, composed (NFC), with runs of white space (Unicode's White_Space) as one
// space and none at the ends. What is not UTF-8 stays as it is.
std::string folded_text(const std::string& text);

}  // namespace dbsa
