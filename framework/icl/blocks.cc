#include "icl/blocks.h"

namespace dbsa {
namespace {

void append(std::vector<int32_t>& tokens, const std::vector<int32_t>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

}  // namespace

Hash128 hash_example(const Example& example) {
  // The length first, so that text and label cannot trade bytes.
  const uint64_t length = example.text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  bytes += example.text;
  bytes += example.label;
  return hash_text(bytes);
}

Result<std::vector<int64_t>> count_tokens(std::span<const Example> demonstrations,
                                          const PromptFormat& format, const Tokenize& tokenize) {
  std::vector<int64_t> counts;
  counts.reserve(demonstrations.size());
  for (const Example& example : demonstrations) {
    DBSA_ASSIGN_OR_RETURN(const auto tokens, tokenize(write_demonstration(format, example)));
    counts.push_back(static_cast<int64_t>(tokens.size()));
  }
  return counts;
}

Result<std::vector<Block>> build_blocks(std::span<const Example> demonstrations,
                                        std::span<const std::vector<int64_t>> groups,
                                        const PromptFormat& format, const Tokenize& tokenize,
                                        std::optional<int32_t> bos) {
  std::vector<Block> blocks;
  blocks.reserve(groups.size());
  for (const auto& group : groups) {
    Block block;
    block.demonstrations = group;
    PromptText written;
    for (const int64_t index : group)
      written.append(write_demonstration(format, demonstrations[index]));
    if (bos && blocks.empty()) block.tokens.push_back(*bos);
    DBSA_ASSIGN_OR_RETURN(const auto tokens, tokenize(written));
    block.text = std::move(written.text);
    append(block.tokens, tokens);
    blocks.push_back(std::move(block));
  }
  return blocks;
}

Result<Block> build_prefix_block(std::optional<int32_t> bos, const PromptText& head,
                                 const std::string& instruction, const PromptFormat& format,
                                 const Tokenize& tokenize, const Tokenize& tokenize_with_special) {
  Block block;
  if (bos) block.tokens.push_back(*bos);
  if (!head.text.empty()) {
    block.text = head.text;
    DBSA_ASSIGN_OR_RETURN(const auto tokens, tokenize_with_special(head));
    append(block.tokens, tokens);
  }
  if (!instruction.empty()) {
    const std::string text = instruction + format.separator;
    block.text += text;
    DBSA_ASSIGN_OR_RETURN(const auto tokens, tokenize(text));
    append(block.tokens, tokens);
  }
  if (block.tokens.empty())
    return Error{ErrorCode::kConfig,
                 "prompt.anchor: expected bos = true, an instruction or a head for the prefix "
                 "block, found none; set one, or write anchor = \"first_blocks\"",
                 "/prompt/anchor"};
  return block;
}

}  // namespace dbsa
