#include "host/needs.h"

#include <dlfcn.h>

#include <string>

namespace dbsa::host {
namespace {

// As in CUDA's driver interface; its headers need not be installed.
using Init = int (*)(unsigned flags);
using CountDevices = int (*)(int* count);
using DescribeError = int (*)(int code, const char** text);

// Why there is no CUDA device; empty where there is one.
std::string why_no_cuda() {
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);  // stays, as plugins do
  if (driver == nullptr) {
    const char* text = dlerror();
    return std::string("no NVIDIA driver is installed here (") + (text ? text : "") + ")";
  }
  const auto init = reinterpret_cast<Init>(dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<CountDevices>(dlsym(driver, "cuDeviceGetCount"));
  const auto describe = reinterpret_cast<DescribeError>(dlsym(driver, "cuGetErrorString"));
  if (init == nullptr || count_devices == nullptr || describe == nullptr)
    return "libcuda.so.1 is no NVIDIA driver";
  int count = 0;
  int code = init(0);
  if (code == 0) code = count_devices(&count);
  const char* text = nullptr;
  if (code != 0) (void)describe(code, &text);
  if (code != 0) return std::string("the NVIDIA driver says: ") + (text ? text : "unknown error");
  return count > 0 ? "" : "the NVIDIA driver sees no GPU";
}

}  // namespace

Status check_needs(const Manifest& manifest) {
  if (!manifest.needs_cuda) return {};
  const std::string reason = why_no_cuda();
  if (reason.empty()) return {};
  return Error{ErrorCode::kEnvironment, "it needs an NVIDIA GPU: " + reason, ""};
}

}  // namespace dbsa::host
