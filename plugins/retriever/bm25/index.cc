#include "index.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <unordered_map>

namespace dbsa::bm25 {
namespace {

static_assert(std::endian::native == std::endian::little, "saved indexes are little-endian");

constexpr char kMagic[8] = {'D', 'B', 'S', 'A', 'B', 'M', '2', '5'};
constexpr uint32_t kVersion = 2;

// Begins a saved index; then term_text, term_ends, posting_ends, documents, frequencies, lengths.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  uint64_t analyzer;  // XXH3 of AnalyzerOptions::identity()
  uint64_t text_bytes;
  uint64_t terms;
  uint64_t postings;
  uint64_t documents;
  uint64_t checksum;  // XXH3 of the header with 0 here, and then of all that follows
};
static_assert(sizeof(Header) == 64);

uint64_t analyzer_hash(const text::AnalyzerOptions& options) {
  const std::string identity = options.identity();
  return XXH3_64bits(identity.data(), identity.size());
}

uint64_t checksum(Header header, std::string_view body) {
  header.checksum = 0;
  return XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(&header, sizeof header));
}

template <typename T>
void append(std::string& bytes, const std::vector<T>& values) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <typename T>
void take(std::string_view& bytes, uint64_t count, std::vector<T>& values) {
  values.resize(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), count * sizeof(T));
  bytes.remove_prefix(count * sizeof(T));
}

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, "BM25 index: " + what, ""};
}

// Ascending from 0 to `last`.
bool are_ends(const std::vector<uint64_t>& ends, uint64_t last) {
  return ends.front() == 0 && ends.back() == last && std::is_sorted(ends.begin(), ends.end());
}

// Terms as they are met, numbered in that order, and one entry per term and document.
struct Collected {
  struct Posting {
    uint32_t term;
    uint32_t document;
    uint32_t frequency;
  };
  std::unordered_map<std::string, uint32_t> numbers;
  std::vector<Posting> postings;  // document by document
  std::vector<uint32_t> lengths;
};

Result<Collected> collect(Texts documents, const text::AnalyzerOptions& options) {
  if (documents.size() >= INT32_MAX)
    return Error{ErrorCode::kUnsupported, "BM25 indexes less than 2^31 documents", ""};
  Collected all;
  all.lengths.reserve(documents.size());
  DBSA_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::create(options));
  std::vector<uint32_t> terms;
  for (int64_t d = 0; d < documents.size(); ++d) {
    terms.clear();
    analyzer.start(documents[d]);
    for (std::string_view term; analyzer.next(term);)
      terms.push_back(
          all.numbers.try_emplace(std::string(term), static_cast<uint32_t>(all.numbers.size()))
              .first->second);
    std::sort(terms.begin(), terms.end());
    for (auto begin = terms.begin(); begin != terms.end();) {
      const auto end = std::upper_bound(begin, terms.end(), *begin);
      all.postings.push_back(
          {*begin, static_cast<uint32_t>(d), static_cast<uint32_t>(end - begin)});
      begin = end;
    }
    all.lengths.push_back(static_cast<uint32_t>(terms.size()));
  }
  return all;
}

}  // namespace

Result<Index> Index::build(Texts documents, const text::AnalyzerOptions& options,
                           const text::Bm25Weights& weights) {
  DBSA_ASSIGN_OR_RETURN(Collected all, collect(documents, options));
  Index index;
  index.options_ = options;
  index.lengths_ = std::move(all.lengths);

  std::vector<std::pair<std::string_view, uint32_t>> sorted(all.numbers.begin(), all.numbers.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<uint32_t> rank(sorted.size());  // of the term with a number
  index.term_ends_.push_back(0);
  for (size_t i = 0; i < sorted.size(); ++i) {
    rank[sorted[i].second] = static_cast<uint32_t>(i);
    index.term_text_ += sorted[i].first;
    index.term_ends_.push_back(index.term_text_.size());
  }

  // A counting sort by term keeps the order of documents.
  index.posting_ends_.assign(sorted.size() + 1, 0);
  for (const auto& p : all.postings) ++index.posting_ends_[rank[p.term] + 1];
  std::partial_sum(index.posting_ends_.begin(), index.posting_ends_.end(),
                   index.posting_ends_.begin());
  std::vector<uint64_t> at(index.posting_ends_.begin(), index.posting_ends_.end() - 1);
  index.documents_.resize(all.postings.size());
  index.frequencies_.resize(all.postings.size());
  for (const auto& p : all.postings) {
    const uint64_t slot = at[rank[p.term]]++;
    index.documents_[slot] = p.document;
    index.frequencies_[slot] = p.frequency;
  }
  index.weigh(weights);
  return index;
}

void Index::weigh(const text::Bm25Weights& weights) {
  const double documents = static_cast<double>(lengths_.size());
  const double total =
      static_cast<double>(std::accumulate(lengths_.begin(), lengths_.end(), uint64_t{0}));
  const double mean = total > 0 ? total / documents : 1;
  std::vector<double> norms(lengths_.size());  // k1 x (1 - b + b x length / mean length)
  for (size_t d = 0; d < norms.size(); ++d) norms[d] = text::bm25_norm(weights, lengths_[d], mean);
  worth_.resize(documents_.size());
  for (size_t t = 0; t + 1 < posting_ends_.size(); ++t) {
    const double holding = static_cast<double>(posting_ends_[t + 1] - posting_ends_[t]);
    const double idf = text::bm25_idf(documents, holding);
    for (uint64_t p = posting_ends_[t]; p < posting_ends_[t + 1]; ++p)
      worth_[p] = idf * frequencies_[p] / (frequencies_[p] + norms[documents_[p]]);
  }
}

int64_t Index::find(std::string_view wanted) const {
  size_t low = 0;
  size_t high = term_ends_.size() - 1;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (term(middle) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  const bool found = low + 1 < term_ends_.size() && term(low) == wanted;
  return found ? static_cast<int64_t>(low) : -1;
}

Result<std::vector<Index::QueryTerm>> Index::terms_of(std::string_view query) const {
  DBSA_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::create(options_));
  std::vector<int64_t> numbers;
  analyzer.start(query);
  for (std::string_view word; analyzer.next(word);)
    if (const int64_t number = find(word); number >= 0) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  std::vector<QueryTerm> terms;
  for (const int64_t number : numbers) {
    if (terms.empty() || terms.back().number != number) terms.push_back({number, 0});
    ++terms.back().times;
  }
  return terms;
}

Status Index::add_scores(std::string_view query, double* scores) const {
  DBSA_ASSIGN_OR_RETURN(const std::vector<QueryTerm> terms, terms_of(query));
  for (const QueryTerm& term : terms)
    for (uint64_t p = posting_ends_[term.number]; p < posting_ends_[term.number + 1]; ++p)
      scores[documents_[p]] += static_cast<double>(term.times) * worth_[p];
  return {};
}

Result<std::vector<SharedWord>> Index::shared_words(std::string_view query,
                                                    int64_t document) const {
  DBSA_ASSIGN_OR_RETURN(const std::vector<QueryTerm> terms, terms_of(query));
  std::vector<SharedWord> words;
  for (const QueryTerm& term : terms) {
    const auto begin = documents_.begin() + static_cast<int64_t>(posting_ends_[term.number]);
    const auto end = documents_.begin() + static_cast<int64_t>(posting_ends_[term.number + 1]);
    const auto found = std::lower_bound(begin, end, document);
    if (found == end || *found != document) continue;
    const auto posting = static_cast<size_t>(found - documents_.begin());
    words.push_back({std::string(this->term(static_cast<size_t>(term.number))), term.times,
                     frequencies_[posting], static_cast<double>(term.times) * worth_[posting]});
  }
  return words;
}

std::string Index::serialize() const {
  std::string body = term_text_;
  append(body, term_ends_);
  append(body, posting_ends_);
  append(body, documents_);
  append(body, frequencies_);
  append(body, lengths_);
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.analyzer = analyzer_hash(options_);
  header.text_bytes = term_text_.size();
  header.terms = term_ends_.size() - 1;
  header.postings = documents_.size();
  header.documents = lengths_.size();
  header.checksum = checksum(header, body);
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + body;
}

Result<Index> Index::parse(std::string_view bytes, const text::AnalyzerOptions& options,
                           const text::Bm25Weights& weights) {
  Header header;
  if (bytes.size() < sizeof header) return corrupt("it is shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof header);
  std::string_view body = bytes.substr(sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    return corrupt("it does not begin with DBSABM25");
  if (header.version != kVersion)
    return corrupt("expected version " + std::to_string(kVersion) + ", found " +
                   std::to_string(header.version));
  if (header.analyzer != analyzer_hash(options))
    return corrupt("it was made with another stemmer, other stop words or other n-grams");
  // Each count is at most the body's size, so the sum cannot overflow.
  const uint64_t limit = body.size();
  if (header.text_bytes > limit || header.terms > limit || header.postings > limit ||
      header.documents > limit ||
      header.text_bytes + 2 * (header.terms + 1) * sizeof(uint64_t) +
              (2 * header.postings + header.documents) * sizeof(uint32_t) !=
          limit)
    return corrupt("its size does not fit its counts");
  if (header.checksum != checksum(header, body)) return corrupt("its checksum does not match");

  Index index;
  index.options_ = options;
  index.term_text_ = body.substr(0, header.text_bytes);
  body.remove_prefix(header.text_bytes);
  take(body, header.terms + 1, index.term_ends_);
  take(body, header.terms + 1, index.posting_ends_);
  take(body, header.postings, index.documents_);
  take(body, header.postings, index.frequencies_);
  take(body, header.documents, index.lengths_);
  DBSA_RETURN_IF_ERROR(index.validate());
  index.weigh(weights);
  return index;
}

// All that queries rely on, for bytes that carry a right checksum and were still not written here.
Status Index::validate() const {
  if (!are_ends(term_ends_, term_text_.size()) || !are_ends(posting_ends_, documents_.size()))
    return corrupt("its offsets are not ascending");
  std::vector<uint64_t> lengths(lengths_.size(), 0);
  for (size_t t = 0; t + 1 < term_ends_.size(); ++t) {
    if (t > 0 && !(term(t - 1) < term(t))) return corrupt("its terms are not sorted");
    if (posting_ends_[t] == posting_ends_[t + 1]) return corrupt("a term has no document");
    for (uint64_t p = posting_ends_[t]; p < posting_ends_[t + 1]; ++p) {
      if (documents_[p] >= lengths.size() || frequencies_[p] == 0 ||
          (p > posting_ends_[t] && documents_[p] <= documents_[p - 1]))
        return corrupt("its postings are not valid");
      lengths[documents_[p]] += frequencies_[p];
    }
  }
  if (!std::equal(lengths.begin(), lengths.end(), lengths_.begin()))
    return corrupt("its document lengths do not fit its postings");
  return {};
}

}  // namespace dbsa::bm25
