#include "icl/validity.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string_view>
#include <unordered_map>

#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

constexpr size_t kExamples = 3;

void add(std::string example, Count& count) {
  ++count.count;
  if (count.examples.size() < kExamples) count.examples.push_back(std::move(example));
}

std::string line(const Example& example) { return "line " + std::to_string(example.line); }

std::string joined(const Count& count) {
  std::string text;
  for (const std::string& example : count.examples) text += (text.empty() ? "" : ", ") + example;
  if (count.count > static_cast<int64_t>(count.examples.size())) text += ", ...";
  return text;
}

// "3 queries are" or "1 query is"
std::string counted(int64_t count, const std::string& one, const std::string& several) {
  return std::to_string(count) + " " + (count == 1 ? one : several);
}

// Bytes of the white space that valid UTF-8 begins with; 0 for none.
size_t leading_space(std::string_view text) {
  static constexpr std::string_view kWide[] = {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001",
                                               "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                               "\u2007", "\u2008", "\u2009", "\u200a", "\u2028",
                                               "\u2029", "\u202f", "\u205f", "\u3000"};
  if (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')) return 1;
  if (static_cast<unsigned char>(text.front()) < 0x80) return 0;
  const auto* wide = std::find_if(std::begin(kWide), std::end(kWide),
                                  [&](std::string_view space) { return text.starts_with(space); });
  return wide == std::end(kWide) ? 0 : wide->size();
}

// In quotes, with white space that looks like a space or like nothing as "\u00A0".
std::string visibly_quoted(const std::string& label) {
  std::string out;
  const std::string quoted = quote_for_message(label);
  for (std::string_view rest = quoted; !rest.empty();) {
    const size_t bytes = std::max<size_t>(leading_space(rest), 1);
    if (bytes == 1) {
      out += rest.front();
    } else {
      // Two bytes of UTF-8 carry 5 + 6 bits, three 4 + 6 + 6.
      unsigned code = static_cast<unsigned char>(rest[0]) & (bytes == 2 ? 0x1F : 0x0F);
      for (size_t i = 1; i < bytes; ++i)
        code = code << 6 | (static_cast<unsigned char>(rest[i]) & 0x3F);
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04X", code & 0xFFFF);
      out += escaped;
    }
    rest.remove_prefix(bytes);
  }
  return out;
}

// What is said twice in one list of examples.
class Repetitions {
 public:
  Repetitions(Count& duplicates, Count& two_labels)
      : duplicates_(duplicates), two_labels_(two_labels) {}

  void add_example(const std::string& text, const Example& example) {
    const auto [known, is_new] = first_.emplace(text, &example);
    std::set<std::vector<std::string>>& seen = labels_of_[text];
    const bool is_new_label = seen.insert(all_labels(example)).second;
    if (is_new) return;
    const Example& earlier = *known->second;
    const std::string as = example.line == earlier.line ? line(example) + " again"
                                                        : line(example) + " as " + line(earlier);
    if (!is_new_label)
      add(as, duplicates_);
    else if (seen.size() == 2)
      add(as, two_labels_);
  }

  // The first example of the text, or null.
  const Example* first(const std::string& text) const {
    const auto known = first_.find(text);
    return known == first_.end() ? nullptr : known->second;
  }

 private:
  Count& duplicates_;
  Count& two_labels_;
  std::unordered_map<std::string, const Example*> first_;  // by text
  std::unordered_map<std::string, std::set<std::vector<std::string>>> labels_of_;
};

// What a label is in lower case: also as Turkish and Azeri have it, where the letters with and
// without a dot are two, I and \u0131, \u0130 and i. Only the first where they are equal.
std::vector<std::string> folded_label(const std::string& label) {
  std::string turkish;
  const std::string composed = to_nfc(label);
  for (std::string_view rest = composed; !rest.empty();) {
    const bool dotted = rest.starts_with("\u0130");
    if (dotted)
      turkish += 'i';
    else if (rest.front() == 'I')
      turkish += "\u0131";
    else
      turkish += rest.front();
    rest.remove_prefix(dotted ? 2 : 1);
  }
  std::vector<std::string> folded = {folded_text(label), folded_text(turkish)};
  if (folded[0] == folded[1]) folded.pop_back();
  return folded;
}

// Labels by what they are the same in.
class FoldedLabels {
 public:
  FoldedLabels(std::span<const std::string> labels, Count& near_equal)
      : exact_(labels.begin(), labels.end()) {
    for (const std::string& label : labels) {
      const std::vector<std::string> folded = folded_label(label);
      if (const std::string* known = find(folded))
        add(visibly_quoted(*known) + " and " + visibly_quoted(label), near_equal);
      for (const std::string& text : folded) first_.emplace(text, label);
    }
  }

  void add_expected(const Example& query, Count& near_expected) const {
    const std::vector<std::string> expected = all_labels(query);
    const auto is_known = [&](const std::string& label) { return exact_.contains(to_nfc(label)); };
    if (std::any_of(expected.begin(), expected.end(), is_known)) return;
    for (const std::string& label : expected)
      if (const std::string* known = find(folded_label(label)))
        return add(line(query) + ": " + visibly_quoted(label) + " for " + visibly_quoted(*known),
                   near_expected);
  }

 private:
  // The first label that is one of these, or null.
  const std::string* find(std::span<const std::string> folded) const {
    for (const std::string& text : folded)
      if (const auto known = first_.find(text); known != first_.end()) return &known->second;
    return nullptr;
  }

  std::set<std::string, std::less<>> exact_;
  std::unordered_map<std::string, std::string> first_;
};

}  // namespace

std::string folded_text(const std::string& text) {
  if (utf8::find_invalid(text)) return text;
  std::string out;
  const std::string folded = normalize_nfc(to_lowercase(normalize_nfc(text)));
  for (std::string_view rest = folded; !rest.empty();) {
    const size_t space = leading_space(rest);
    if (space == 0)
      out += rest.front();
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
    rest.remove_prefix(std::max<size_t>(space, 1));
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

DataValidity check_validity(std::span<const Example> demonstrations, std::span<const Row> queries,
                            std::span<const std::string> labels) {
  DataValidity found;
  Repetitions pool(found.duplicates, found.texts_with_two_labels);
  for (const Example& example : demonstrations)
    pool.add_example(folded_text(example.text), example);
  const FoldedLabels known_labels(labels, found.near_equal_labels);
  Repetitions asked(found.duplicate_queries, found.queries_with_two_labels);
  for (const Row& row : queries) {
    if (row.error) continue;
    const std::string text = folded_text(row.example.text);
    if (const Example* known = pool.first(text))
      add(line(row.example) + " is " + line(*known) + " of the demonstrations",
          found.queries_in_demonstrations);
    asked.add_example(text, row.example);
    known_labels.add_expected(row.example, found.near_expected_labels);
  }
  return found;
}

std::vector<std::string> warnings(const DataValidity& validity) {
  std::vector<std::string> out;
  if (const Count& count = validity.queries_in_demonstrations; count.count > 0)
    out.push_back(counted(count.count, "query is", "queries are") + " among the demonstrations (" +
                  joined(count) + "): the figures do not show how unseen texts are answered");
  if (const Count& count = validity.texts_with_two_labels; count.count > 0)
    out.push_back(counted(count.count, "text stands", "texts stand") +
                  " under different labels in the demonstrations (" + joined(count) + ")");
  if (const Count& count = validity.duplicates; count.count > 0)
    out.push_back(counted(count.count, "demonstration repeats", "demonstrations repeat") +
                  " an earlier one (" + joined(count) + ")");
  if (const Count& count = validity.near_equal_labels; count.count > 0)
    out.push_back(counted(count.count, "label differs", "labels differ") +
                  " from another one only in case, white space or normal form (" + joined(count) +
                  "): answers with the one count as wrong for the other");
  if (const Count& count = validity.duplicate_queries; count.count > 0)
    out.push_back(counted(count.count, "query repeats", "queries repeat") + " an earlier one (" +
                  joined(count) +
                  "): each counts in the figures of the run, but tells no more than the first; "
                  "leave out what stands twice in data.queries or data.query_indices");
  if (const Count& count = validity.queries_with_two_labels; count.count > 0)
    out.push_back(counted(count.count, "text expects", "texts expect") +
                  " different labels in the queries (" + joined(count) +
                  "): one answer to both is wrong for one of them");
  if (const Count& count = validity.near_expected_labels; count.count > 0)
    out.push_back(counted(count.count, "query expects", "queries expect") +
                  " a label that differs from one of the demonstrations' or of data.labels only in "
                  "case, white space or normal form (" +
                  joined(count) + "): answers with it count as wrong; write both alike");
  return out;
}

}  // namespace dbsa
