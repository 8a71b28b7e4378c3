#include "dense_index.h"

#include <faiss/AutoTune.h>
#include <faiss/index_factory.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <regex>

#include "index_arrays.h"
#include "plugins/shared/faiss/guarded.h"
#include "training.h"

namespace dbsa::dense {
namespace {

static_assert(std::endian::native == std::endian::little, "saved indexes are little-endian");

constexpr char kMagic[8] = {'D', 'B', 'S', 'A', 'F', 'A', 'I', 'S'};
constexpr uint32_t kVersion = 2;

// Begins a saved index; then the factory string and the arrays of index_arrays.h.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t factory_bytes;
  uint64_t width;
  uint64_t documents;
  uint64_t array_bytes;
  uint64_t checksum;  // XXH3 of the header with 0 here, and then of all that follows
};
static_assert(sizeof(Header) == 48);

uint64_t checksum(Header header, std::string_view body) {
  header.checksum = 0;
  return XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(&header, sizeof header));
}

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, "faiss index: " + what, ""};
}

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

// The header of bytes that serialize wrote, unless they were damaged in a way the checksum misses.
Result<Header> checked_header(std::string_view bytes, const IndexOptions& options) {
  Header header;
  if (bytes.size() < sizeof header) return corrupt("it is shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::string_view body = bytes.substr(sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    return corrupt("it does not begin with DBSAFAIS");
  if (header.version != kVersion)
    return corrupt("expected version " + std::to_string(kVersion) + ", found " +
                   std::to_string(header.version));
  if (header.factory_bytes > body.size() ||
      header.array_bytes != body.size() - header.factory_bytes ||
      header.documents > std::min<uint64_t>(header.array_bytes, INT32_MAX))  // each takes a byte
    return corrupt("its size does not fit its counts");
  if (header.checksum != checksum(header, body)) return corrupt("its checksum does not match");
  if (body.substr(0, header.factory_bytes) != options.factory)
    return corrupt("it was made as " +
                   in_quotes(std::string(body.substr(0, header.factory_bytes))) + ", not " +
                   in_quotes(options.factory));
  if (header.width != static_cast<uint64_t>(options.width))
    return corrupt("it holds embeddings of " + std::to_string(header.width) + " values, not " +
                   std::to_string(options.width));
  return header;
}

Status check_embeddings(const std::vector<float>& vectors, const char* name) {
  const Status sound = check_values(Archive::writer(nullptr), vectors.data(), vectors.size(), name);
  if (sound.ok()) return {};
  return Error{ErrorCode::kRun, sound.error().message + "; check the model of [embedding]", ""};
}

}  // namespace

Status DenseIndex::check(const std::string& factory) {
  static const std::regex kFamilies(
      "(PCAW?R?[1-9][0-9]{0,4},)?"
      "((IVF[1-9][0-9]{0,5},)?(Flat|SQ(4|6|8|fp16)|PQ[1-9][0-9]{0,3}(x([1-9]|1[0-2])(fs)?)?)|"
      "HNSW([2-9]|[1-9][0-9]{1,2})(,(Flat|SQ(4|6|8|fp16)|PQ[1-9][0-9]{0,3}))?)"
      "(,RFlat)?");
  if (std::regex_match(factory, kFamilies)) return {};
  return Error{ErrorCode::kConfig,
               "index " + in_quotes(factory) +
                   " is none that this plugin knows; it knows Flat, SQ8, PQ16, HNSW32, IVF64,Flat "
                   "and others that its description lists",
               "/index"};
}

Result<DenseIndex> DenseIndex::create(const IndexOptions& options) {
  DBSA_RETURN_IF_ERROR(check(options.factory));
  DenseIndex made;
  made.options_ = options;
  DBSA_RETURN_IF_ERROR(
      guarded(ErrorCode::kConfig, "/index",
              "index " + in_quotes(options.factory) + " does not suit embeddings of " +
                  std::to_string(options.width) + " values",
              [&]() -> Status {
                made.index_.reset(::faiss::index_factory(static_cast<int>(options.width),
                                                         options.factory.c_str(),
                                                         ::faiss::METRIC_INNER_PRODUCT));
                quiet_training(*made.index_);
                return {};
              }));
  DBSA_RETURN_IF_ERROR(made.tune());
  return made;
}

Status DenseIndex::tune() {
  if (options_.search_parameters.empty()) return {};
  const std::string what = "search_parameters " + in_quotes(options_.search_parameters) +
                           " do not suit index " + in_quotes(options_.factory);
  if (options_.search_parameters.find("verbose") != std::string::npos)  // it prints
    return Error{ErrorCode::kConfig, what + ": verbose is not a setting of the search",
                 "/search_parameters"};
  return guarded(ErrorCode::kConfig, "/search_parameters", what, [&]() -> Status {
    ::faiss::ParameterSpace().set_index_parameters(index_.get(),
                                                   options_.search_parameters.c_str());
    return {};
  });
}

Status DenseIndex::check_count(int64_t documents) const {
  const int64_t least = least_documents(*index_);
  if (documents == 0 || documents >= least) return {};
  return Error{ErrorCode::kConfig,
               "index " + in_quotes(options_.factory) + " needs at least " + std::to_string(least) +
                   " documents to train with, got " + std::to_string(documents),
               "/index"};
}

Status DenseIndex::add(const std::vector<float>& vectors) {
  const int64_t count = static_cast<int64_t>(vectors.size()) / options_.width;
  if (count == 0) return {};
  DBSA_RETURN_IF_ERROR(check_count(count));
  Archive checks = Archive::writer(nullptr);
  DBSA_RETURN_IF_ERROR(check_embeddings(vectors, "the documents' embeddings"));
  const std::string what = "index " + in_quotes(options_.factory) + " cannot be made of " +
                           std::to_string(count) + " documents";
  DBSA_RETURN_IF_ERROR(guarded(ErrorCode::kConfig, "/index", what, [&]() -> Status {
    if (!index_->is_trained) index_->train(count, vectors.data());
    index_->add(count, vectors.data());
    return {};
  }));
  if (const Status sound = transfer(checks, *index_, count); !sound.ok())
    return Error{ErrorCode::kConfig,
                 what + ": " + sound.error().message +
                     "; they may be too alike for it: choose another index",
                 "/index"};
  return {};
}

Result<std::string> DenseIndex::serialize() const {
  std::string bytes(sizeof(Header), '\0');
  bytes += options_.factory;
  Archive archive = Archive::writer(&bytes);
  if (index_->ntotal > 0) DBSA_RETURN_IF_ERROR(transfer(archive, *index_, index_->ntotal));
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.factory_bytes = static_cast<uint32_t>(options_.factory.size());
  header.width = static_cast<uint64_t>(options_.width);
  header.documents = static_cast<uint64_t>(index_->ntotal);
  header.array_bytes = bytes.size() - sizeof header - options_.factory.size();
  header.checksum = checksum(header, std::string_view(bytes).substr(sizeof header));
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

Result<DenseIndex> DenseIndex::parse(std::string_view bytes, const IndexOptions& options) {
  DBSA_ASSIGN_OR_RETURN(const Header header, checked_header(bytes, options));
  DBSA_ASSIGN_OR_RETURN(DenseIndex made, create(options));
  Archive archive = Archive::reader(bytes.substr(sizeof header + header.factory_bytes));
  if (header.documents > 0)
    if (const Status read = transfer(archive, *made.index_, static_cast<int64_t>(header.documents));
        !read.ok())
      return corrupt(read.error().message);
  if (!archive.rest().empty()) return corrupt("its size does not fit its counts");
  return made;
}

Result<std::vector<Hit>> DenseIndex::search(const std::vector<float>& vector, int64_t count) const {
  const int64_t documents = index_->ntotal;
  const int64_t wanted = std::min(count, documents);
  std::vector<Hit> hits;
  if (wanted < 1) return hits;
  DBSA_RETURN_IF_ERROR(check_embeddings(vector, "the query's embedding"));
  const double sign = index_->metric_type == ::faiss::METRIC_INNER_PRODUCT ? 1 : -1;
  // faiss takes any of those that are equal to the last one, so it is asked for more until the last
  // one is worse than what is wanted, or there are no more.
  for (int64_t asked = std::min(documents, wanted + 8);; asked = std::min(documents, 2 * asked)) {
    std::vector<float> distances(asked);
    std::vector<::faiss::Index::idx_t> ids(asked);
    DBSA_RETURN_IF_ERROR(guarded(ErrorCode::kRun, "", "faiss could not search", [&]() -> Status {
      index_->search(1, vector.data(), asked, distances.data(), ids.data());
      return {};
    }));
    hits.clear();
    for (int64_t i = 0; i < asked; ++i)
      if (ids[i] >= 0 && ids[i] < documents) hits.push_back({ids[i], sign * distances[i]});
    std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
      return a.score != b.score ? a.score > b.score : a.id < b.id;
    });
    const bool all = asked == documents || static_cast<int64_t>(hits.size()) < asked;
    if (all || hits.back().score < hits[wanted - 1].score) break;
  }
  if (static_cast<int64_t>(hits.size()) > wanted) hits.resize(wanted);
  return hits;
}

}  // namespace dbsa::dense
