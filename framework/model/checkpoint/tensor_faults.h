// Faults of a checkpoint's tensors, those of one kind in one line.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dbsa {

class TensorFaults {
 public:
  // `pattern` is a message with "$" where tensors and "is" or "are" go: faults of equal patterns
  // become one line.
  void add(const std::string& pattern, const std::string& tensor);
  // A message about this tensor, which holds its name in quotes. Those that differ in the layer
  // only become one line.
  void add_message(const std::string& message, const std::string& tensor);

  // The lines in the order of their first faults, "" for none.
  std::string text() const;

 private:
  struct Kind {
    std::string pattern;
    std::vector<std::string> tensors;
    std::string first;  // the message itself where a kind has one tensor
  };
  Kind& kind(const std::string& pattern);

  std::vector<Kind> kinds_;
};

// Tensors as text: "tensor 'a' is", or "4 tensors are" with "(layers 3-5: mlp.down_proj.weight;
// ...)".
std::string describe_tensors(const std::vector<std::string>& tensors);

}  // namespace dbsa
