#include "pipeline/answer/query_request.h"

#include <algorithm>

#include "icl/dataset.h"
#include "icl/prompt.h"
#include "pipeline/pool/pool_builder.h"

namespace dbsa {
namespace {

// Whether an error of a plugin's call may be due to the text that it was given.
bool is_of_text(ErrorCode code) {
  return code != ErrorCode::kEnvironment && code != ErrorCode::kCancelled &&
         code != ErrorCode::kNotFound && code != ErrorCode::kCorrupt;
}

// What follows the text in every prompt, besides what query_text puts there.
struct PromptEnd {
  std::string joined;         // tokenised with the query, up to a free answer
  std::vector<int32_t> tail;  // tokens of the tail, whose special tokens count
};

Result<PromptEnd> prompt_end(const QueryContext& context) {
  const PromptSettings& prompt = context.settings.prompt;
  const bool has_tail = !prompt.tail.empty();
  const Tokenize tokenize = tokenize_with(context.tokenizer, has_tail || prompt.chat);
  const PromptFormat behind = label_format(prompt);
  std::string lead(label_lead(behind));
  // Labels are written with the white space before them; a free answer follows it.
  if (context.settings.decoding.method == DecodingMethod::kFree) {
    DBSA_ASSIGN_OR_RETURN(lead, free_answer_lead(behind, tokenize));
  }
  PromptEnd end;
  if (!has_tail) {
    end.joined = lead.substr(label_lead(behind).size());
  } else {
    DBSA_ASSIGN_OR_RETURN(end.tail, tokenize(lead));
  }
  return end;
}

// The same with the place of a fault, which is the pipeline file's and not a text's.
Result<PromptEnd> located_prompt_end(const QueryContext& context) {
  Result<PromptEnd> end = prompt_end(context);
  if (end.ok() || !end.error().config_pointer.empty()) return end;
  Error error = std::move(end).error();
  error.config_pointer =
      context.settings.prompt.tail.empty() ? "/prompt/output_prefix" : "/prompt/tail";
  return error;
}

// Tokens of the prompt with this text.
Result<std::vector<int32_t>> prompt_ids(const QueryContext& context, const PromptEnd& end,
                                        std::string_view text) {
  const PromptFormat format = prompt_format(context.settings.prompt);
  const PromptText query = write_query(format, text).add(end.joined);
  DBSA_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                        tokenize_with(context.tokenizer, format.chat)(query));
  ids.insert(ids.end(), end.tail.begin(), end.tail.end());
  return ids;
}

// Positions that a request takes beyond what there are; 0 or less where it fits.
int64_t excess(const QueryContext& context, const QueryRequest& request) {
  const auto tokens = static_cast<int64_t>(request.ids.size()) + context.answer_tokens;
  return spanned_positions(request.selection, tokens) - context.max_positions;
}

// The first or the last `count` tokens as text. A character that the cut goes through is left out.
std::string part_of(const Tokenizer& tokenizer, std::span<const int32_t> ids, size_t count,
                    Truncate side) {
  constexpr std::string_view kBroken = "\xEF\xBF\xBD";
  const bool left = side == Truncate::kLeft;
  std::string text =
      tokenizer.decode(left ? ids.last(count) : ids.first(count), {.skip_special = false});
  while (left && text.starts_with(kBroken)) text.erase(0, kBroken.size());
  while (!left && text.ends_with(kBroken)) text.resize(text.size() - kBroken.size());
  return text;
}

// Cuts the text until its request fits, or nothing is left of it.
Status cut_text(const QueryContext& context, const PromptEnd& end, std::string_view text,
                QueryRequest& request) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                        context.tokenizer.encode(text, {.parse_special = false}));
  auto kept = static_cast<int64_t>(ids.size());
  // Other tokens may meet at the cut than stood there, so that it is measured again.
  for (int64_t over = excess(context, request); over > 0; over = excess(context, request)) {
    kept -= over;
    if (kept <= 0) return {};
    const std::string cut =
        part_of(context.tokenizer, ids, static_cast<size_t>(kept), context.settings.data.truncate);
    if (cut.find_first_not_of(" \t\n\v\f\r") == cut.npos) return {};
    DBSA_ASSIGN_OR_RETURN(request.ids, prompt_ids(context, end, cut));
    request.cut_tokens = static_cast<int64_t>(ids.size()) - kept;
  }
  return {};
}

ItemError too_long(const QueryContext& context, int64_t tokens, int64_t over) {
  const bool cut = context.settings.data.truncate != Truncate::kNone;
  // Only such an answer has a length that a setting gives.
  const bool free =
      context.settings.decoding.method == DecodingMethod::kFree && context.answer_tokens > 1;
  return {ItemFault::kTooLong,
          "expected a prompt of at most " + std::to_string(context.max_positions) +
              " positions, the model's, found " + std::to_string(context.max_positions + over) +
              ", of which the query takes " + std::to_string(tokens) +
              (free ? " and its answer up to " + std::to_string(context.answer_tokens) : "") +
              (cut ? "; it does not fit without its text either: " : "; ") +
              (free ? "lower decoding.max_tokens" + std::string(cut ? " or " : ", ") : "") +
              (cut ? "select fewer blocks"
                   : "shorten the text, write data.truncate = \"left\" or \"right\", or select "
                     "fewer blocks")};
}

}  // namespace

std::string retrieval_text(const Settings& settings, std::string_view text) {
  return settings.retriever.whole_demonstrations ? query_text(prompt_format(settings.prompt), text)
                                                 : std::string(text);
}

Result<Ranking> ask_retriever(const QueryContext& context, std::string_view text, int64_t count) {
  const RetrieverSettings& settings = context.settings.retriever;
  const std::string query = retrieval_text(context.settings, text);
  if (settings.by_demonstration) count = static_cast<int64_t>(context.block_of.size());
  Ranking ranking;
  DBSA_ASSIGN_OR_RETURN(ranking.documents, context.retriever->query(query, count));
  ranking.blocks = settings.by_demonstration
                       ? rank_blocks(ranking.documents, context.block_of, settings.block_score)
                       : ranking.documents;
  return ranking;
}

Status select_for_query(const QueryContext& context, std::string_view text, QueryRequest& request) {
  const SelectionRule& rule = context.settings.selection;
  DBSA_ASSIGN_OR_RETURN(const int64_t count, selection_size(rule, context.pool));
  std::vector<Hit> ranking;
  if (count > 0) {
    Result<Ranking> ranked = ask_retriever(context, text, count);
    if (!ranked.ok() && !is_of_text(ranked.error().code)) return std::move(ranked).error();
    if (!ranked.ok()) {
      request.error = ItemError{ItemFault::kPlugin, ranked.error().message};
      return {};
    }
    ranking = std::move(ranked->blocks);
  }
  Result<Selection> selected = select_blocks(rule, context.pool, ranking);
  if (selected.ok())
    request.selection = std::move(selected).value();
  else if (selected.error().code == ErrorCode::kPlugin)
    request.error = ItemError{ItemFault::kPlugin, selected.error().message};
  else
    return std::move(selected).error();
  return {};
}

Status tokenize_query(const QueryContext& context, std::string_view text, QueryRequest& request) {
  DBSA_ASSIGN_OR_RETURN(const PromptEnd end, located_prompt_end(context));
  Result<std::vector<int32_t>> ids = prompt_ids(context, end, text);
  if (!ids.ok() && ids.error().code != ErrorCode::kConfig) return std::move(ids).error();
  if (!ids.ok()) {
    request.error = ItemError{ItemFault::kNotTokenizable, ids.error().message};
    return {};
  }
  request.ids = std::move(ids).value();
  const int64_t over = excess(context, request);
  if (over <= 0) return {};
  const auto tokens = static_cast<int64_t>(request.ids.size());
  if (context.settings.data.truncate != Truncate::kNone)
    DBSA_RETURN_IF_ERROR(cut_text(context, end, text, request));
  if (excess(context, request) > 0) request.error = too_long(context, tokens, over);
  return {};
}

Status tokenize_references(const QueryContext& context, QueryRequest& request) {
  for (const std::string& text : reference_texts(context.settings)) {
    QueryRequest reference;
    reference.selection = request.selection;
    DBSA_RETURN_IF_ERROR(tokenize_query(context, text, reference));
    if (reference.error) {
      request.error =
          ItemError{reference.error->fault,
                    "the query " + quote_for_message(text) +
                        " that decoding.scorer compares with: " + reference.error->message};
      return {};
    }
    request.reference_ids.push_back(std::move(reference.ids));
  }
  return {};
}

}  // namespace dbsa
