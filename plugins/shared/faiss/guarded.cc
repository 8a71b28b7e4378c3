#include "plugins/shared/faiss/guarded.h"

#include <faiss/utils/distances.h>

#include <limits>
#include <regex>

// Of libgomp. Declared here because omp.h and -fopenmp would bring in the compiler's own runtime,
// another one for clang.
extern "C" {
void omp_set_num_threads(int);
int omp_get_max_threads(void);
}

namespace dbsa::dense {

OneThread::OneThread() : before_(omp_get_max_threads()) {
  [[maybe_unused]] static const bool without_blas = [] {
    ::faiss::distance_compute_blas_threshold = std::numeric_limits<int>::max();
    return true;
  }();
  omp_set_num_threads(1);
}

OneThread::~OneThread() { omp_set_num_threads(before_); }

std::string reason(const std::exception& failure) {
  static const std::regex kPosition("^Error in [^\\n]* at [^\\n]*:[0-9]+: (Error: )?");
  return std::regex_replace(std::string(failure.what()), kPosition, "");
}

}  // namespace dbsa::dense
