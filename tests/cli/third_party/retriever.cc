// Documents by how far their length is from the query's, in bytes; `longest` prefers long ones.
#include <dbsa/sdk/retriever.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace {

class Retriever final : public dbsa::Retriever {
 public:
  static constexpr uint32_t kRevision = REVISION;
  static dbsa::Result<std::unique_ptr<Retriever>> create(dbsa::Host, const dbsa::Config& config) {
    const dbsa::Result<bool> longest = config.get<bool>("longest");
    if (!longest) return longest.error();
    auto retriever = std::make_unique<Retriever>();
    retriever->longest_ = *longest;
    return retriever;
  }

  dbsa::Status index(dbsa::Texts documents) override {
    lengths_.clear();
    for (int64_t i = 0; i < documents.size(); ++i)
      lengths_.push_back(static_cast<int64_t>(documents[i].size()));
    return {};
  }
  dbsa::Result<std::string> save() const override {
    return std::string(reinterpret_cast<const char*>(lengths_.data()),
                       lengths_.size() * sizeof(int64_t));
  }
  dbsa::Status load(std::string_view bytes) override {
    lengths_.resize(bytes.size() / sizeof(int64_t));
    std::memcpy(lengths_.data(), bytes.data(), lengths_.size() * sizeof(int64_t));
    return {};
  }
  dbsa::Result<std::vector<dbsa::Hit>> query(std::string_view text, int64_t count) const override {
    std::vector<dbsa::Hit> hits;
    for (size_t i = 0; i < lengths_.size(); ++i) {
      const int64_t apart = std::llabs(lengths_[i] - static_cast<int64_t>(text.size()));
      hits.push_back(
          {static_cast<int64_t>(i), static_cast<double>(longest_ ? lengths_[i] : -apart)});
    }
    std::stable_sort(hits.begin(), hits.end(),
                     [](const dbsa::Hit& a, const dbsa::Hit& b) { return a.score > b.score; });
    hits.resize(std::min(hits.size(), static_cast<size_t>(std::max<int64_t>(count, 0))));
    return hits;
  }

 private:
  bool longest_ = false;
  std::vector<int64_t> lengths_;
};

}  // namespace

DBSA_PLUGIN(Retriever);
