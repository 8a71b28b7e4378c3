#include "pipeline/answer/answer_decoding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "icl/best_first_walk.h"

namespace dbsa {
namespace {

bool same_place(std::span<const SelectedBlock> one, std::span<const SelectedBlock> other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const SelectedBlock& a, const SelectedBlock& b) {
                      return a.block == b.block && a.start == b.start;
                    });
}

// The best of the scores, then the next best; ties go to the first.
std::vector<size_t> best_two(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto middle =
      order.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(2, order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  order.erase(middle, order.end());
  return order;
}

// Makes the answer of the scores of all labels; their log-probabilities, [labels].
std::vector<double> answer_from(const DecodingContext& context, std::span<const double> scores,
                                Answer& answer) {
  const std::vector<PoolLabel>& labels = context.pool.pool.labels;
  const Calibration* calibration = context.calibration;
  std::vector<double> made = log_softmax(scores, context.temperature());
  const std::vector<size_t> best = best_two(made);  // the curve may make them equal
  if (calibration != nullptr && calibration->curve)
    apply_confidence_curve(*calibration->curve, made);
  answer.label = {labels[best[0]].text, made[best[0]]};
  if (best.size() > 1) answer.runner_up = AnswerLabel{labels[best[1]].text, made[best[1]]};
  return made;
}

// Each label scored in full, and behind the same blocks what the scorer compares that with.
class LabelsAnswer final : public AnswerDecoding {
 public:
  LabelsAnswer(const DecodingContext& context, const QueryRequest& request,
               std::span<const int32_t> ids, AnswerExtras extras)
      : context_(context), request_(request), extras_(extras), own_(*context.pool.tree, ids) {
    if (context.pool.scoring->scorer() == LabelScorer::kBatch) {
      if (context.calibration != nullptr) prior_ = context.calibration->log_prior;
    } else if (!request.reference_ids.empty()) {
      prior_ = context.known_prior.find(request.selection);
      const auto before = static_cast<int64_t>(ids.size() - request.ids.size());
      for (size_t i = 0; !prior_ && i < request.reference_ids.size(); ++i)
        references_.push_back(std::make_unique<LikelihoodDecoding>(
            *context.pool.tree, request.reference_ids[i], before));
    }
  }

  std::vector<Decoding*> decodings() override {
    std::vector<Decoding*> all = {&own_};
    for (const auto& reference : references_) all.push_back(reference.get());
    return all;
  }

  Status finish(Answer& answer) override {
    const LikelihoodTree& tree = *context_.pool.tree;
    const LabelScoring& scoring = *context_.pool.scoring;
    const std::vector<double> likelihoods = tree.log_likelihoods(own_.edges());
    // The mean over the held-out queries is made of what each of them says.
    if (extras_.evidence != nullptr && scoring.scorer() == LabelScorer::kBatch) {
      extras_.evidence->scores = likelihoods;
      return {};
    }
    if (!references_.empty()) {
      std::vector<std::vector<double>> references;
      for (const auto& reference : references_)
        references.push_back(tree.log_likelihoods(reference->edges()));
      prior_ = scoring.prior(references);
      context_.known_prior.keep(request_.selection, *prior_);
    }
    std::vector<double> scores =
        scoring.scores(likelihoods, prior_ ? *prior_ : std::vector<double>());
    if (extras_.evidence != nullptr) {
      extras_.evidence->scores = std::move(scores);
      return {};
    }
    scores = answer_from(context_, scores, answer);
    for (size_t i = 0; extras_.notes != nullptr && i < scores.size(); ++i)
      extras_.notes->labels.push_back(
          {tree.read_label(i, own_.edges()), scores[i], scores[i], likelihoods[i], std::nullopt});
    answer.label_log_probabilities = std::move(scores);
    return {};
  }

 private:
  const DecodingContext context_;
  const QueryRequest& request_;
  const AnswerExtras extras_;
  LikelihoodDecoding own_;
  std::vector<std::unique_ptr<LikelihoodDecoding>> references_;
  std::optional<std::vector<double>> prior_;
};

// All labels of the trie, where a temperature or a curve needs them.
class WholeTrieAnswer final : public AnswerDecoding {
 public:
  WholeTrieAnswer(const DecodingContext& context, std::span<const int32_t> ids, AnswerExtras extras)
      : context_(context), extras_(extras), whole_(*context.pool.trie, ids) {}

  std::vector<Decoding*> decodings() override { return {&whole_}; }

  Status finish(Answer& answer) override {
    std::vector<LabelReading> labels;
    std::vector<double> scores;
    for (size_t i = 0; i < context_.pool.pool.labels.size(); ++i) {
      labels.push_back(whole_.reading().read(static_cast<int32_t>(i)));
      scores.push_back(labels.back().log_probability.value());
    }
    if (extras_.evidence != nullptr) {
      extras_.evidence->scores = std::move(scores);
      return {};
    }
    scores = answer_from(context_, scores, answer);
    if (extras_.notes == nullptr) return {};
    for (size_t i = 0; i < scores.size(); ++i)
      labels[i].log_probability = labels[i].at_most = scores[i];  // the calibrated one
    extras_.notes->labels = std::move(labels);
    return {};
  }

 private:
  const DecodingContext context_;
  const AnswerExtras extras_;
  WholeTrieDecoding whole_;
};

// A walk to the best two labels: BestFirstDecoding or GreedyDecoding.
template <typename Walk>
class WalkAnswer final : public AnswerDecoding {
 public:
  WalkAnswer(const DecodingContext& context, std::span<const int32_t> ids, AnswerNotes* notes)
      : context_(context),
        notes_(notes),
        seen_(noted(context, notes)),
        walk_(*context.pool.trie, ids, seen_ ? &*seen_ : nullptr) {}

  std::vector<Decoding*> decodings() override { return {&walk_}; }

  Status finish(Answer& answer) override {
    const Decision& decision = walk_.decision();
    answer.label = named(decision.best);
    if (decision.runner_up) answer.runner_up = named(*decision.runner_up);
    if (notes_ == nullptr) return {};
    for (size_t i = 0; i < context_.pool.pool.labels.size(); ++i)
      notes_->labels.push_back(seen_->reading.read(static_cast<int32_t>(i)));
    return {};
  }

 private:
  static std::optional<TrieNotes> noted(const DecodingContext& context, AnswerNotes* notes) {
    if (notes == nullptr) return std::nullopt;
    return TrieNotes{TrieReading(*context.pool.trie), notes->label.value_or(-1)};
  }
  AnswerLabel named(const LabelScore& score) const {
    return {context_.pool.pool.labels[static_cast<size_t>(score.label)].text,
            score.log_probability};
  }

  const DecodingContext context_;
  AnswerNotes* notes_;
  std::optional<TrieNotes> seen_;
  Walk walk_;
};

std::vector<std::string> free_stops(const Settings& settings) {
  std::vector<std::string> stops = settings.decoding.stop;
  // The model may end after what a chat template ends a message with, the white space left out.
  const std::string& separator = settings.prompt.separator;
  stops.push_back(settings.prompt.chat
                      ? separator.substr(0, separator.find_last_not_of(" \t\r\n") + 1)
                      : separator);
  return stops;
}

// Free text.
class FreeAnswer final : public AnswerDecoding {
 public:
  FreeAnswer(const DecodingContext& context, std::span<const int32_t> ids, AnswerNotes* notes)
      : notes_(notes),
        free_(context.tokenizer,
              {free_stops(context.settings), context.model.eos_token_ids,
               context.settings.decoding.max_tokens},
              ids) {
    if (notes != nullptr && !notes->tokens.empty()) scoring_.emplace(notes->tokens, ids);
  }

  std::vector<Decoding*> decodings() override {
    std::vector<Decoding*> all = {&free_};
    if (scoring_) all.push_back(&*scoring_);
    return all;
  }

  Status finish(Answer& answer) override {
    Generated generated = free_.generated();
    answer.label = {std::move(generated.text), generated.log_probability};
    if (notes_ == nullptr) return {};
    notes_->labels.push_back({std::move(generated.tokens), generated.log_probability,
                              generated.log_probability, std::nullopt, std::nullopt});
    if (scoring_) notes_->log_probability_of_tokens = scoring_->log_probability();
    return {};
  }

 private:
  AnswerNotes* notes_;
  FreeDecoding free_;
  std::optional<TokenScoring> scoring_;
};

}  // namespace

std::optional<std::vector<double>> KnownPrior::find(const Selection& selection) const {
  const std::lock_guard lock(mutex_);
  if (query_start_ != selection.query_start || !same_place(selection.blocks, blocks_))
    return std::nullopt;
  return prior_;
}

void KnownPrior::keep(const Selection& selection, std::vector<double> prior) {
  const std::lock_guard lock(mutex_);
  blocks_ = selection.blocks;
  query_start_ = selection.query_start;
  prior_ = std::move(prior);
}

double DecodingContext::temperature() const {
  return calibration != nullptr ? calibration->temperature : settings.decoding.temperature;
}

bool DecodingContext::probabilities_change() const {
  return temperature() != 1 || (calibration != nullptr && calibration->curve);
}

std::unique_ptr<AnswerDecoding> make_decoding(const DecodingContext& context,
                                              const QueryRequest& request,
                                              std::span<const int32_t> ids, AnswerExtras extras) {
  if (context.pool.tree) return std::make_unique<LabelsAnswer>(context, request, ids, extras);
  if (!context.pool.trie) return std::make_unique<FreeAnswer>(context, ids, extras.notes);
  if (extras.evidence != nullptr || context.probabilities_change())
    return std::make_unique<WholeTrieAnswer>(context, ids, extras);
  if (context.settings.decoding.method == DecodingMethod::kTrie)
    return std::make_unique<WalkAnswer<BestFirstDecoding>>(context, ids, extras.notes);
  return std::make_unique<WalkAnswer<GreedyDecoding>>(context, ids, extras.notes);
}

int64_t longest_continuation(const Settings& settings, const OpenedPool& pool) {
  int64_t longest = 0;
  if (pool.tree)
    for (const TreeToken& row : pool.tree->rows())
      longest = std::max<int64_t>(longest, row.depth + 1);
  else if (pool.trie)
    for (const LabelTrie::Node& node : pool.trie->nodes())
      longest = std::max<int64_t>(longest, node.depth);
  else
    longest = settings.decoding.max_tokens;
  return longest;
}

// A tree is wider than it is long; of a trie, a walk takes a few requests' worth, and makes room
// for more where it needs them.
int64_t continuation_tokens(const Settings& settings, const OpenedPool& pool) {
  if (pool.tree) return static_cast<int64_t>(pool.tree->rows().size());
  if (settings.decoding.method == DecodingMethod::kTrie)
    return std::min<int64_t>(pool.trie->inner_count(), 4 * BestFirstWalk::kFirstTokens);
  return longest_continuation(settings, pool);
}

Answer vote(const OpenedPool& opened, const Selection& selection, AnswerNotes* notes) {
  const Pool& pool = opened.pool;
  struct Votes {
    int64_t count = 0;
    double best = -std::numeric_limits<double>::infinity();  // score of a block with such a label
  };
  std::map<int32_t, Votes> votes;
  int64_t all = 0;
  for (const SelectedBlock& selected : selection.blocks)
    for (const int64_t id : pool.blocks[static_cast<size_t>(selected.block)].demonstrations) {
      Votes& label = votes[pool.demonstration_labels[static_cast<size_t>(id)]];
      ++label.count;
      ++all;
      if (selected.score) label.best = std::max(label.best, *selected.score);
    }
  const auto share_of = [&](const Votes& label) {
    return std::log(static_cast<double>(label.count) / static_cast<double>(all));
  };
  if (notes != nullptr) {
    notes->labels.assign(pool.labels.size(), LabelReading{.votes = 0});
    for (const auto& [label, count] : votes) {
      LabelReading& reading = notes->labels[static_cast<size_t>(label)];
      reading.log_probability = reading.at_most = share_of(count);
      reading.votes = count.count;
    }
  }
  std::vector<std::pair<int32_t, Votes>> order(votes.begin(), votes.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second.count != b.second.count ? a.second.count > b.second.count
                                            : a.second.best > b.second.best;
  });
  const auto named = [&](const std::pair<int32_t, Votes>& label) {
    return AnswerLabel{pool.labels[static_cast<size_t>(label.first)].text, share_of(label.second)};
  };
  Answer answer;
  answer.label = named(order.at(0));
  if (order.size() > 1) answer.runner_up = named(order[1]);
  return answer;
}

}  // namespace dbsa
