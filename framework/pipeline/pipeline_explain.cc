// Why an answer came out: stage two again, with notes.
#include <utility>

#include "pipeline/pipeline_impl.h"

namespace dbsa {
namespace {

using DocumentWords = std::map<int64_t, std::vector<SharedWord>>;

// The documents of the retriever that a block of the pool holds: the first one, and how many.
std::pair<int64_t, int64_t> documents_of(const Pool& pool, int64_t block, bool by_demonstration) {
  const int64_t first_block = pool.has_prefix ? 1 : 0;
  if (block < first_block) return {0, 0};
  if (!by_demonstration) return {block - first_block, 1};
  int64_t first = 0;
  for (int64_t i = first_block; i < block; ++i)
    first += static_cast<int64_t>(pool.blocks[static_cast<size_t>(i)].demonstrations.size());
  const auto& demonstrations = pool.blocks[static_cast<size_t>(block)].demonstrations;
  return {first, static_cast<int64_t>(demonstrations.size())};
}

}  // namespace

Result<std::optional<DocumentWords>> Pipeline::Impl::shared_words(
    const OpenedPool& opened, std::string_view text, const Selection& selection) const {
  const Pool& pool = opened.pool;
  const std::string query = retrieval_text(settings, text);
  DocumentWords all;
  for (const SelectedBlock& selected : selection.blocks) {
    const auto [first, count] =
        documents_of(pool, selected.block, settings.retriever.by_demonstration);
    for (int64_t document = first; document < first + count; ++document) {
      DBSA_ASSIGN_OR_RETURN(auto words, opened.retriever().shared_words(query, document));
      if (!words) return std::optional<DocumentWords>();
      all.emplace(document, *std::move(words));
    }
  }
  return std::optional<DocumentWords>(std::move(all));
}

Result<WithoutBlock> Pipeline::Impl::answer_without(Answerer& answerer,
                                                    const Explanation& explained,
                                                    const QueryRequest& request, size_t index) {
  const OpenedPool& opened = *answerer.pool();
  const std::vector<PoolLabel>& labels = opened.pool.labels;
  QueryRequest less = request;
  less.selection =
      leave_out(settings.selection, answerer.query_context().pool, request.selection, index);
  WithoutBlock without;
  without.block = request.selection.blocks[index].block;
  const std::string& label = explained.answer.label.text;
  AnswerNotes notes;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i].text == label) notes.label = static_cast<int32_t>(i);
  if (settings.decoding.method == DecodingMethod::kVote) {
    bool any = false;
    for (const SelectedBlock& left : less.selection.blocks)
      any = any || !opened.block(left.block).demonstrations.empty();
    if (!any) return without;
    without.label = vote(opened, less.selection, &notes).label;
    without.log_probability = notes.labels[static_cast<size_t>(*notes.label)].log_probability;
    return without;
  }
  const bool free = settings.decoding.method == DecodingMethod::kFree;
  if (free)
    for (const ReadToken& token : explained.labels.front().tokens)
      notes.tokens.push_back(token.token);
  DBSA_ASSIGN_OR_RETURN(Answer answer, answerer.answer_selected(std::move(less), {}, &notes));
  without.label = std::move(answer.label);
  without.log_probability = free ? notes.log_probability_of_tokens
                                 : notes.labels[static_cast<size_t>(*notes.label)].log_probability;
  return without;
}

Result<Explanation> Pipeline::explain(std::string_view text, bool without_each) {
  Impl& self = *impl_;
  const std::shared_ptr<Answerer> answerer = self.answerer();
  const OpenedPool& opened = *answerer->pool();
  AnswerNotes notes;
  Explanation explained;
  DBSA_ASSIGN_OR_RETURN(explained.answer, answerer->answer(text, {}, &notes));
  explained.query_ids = notes.request.ids;
  explained.query_start = notes.request.selection.query_start;
  explained.kv_loaded = std::move(notes.kv_loaded);
  explained.labels = std::move(notes.labels);
  const int64_t documents = opened.pool.documents(self.settings.retriever.by_demonstration);
  if (documents > 0) {
    DBSA_ASSIGN_OR_RETURN(explained.ranking,
                          ask_retriever(answerer->query_context(), text, documents));
    DBSA_ASSIGN_OR_RETURN(explained.words,
                          self.shared_words(opened, text, notes.request.selection));
  }
  if (!without_each) return explained;
  for (size_t i = 0; i < explained.answer.blocks.size(); ++i) {
    if (opened.block(explained.answer.blocks[i].block).demonstrations.empty()) continue;
    if (self.services.cancelled())
      return Error{ErrorCode::kCancelled, "stopped while explaining", ""};
    DBSA_ASSIGN_OR_RETURN(WithoutBlock without,
                          self.answer_without(*answerer, explained, notes.request, i));
    explained.without.push_back(std::move(without));
  }
  return explained;
}

}  // namespace dbsa
