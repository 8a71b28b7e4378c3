// The smallest useful plugin: the first `limit` documents answer every query.
#include <dbsa/sdk/retriever.h>

#include <algorithm>

namespace acme {

class First : public dbsa::Retriever {
 public:
  static constexpr uint32_t kRevision = 1;

  static dbsa::Result<std::unique_ptr<First>> create(dbsa::Host, const dbsa::Config& config) {
    DBSA_ASSIGN_OR_RETURN(const int64_t limit, config.get<int64_t>("limit"));
    return std::make_unique<First>(limit);
  }
  explicit First(int64_t limit) : limit_(limit) {}

  dbsa::Status index(dbsa::Texts documents) override {
    count_ = documents.size();
    return {};
  }
  dbsa::Result<std::string> save() const override { return std::to_string(count_); }
  dbsa::Status load(std::string_view bytes) override {
    count_ = std::atoll(std::string(bytes).c_str());
    return {};
  }
  dbsa::Result<std::vector<dbsa::Hit>> query(std::string_view, int64_t count) const override {
    std::vector<dbsa::Hit> hits;
    for (int64_t i = 0; i < std::min({count, limit_, count_}); ++i) hits.push_back({i, 0.0});
    return hits;
  }

 private:
  int64_t limit_;
  int64_t count_ = 0;
};

}  // namespace acme

DBSA_PLUGIN(acme::First);
