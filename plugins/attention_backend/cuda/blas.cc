#include "blas.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>
#include <vector>

namespace dbsa::cuda {
namespace {

constexpr uint64_t kWorkspace = uint64_t{32} << 20;
constexpr int64_t kFewRows = 64;

#define DBSA_CUBLASLT_FUNCTIONS(X) \
  X(Create);                       \
  X(Destroy);                      \
  X(GetVersion);                   \
  X(Matmul);                       \
  X(MatmulAlgoGetHeuristic);       \
  X(MatmulDescCreate);             \
  X(MatmulDescDestroy);            \
  X(MatmulDescSetAttribute);       \
  X(MatrixLayoutCreate);           \
  X(MatrixLayoutDestroy);          \
  X(MatrixLayoutSetAttribute);     \
  X(MatmulPreferenceCreate);       \
  X(MatmulPreferenceDestroy);      \
  X(MatmulPreferenceSetAttribute); \
  X(GetStatusString)

std::vector<std::string> places() {
  std::vector<std::string> folders = {""};  // where the system looks
  for (const char* name : {"CUDA_PATH", "CUDA_HOME"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0')
      folders.push_back(std::string(value) + "/lib64/");
  folders.push_back("/usr/local/cuda/lib64/");
  std::vector<std::string> all;
  const std::string file = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  for (const std::string& folder : folders) all.push_back(folder + file);
  return all;
}

}  // namespace

struct Blas::Library {
#define DBSA_DECLARE(name) decltype(&cublasLt##name) name = nullptr
  DBSA_CUBLASLT_FUNCTIONS(DBSA_DECLARE);
#undef DBSA_DECLARE
  cublasLtHandle_t handle = nullptr;

  ~Library() {
    if (handle != nullptr) (void)Destroy(handle);
  }
  Status check(cublasStatus_t code, const char* what) const {
    if (code == CUBLAS_STATUS_SUCCESS) return {};
    return Error{ErrorCode::kRun, std::string("cuBLASLt: ") + what + ": " + GetStatusString(code),
                 ""};
  }
};

struct Blas::Product {
  explicit Product(const Library& l) : library(l) {}
  ~Product() {
    for (cublasLtMatrixLayout_t layout : {w, x, out})
      if (layout != nullptr) (void)library.MatrixLayoutDestroy(layout);
    if (description != nullptr) (void)library.MatmulDescDestroy(description);
  }
  const Library& library;
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t w = nullptr, x = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algorithm = {};
};

Result<std::unique_ptr<Blas>> Blas::open(std::shared_ptr<DevicePool> pool) {
  void* handle = nullptr;
  std::string tried;
  for (const std::string& place : places()) {
    handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) break;
    tried += std::string("\n  ") + dlerror();
  }
  if (handle == nullptr)
    return Error{ErrorCode::kEnvironment,
                 "the library cuBLASLt of CUDA " + std::to_string(CUBLAS_VER_MAJOR) +
                     " was not found; install it, or name its folder in LD_LIBRARY_PATH or CUDA's "
                     "in CUDA_PATH. Tried:" +
                     tried,
                 ""};
  auto library = std::make_unique<Library>();
#define DBSA_RESOLVE(name)                                                                    \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(handle, "cublasLt" #name)); \
  if (library->name == nullptr)                                                               \
  return Error{ErrorCode::kEnvironment, "cuBLASLt has no function cublasLt" #name, ""}
  DBSA_CUBLASLT_FUNCTIONS(DBSA_RESOLVE);
#undef DBSA_RESOLVE
  DBSA_RETURN_IF_ERROR(library->check(library->Create(&library->handle), "opening it"));
  std::unique_ptr<Blas> made(new Blas(std::move(library), std::move(pool)));
  DBSA_RETURN_IF_ERROR(made->workspace_.reserve(made->pool_, kWorkspace));
  return made;
}

Blas::Blas(std::unique_ptr<Library> library, std::shared_ptr<DevicePool> pool)
    : library_(std::move(library)), pool_(std::move(pool)) {}
Blas::~Blas() = default;

std::string Blas::version() const {
  const size_t version = library_->GetVersion();
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// The library counts in columns: out^T [n, rows] = w [n, k] x^T [k, rows].
Result<Blas::Product*> Blas::product(int64_t rows_of_class, int64_t n, int64_t k) {
  auto& made = products_[{rows_of_class, n, k}];
  if (made != nullptr) return made.get();
  const Library& l = *library_;
  auto product = std::make_unique<Product>(l);
  DBSA_RETURN_IF_ERROR(l.check(
      l.MatmulDescCreate(&product->description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description"));
  const cublasOperation_t transposed = CUBLAS_OP_T;
  DBSA_RETURN_IF_ERROR(
      l.check(l.MatmulDescSetAttribute(product->description, CUBLASLT_MATMUL_DESC_TRANSA,
                                       &transposed, sizeof transposed),
              "a description"));
  const auto layout = [&](cublasLtMatrixLayout_t* to, cudaDataType_t of, int64_t height,
                          int64_t width) {
    return l.check(l.MatrixLayoutCreate(to, of, static_cast<uint64_t>(height),
                                        static_cast<uint64_t>(width), height),
                   "a layout");
  };
  DBSA_RETURN_IF_ERROR(layout(&product->w, CUDA_R_16BF, k, n));
  DBSA_RETURN_IF_ERROR(layout(&product->x, CUDA_R_16BF, k, rows_of_class));
  DBSA_RETURN_IF_ERROR(layout(&product->out, CUDA_R_32F, n, rows_of_class));

  cublasLtMatmulPreference_t preference = nullptr;
  DBSA_RETURN_IF_ERROR(l.check(l.MatmulPreferenceCreate(&preference), "a preference"));
  const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE;
  cublasStatus_t code = l.MatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof kWorkspace);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = l.MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                          &schemes, sizeof schemes);
  cublasLtMatmulHeuristicResult_t found = {};
  int count = 0;
  if (code == CUBLAS_STATUS_SUCCESS)
    code = l.MatmulAlgoGetHeuristic(l.handle, product->description, product->w, product->x,
                                    product->out, product->out, preference, 1, &found, &count);
  (void)l.MatmulPreferenceDestroy(preference);
  DBSA_RETURN_IF_ERROR(l.check(code, "choosing a kernel"));
  if (count == 0 || found.state != CUBLAS_STATUS_SUCCESS)
    return Error{ErrorCode::kRun,
                 "cuBLASLt has no kernel for " + std::to_string(rows_of_class) + " x " +
                     std::to_string(n) + " x " + std::to_string(k),
                 ""};
  product->algorithm = found.algo;
  made = std::move(product);
  return made.get();
}

Status Blas::multiply(cudaStream_t stream, const void* x, const void* w, const float* residual,
                      int64_t rows, int64_t n, int64_t k, float* out, int64_t kernel_rows) {
  const auto rows_of_class = static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::max({rows, kernel_rows, kFewRows}))));
  DBSA_ASSIGN_OR_RETURN(const Product* p, product(rows_of_class, n, k));
  const auto columns = static_cast<uint64_t>(rows);
  for (cublasLtMatrixLayout_t of : {p->x, p->out})
    DBSA_RETURN_IF_ERROR(
        library_->check(library_->MatrixLayoutSetAttribute(of, CUBLASLT_MATRIX_LAYOUT_COLS,
                                                           &columns, sizeof columns),
                        "a layout"));
  const float one = 1.0f, beta = residual != nullptr ? 1.0f : 0.0f;
  return library_->check(
      library_->Matmul(library_->handle, p->description, &one, w, p->w, x, p->x, &beta,
                       residual != nullptr ? residual : out, p->out, out, p->out, &p->algorithm,
                       workspace_.data(), kWorkspace, stream),
      "a product");
}

}  // namespace dbsa::cuda
