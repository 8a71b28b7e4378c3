#include "bench/support/bench.h"
#include "bench/support/gpu.h"

namespace dbsa::bench {
namespace {

[[noreturn]] void absent() { give_up("this build has no CUDA: build with DBSA_CUDA=ON"); }

}  // namespace

double gpu_matmul_rate() { absent(); }
double gpu_copy_rate() { absent(); }
double gpu_upload_rate() { absent(); }

}  // namespace dbsa::bench
