#include "pipeline/settings.h"

namespace dbsa {
namespace {

ModelSettings read_model(const nlohmann::json& table) {
  return {table.at("path"), table.at("dtype"), table.at("kv_dtype"), table.at("chunk_tokens")};
}

DataSettings read_data(const nlohmann::json& table) {
  return {table.at("demonstrations"),
          table.value("queries", ""),
          table.value("query_indices", ""),
          table.at("text_field"),
          table.at("label_field"),
          table.at("demonstration_count"),
          table.at("query_count"),
          table.at("seed")};
}

PromptSettings read_prompt(const nlohmann::json& table) {
  return {table.at("input_prefix"),
          table.at("output_prefix"),
          table.at("separator"),
          table.at("anchor") == "prefix" ? PromptHead::kPrefix : PromptHead::kFirstBlocks,
          table.at("bos"),
          table.at("instruction"),
          table.at("head"),
          table.at("tail")};
}

SelectionSettings read_selection(const nlohmann::json& table) {
  SelectionSettings selection;
  if (table.contains("count"))
    selection.count = table.at("count").get<int64_t>();
  else
    selection.ratio = table.at("ratio").get<double>();
  selection.order = table.at("order");
  selection.original_positions = table.at("positions") == "original";
  return selection;
}

}  // namespace

Result<Settings> read_settings(const nlohmann::json& resolved) {
  try {
    Settings settings;
    settings.model = read_model(resolved.at("model"));
    settings.data = read_data(resolved.at("data"));
    settings.prompt = read_prompt(resolved.at("prompt"));
    const nlohmann::json& grouper = resolved.at("block_grouper");
    settings.grouper = {grouper.at("block_size"), grouper.at("seed")};
    const nlohmann::json& mask = resolved.at("mask_pattern");
    settings.mask = {mask.at("encode_positions") == "global" ? EncodePositions::kGlobal
                                                             : EncodePositions::kPacked,
                     mask.value("anchor_blocks", int64_t{0})};
    settings.index_whole_demonstrations = resolved.at("retriever").at("text") == "demonstration";
    settings.selection = read_selection(resolved.at("selection"));
    const nlohmann::json& decoding = resolved.at("decoding");
    settings.decoding = {decoding.at("method") == "free", decoding.at("max_tokens")};
    settings.output_directory = resolved.at("output").at("directory");
    settings.store_path = resolved.at("kv_store").value("path", "");
    return settings;
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string("the configuration was not resolved: ") + e.what(), ""};
  }
}

}  // namespace dbsa
