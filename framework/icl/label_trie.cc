#include "icl/label_trie.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace dbsa {
namespace {

using Sequences = std::vector<std::vector<int32_t>>;

bool begins(const std::vector<int32_t>& prefix, const std::vector<int32_t>& whole) {
  return prefix.size() <= whole.size() && std::equal(prefix.begin(), prefix.end(), whole.begin());
}

Error clash(const std::string& a, const std::string& b, const std::string& what) {
  return Error{ErrorCode::kConfig,
               "labels " + quote_for_message(a) + " and " + quote_for_message(b) + ": " + what +
                   "; rename one of them",
               ""};
}

// Appends terminator tokens until no sequence begins another.
Result<Sequences> close(std::span<const LabelTokens> tokens, std::span<const std::string> names) {
  Sequences sequences;
  for (const LabelTokens& label : tokens) sequences.push_back(label.ids);
  std::vector<size_t> used(tokens.size(), 0);
  std::vector<int32_t> order(tokens.size());
  for (bool changed = true; changed;) {
    changed = false;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return sequences[a] < sequences[b]; });
    // What begins any other sequence begins its successor in this order.
    for (size_t i = 0; i + 1 < order.size(); ++i) {
      const int32_t a = order[i];
      const int32_t b = order[i + 1];
      if (sequences[a] == sequences[b])
        return clash(names[a], names[b], "both have the same tokens");
      if (!begins(sequences[a], sequences[b])) continue;
      if (used[a] == tokens[a].terminator.size())
        return clash(names[a], names[b],
                     "the second begins with the first and the whole separator, so they cannot be "
                     "told apart");
      sequences[a].push_back(tokens[a].terminator[used[a]++]);
      changed = true;
    }
  }
  return sequences;
}

}  // namespace

Result<LabelTrie> LabelTrie::build(std::span<const LabelTokens> tokens,
                                   std::span<const std::string> names) {
  if (tokens.empty() || tokens.size() != names.size())
    return Error{ErrorCode::kInvalidArgument, "a label trie needs one token sequence per label",
                 ""};
  DBSA_ASSIGN_OR_RETURN(const Sequences sequences, close(tokens, names));

  // Inserted in label order, so children are found in the order of their least label.
  std::vector<Node> loose(1);
  std::vector<std::vector<int32_t>> loose_children(1);
  std::map<std::pair<int32_t, int32_t>, int32_t> child_of;  // by parent and token
  for (int32_t label = 0; label < static_cast<int32_t>(sequences.size()); ++label) {
    int32_t at = 0;
    ++loose[0].label_count;
    for (const int32_t token : sequences[label]) {
      const auto made = static_cast<int32_t>(loose.size());
      const auto [child, is_new] = child_of.try_emplace({at, token}, made);
      if (!is_new) {
        at = child->second;
        ++loose[at].label_count;
        continue;
      }
      loose.push_back({token, at, loose[at].depth + 1, -1, label, 1, 0, 0});
      loose_children[at].push_back(made);
      loose_children.emplace_back();
      at = made;
    }
    loose[at].label = label;
  }

  // Renumbered depth first.
  LabelTrie trie;
  std::vector<int32_t> number(loose.size());
  std::vector<int32_t> stack = {0};
  while (!stack.empty()) {
    const int32_t at = stack.back();
    stack.pop_back();
    number[at] = trie.size();
    trie.nodes_.push_back(loose[at]);
    if (at != 0) trie.nodes_.back().parent = number[loose[at].parent];
    const auto& below = loose_children[at];
    stack.insert(stack.end(), below.rbegin(), below.rend());
  }
  for (size_t at = 0; at < loose.size(); ++at) {
    Node& node = trie.nodes_[number[at]];
    node.first_child = static_cast<int32_t>(trie.children_.size());
    node.child_count = static_cast<int32_t>(loose_children[at].size());
    for (const int32_t child : loose_children[at]) trie.children_.push_back(number[child]);
  }
  return trie;
}

int32_t LabelTrie::descend(int32_t i) const {
  while (nodes_[i].child_count == 1) i = children_[nodes_[i].first_child];
  return i;
}

std::vector<int32_t> LabelTrie::path(int32_t i) const {
  std::vector<int32_t> tokens(nodes_[i].depth);
  for (; i > 0; i = nodes_[i].parent) tokens[nodes_[i].depth - 1] = nodes_[i].token;
  return tokens;
}

}  // namespace dbsa
