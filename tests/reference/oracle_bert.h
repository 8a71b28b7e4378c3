// The oracle of BERT's encoder: plain loops in double precision, one text at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/reference/oracle.h"

namespace dbsa::reference {

struct OracleBert {
  int64_t hidden = 0, wide = 0, layers = 0, heads = 0;
  double epsilon = 0;
  std::map<std::string, Matrix> weights;  // Hugging Face's names, without "bert."

  // The last layer's output, [ids, hidden].
  Matrix forward(const std::vector<int32_t>& ids) const;

 private:
  const Matrix& at(const std::string& name) const { return weights.at(name); }
  Matrix linear(const Matrix& x, const std::string& name, int64_t in, int64_t out) const;
  Matrix layer_norm(const Matrix& x, const std::string& name) const;
};

}  // namespace dbsa::reference
