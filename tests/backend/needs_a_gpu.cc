// Where the backend cannot run, its tests are skipped, with its own words.
#include "tests/backend/backend_fixture.h"

namespace dbsa::test {
namespace {

class NeedsAGpu : public testing::Environment {
 public:
  void SetUp() override {
    TestHost host(1);
    dbsa_error error = {sizeof(dbsa_error), 0, {}, {}};
    void* instance = nullptr;
    const std::string config = config_of(any_path());
    if (backend_table()->create(host.get(), config.c_str(), &instance, &error) == DBSA_OK) {
      backend_table()->destroy(instance);
    } else {
      GTEST_SKIP() << "[  SKIPPED ] " << error.message;
    }
  }
};

[[maybe_unused]] const testing::Environment* const registered =
    testing::AddGlobalTestEnvironment(new NeedsAGpu);

}  // namespace
}  // namespace dbsa::test
