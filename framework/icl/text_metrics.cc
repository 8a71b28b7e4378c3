#include "icl/text_metrics.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "text/utf8.h"

namespace dbsa {
namespace {

std::u32string code_points(std::string_view text) {
  std::u32string points;
  while (!text.empty()) {
    const size_t sound = utf8::find_invalid(text).value_or(text.size());
    for (size_t i = 0; i < sound;) {
      const auto lead = static_cast<uint8_t>(text[i]);
      const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
      char32_t point = length == 1 ? lead : lead & (0x7F >> length);
      for (size_t k = 1; k < length; ++k)
        point = point << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3F);
      points += point;
      i += length;
    }
    if (sound < text.size()) points += char32_t{0xFFFD};
    text.remove_prefix(std::min(sound + 1, text.size()));
  }
  return points;
}

// What Python's str.split() splits at, as both packages do.
bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// Words and what stands between them: `between` where there is white space, nothing at the ends.
std::u32string respaced(std::string_view text, std::u32string_view between) {
  std::u32string out;
  bool space = false;
  for (const char32_t c : code_points(text)) {
    if (is_python_space(c)) {
      space = true;
      continue;
    }
    if (space && !out.empty()) out += between;
    space = false;
    out += c;
  }
  return out;
}

std::vector<std::string> rouge_tokens(std::string_view text) {
  std::vector<std::string> tokens(1);
  for (char32_t c : code_points(text)) {
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    if (c == 0x212A) c = 'k';         // the Kelvin sign's lower case
    const bool dotted = c == 0x0130;  // I with a dot; its lower case is i and a combining dot
    if (dotted) c = 'i';
    const bool part = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (part) tokens.back() += static_cast<char>(c);
    if ((!part || dotted) && !tokens.back().empty()) tokens.emplace_back();
  }
  if (tokens.back().empty()) tokens.pop_back();
  return tokens;
}

size_t longest_common_subsequence(const std::vector<std::string>& a,
                                  const std::vector<std::string>& b) {
  std::vector<size_t> row(b.size() + 1);
  for (const std::string& token : a) {
    size_t diagonal = 0;  // of the row above
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

double rouge_l_of(const std::vector<std::string>& text, const std::vector<std::string>& reference) {
  if (text.empty() || reference.empty()) return 0;
  const auto common = static_cast<double>(longest_common_subsequence(text, reference));
  return 2 * common / static_cast<double>(text.size() + reference.size());
}

using Grams = std::unordered_map<std::u32string_view, int64_t>;

Grams grams_of(std::u32string_view text, size_t order) {
  Grams grams;
  for (size_t i = 0; i + order <= text.size(); ++i) ++grams[text.substr(i, order)];
  return grams;
}

int64_t common_grams(const Grams& a, const Grams& b) {
  int64_t common = 0;
  for (const auto& [gram, count] : a)
    if (const auto found = b.find(gram); found != b.end()) common += std::min(count, found->second);
  return common;
}

// How many n-grams a text has.
int64_t gram_count(std::u32string_view text, size_t order) {
  return static_cast<int64_t>(text.size() >= order ? text.size() - order + 1 : 0);
}

}  // namespace

bool exact_match(std::string_view text, std::span<const std::string> references) {
  const std::u32string words = respaced(text, U" ");
  return std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
    return respaced(reference, U" ") == words;
  });
}

double rouge_l(std::string_view text, std::span<const std::string> references) {
  const std::vector<std::string> tokens = rouge_tokens(text);
  double best = 0;
  for (const std::string& reference : references)
    best = std::max(best, rouge_l_of(tokens, rouge_tokens(reference)));
  return best;
}

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  for (size_t i = 0; i < kOrders; ++i) {
    text[i] += other.text[i];
    reference[i] += other.reference[i];
    common[i] += other.common[i];
  }
  return *this;
}

double ChrfCounts::score() const {
  double precision = 0, recall = 0;
  int orders = 0;
  for (size_t i = 0; i < kOrders; ++i) {
    if (text[i] == 0 || reference[i] == 0) continue;
    precision += static_cast<double>(common[i]) / static_cast<double>(text[i]);
    recall += static_cast<double>(common[i]) / static_cast<double>(reference[i]);
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  constexpr double kBetaSquared = 4;
  return (1 + kBetaSquared) * precision * recall / (kBetaSquared * precision + recall);
}

ChrfCounts chrf_counts(std::string_view text, std::span<const std::string> references) {
  const std::u32string dense = respaced(text, U"");
  std::array<Grams, ChrfCounts::kOrders> grams;
  for (size_t i = 0; i < grams.size(); ++i) grams[i] = grams_of(dense, i + 1);
  ChrfCounts best;
  double best_score = -1;
  for (const std::string& reference : references) {
    const std::u32string other = respaced(reference, U"");
    ChrfCounts counts;
    for (size_t i = 0; i < grams.size(); ++i) {
      counts.reference[i] = gram_count(other, i + 1);
      // An order that a reference is too short for does not weigh on the corpus's precision.
      if (counts.reference[i] > 0) counts.text[i] = gram_count(dense, i + 1);
      counts.common[i] = common_grams(grams_of(other, i + 1), grams[i]);
    }
    if (const double score = counts.score(); score > best_score) {
      best_score = score;
      best = counts;
    }
  }
  return best;
}

TextScores score_text(std::string_view text, std::span<const std::string> references) {
  return {exact_match(text, references) ? 1.0 : 0.0, rouge_l(text, references),
          chrf_counts(text, references).score()};
}

void CorpusTextScores::add(std::string_view text, std::span<const std::string> references) {
  ++count_;
  sum_.exact_match += exact_match(text, references) ? 1 : 0;
  sum_.rouge_l += rouge_l(text, references);
  chrf_ += chrf_counts(text, references);
}

TextScores CorpusTextScores::scores() const {
  if (count_ == 0) return {};
  const auto n = static_cast<double>(count_);
  return {sum_.exact_match / n, sum_.rouge_l / n, chrf_.score()};
}

}  // namespace dbsa
