#include "pipeline/validity.h"

#include <set>
#include <unordered_map>

#include "icl/utf8.h"
#include "model/tokenizer/unicode.h"

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

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

}  // namespace

std::string folded_text(const std::string& text) {
  if (find_invalid_utf8(text)) return text;
  std::string out;
  for (const char c : normalize_nfc(to_lowercase(normalize_nfc(text)))) {
    if (!is_space(c))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

DataValidity check_validity(std::span<const Example> demonstrations, std::span<const Row> queries,
                            std::span<const std::string> labels) {
  DataValidity found;
  std::unordered_map<std::string, const Example*> first;  // by text
  std::unordered_map<std::string, std::set<std::vector<std::string>>> labels_of;
  for (const Example& example : demonstrations) {
    const std::string text = folded_text(example.text);
    const auto [known, is_new] = first.emplace(text, &example);
    std::set<std::vector<std::string>>& seen = labels_of[text];
    const bool is_new_label = seen.insert(all_labels(example)).second;
    if (is_new) continue;
    const std::string as = line(example) + " as " + line(*known->second);
    if (!is_new_label)
      add(as, found.duplicates);
    else if (seen.size() == 2)
      add(as, found.texts_with_two_labels);
  }
  for (const Row& row : queries) {
    if (row.error) continue;
    const auto known = first.find(folded_text(row.example.text));
    if (known != first.end())
      add(line(row.example) + " is " + line(*known->second) + " of the demonstrations",
          found.queries_in_demonstrations);
  }
  std::unordered_map<std::string, std::string> label_seen;
  for (const std::string& label : labels) {
    const auto [known, is_new] = label_seen.emplace(folded_text(label), label);
    if (!is_new)
      add(quote_for_message(known->second) + " and " + quote_for_message(label),
          found.near_equal_labels);
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
  return out;
}

}  // namespace dbsa
