// dbsa-pipe explain: what a pipeline will do, before it does it.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>

#include "commands.h"
#include "commands/explain_cost.h"
#include "commands/explain_query.h"
#include "commands/explain_time.h"
#include "commands/findings.h"
#include "config/absolute_path.h"
#include "config/atomic_file.h"
#include "config/path_kind.h"
#include "config/schema_check.h"
#include "icl/prompt.h"
#include "json_output.h"
#include "model/checkpoint/weights.h"
#include "model/decoder/decoder.h"
#include "options.h"
#include "report/mask_picture.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine explain_command_line() {
  CommandLine line({"explain", "PIPELINE",
                    "Show what a pipeline will do, or why a text gets its answer.",
                    "Deals and tokenises the demonstrations as `run` would and plans every block; "
                    "answers nothing.\n"
                    "How long it takes is estimated from passes of a fraction of a second, on this "
                    "machine and backend.\n"
                    "Work is counted in floating-point operations of matrix products and of "
                    "attention, a multiply\nand an add being two.\n\n"
                    "With --query a text is answered from the encoded pool, as `query` answers it, "
                    "and shown with\nwhat it came of: its prompt as text and tokens, how the "
                    "retriever ranks the blocks and for which\nwords, what the chosen blocks "
                    "hold, and what the model makes of each label. --json has all of it.",
                    "dbsa-pipe explain pipelines/quickstart.toml\n"
                    "dbsa-pipe explain pipeline.toml --mask mask.svg\n"
                    "dbsa-pipe explain pipeline.toml --set 'mask_pattern={plugin=\"self\"}' "
                    "--json\n"
                    "dbsa-pipe explain pipeline.toml --query \"my card has not arrived\" "
                    "--without-each"});
  line.arguments({"PIPELINE"}, 1);
  add_pipeline_options(line);
  line.value("mask", "FILE", "draw the mask into this SVG file, in a folder that is there");
  line.flag("skip-time", "do not measure how long the work takes on this machine");
  line.value("query", "TEXT", "answer this text from the encoded pool, and show why");
  line.flag("without-each",
            "with --query: also what the answer's label gets without each chosen block, one by "
            "one; an answer each");
  line.flag("prompt", "with --query: the text and the tokens of the chosen blocks, too");
  add_output_options(line);
  return line;
}
namespace {

// Tokens of a query, its prompt included: the mean over those of the file; 0 where it has none.
Result<int64_t> mean_query_tokens(const Findings& found) {
  int64_t tokens = 0, count = 0;
  const PromptFormat format = prompt_format(found.settings.prompt);
  for (const Row& query : found.data.queries) {
    if (query.error) continue;
    DBSA_ASSIGN_OR_RETURN(
        const std::vector<int32_t> ids,
        tokenize_with(*found.tokenizer, format.chat)(write_query(format, query.example.text)));
    tokens += static_cast<int64_t>(ids.size());
    ++count;
  }
  return count == 0 ? 0 : tokens / count;
}

std::string human_work(double operations) {
  std::string text = human_count(std::llround(operations / 1e9)) + " GFLOP";
  if (operations < 1e10) text = human_rate(operations / 1e9) + " GFLOP";
  if (operations >= 1e14) text = human_count(std::llround(operations / 1e12)) + " TFLOP";
  return text;
}

using nlohmann::ordered_json;

ordered_json model_json(const Findings& found, const PipelineCost& cost) {
  const ModelConfig& model = found.model;
  ordered_json shape = {{"family", model.model_type},
                        {"parameters", parameter_count(model)},
                        {"layers", model.layers},
                        {"hidden_size", model.hidden_size},
                        {"intermediate_size", model.intermediate_size},
                        {"heads", model.heads},
                        {"kv_heads", model.kv_heads},
                        {"head_dim", model.head_dim},
                        {"vocab_size", model.vocab_size},
                        {"max_positions", model.max_positions},
                        {"weight_bytes", cost.weight_bytes},
                        {"compute", compute_name(found.precision)}};
  if (model.experts.count > 0)
    shape["experts"] = {{"count", model.experts.count},
                        {"used", model.experts.used},
                        {"intermediate_size", model.experts.intermediate_size}};
  return shape;
}

ordered_json work_json(const Operations& work) {
  return {{"linear_flop", work.linear}, {"attention_flop", work.attention}};
}

ordered_json encode_json(const PipelineCost& cost) {
  ordered_json windows = ordered_json::array();
  for (const WindowLayers& alike : cost.windows)
    windows.push_back({{"window", alike.window}, {"layers", alike.layers}, {"pairs", alike.pairs}});
  return {{"pairs", cost.pairs},
          {"dense_pairs", cost.dense_pairs},
          {"windows", std::move(windows)},
          {"work", work_json(cost.encode)}};
}

ordered_json time_to_json(const std::optional<PipelineTime>& time, const Findings& found) {
  if (!time) return nullptr;
  const auto queries = static_cast<double>(found.data.queries.size());
  return {{"encode_seconds", time->encode_seconds},
          {"request_seconds", time->request_seconds},
          {"queries_seconds", time->request_seconds * queries},
          {"measured_seconds", time->measured_seconds},
          {"measured_layers", time->measured_layers}};
}

ordered_json to_json(const Session& session, const Findings& found, const PipelineCost& cost,
                     const std::optional<PipelineTime>& time) {
  return {{"config", ordered_json(session.resolved().json)},
          {"model", model_json(found, cost)},
          {"pool",
           {{"demonstrations", found.data.demonstrations().size()},
            {"labels", found.data.labels().size()},
            {"blocks", cost.blocks},
            {"tokens", cost.tokens},
            {"shortest_block", cost.shortest},
            {"longest_block", cost.longest},
            {"kv_bytes", cost.kv_bytes}}},
          {"encode", encode_json(cost)},
          {"request",
           {{"queries", found.data.queries.size()},
            {"query_tokens", cost.query_tokens},
            {"selected_blocks", cost.selected_blocks},
            {"selected_tokens", cost.selected_tokens},
            {"kv_loaded",
             {{"bytes", cost.kv_loaded_bytes}, {"all_layers_bytes", cost.kv_all_layers_bytes}}},
            {"work", work_json(cost.request)}}},
          {"time", time_to_json(time, found)}};
}

void print_request(const Findings& found, const PipelineCost& cost, Terminal& terminal) {
  if (found.settings.decoding.method == DecodingMethod::kVote) {
    terminal.out("request    nothing is computed: the labels of " +
                 counted(cost.selected_blocks, "block") + " vote");
    return;
  }
  const bool again = found.settings.recompute;
  std::string before;
  if (cost.selected_blocks > 0)
    before = (again ? ", and " : ", over ") + counted(cost.selected_blocks, "block") +
             " of about " + counted(cost.selected_tokens, "token") +
             (again ? " computed again" : "");
  terminal.out("request    " + human_work(cost.request.total()) + ": a query of " +
               counted(cost.query_tokens, "token") + before);
  if (cost.kv_loaded_bytes < cost.kv_all_layers_bytes)
    terminal.out("           loads " + human_bytes(cost.kv_loaded_bytes) + " of their " +
                 human_bytes(cost.kv_all_layers_bytes) +
                 " of keys and values: windows reach no "
                 "farther");
}

void print(const Session& session, const Findings& found, const PipelineCost& cost,
           Terminal& terminal) {
  Table stages({{"stage"}, {"plugin"}, {"does"}});
  for (const host::ResolvedStage& stage : session.resolved().stages)
    stages.add({std::string(host::kind_name(stage.kind)),
                session.registry().name_of(*stage.manifest), stage.manifest->summary});
  stages.print(terminal);
  const ModelConfig& m = found.model;
  terminal.out("");
  terminal.out("model      " + m.model_type + ": " + counted(parameter_count(m), "parameter") +
               ", " + human_bytes(cost.weight_bytes) +
               (found.precision.quantised ? " of quantised weights" : " of weights"));
  terminal.out("           " + counted(m.layers, "layer") + ", hidden " +
               human_count(m.hidden_size) + ", feed-forward " + human_count(m.intermediate_size) +
               ", " + counted(m.heads, "head") + " of " + std::to_string(m.head_dim) + " over " +
               counted(m.kv_heads, "KV head") + ", vocabulary " + human_count(m.vocab_size));
  if (m.experts.count > 0)
    terminal.out("           " + counted(m.experts.count, "expert") + " of " +
                 human_count(m.experts.intermediate_size) + ", of which a token gets " +
                 std::to_string(m.experts.used));
  terminal.out("pool       " +
               counted(static_cast<int64_t>(found.data.demonstrations().size()), "demonstration") +
               " in " + counted(cost.blocks, "block") + ", " + counted(cost.tokens, "token") +
               (cost.blocks > 0 ? " (" + human_count(cost.shortest) + " to " +
                                      human_count(cost.longest) + " a block)"
                                : ""));
  if (is_zero_shot(found.settings.selection)) {
    terminal.out("encode     nothing: the query alone is the prompt");
  } else if (uses_stored_kv(found.settings)) {
    terminal.out("KV         " + human_bytes(cost.kv_bytes));
    terminal.out("encode     " + human_work(cost.encode.total()) + ": linear layers " +
                 human_work(cost.encode.linear) + ", attention " +
                 human_work(cost.encode.attention));
    const double share = cost.dense_pairs > 0 ? static_cast<double>(cost.pairs) /
                                                    static_cast<double>(cost.dense_pairs)
                                              : 0;
    terminal.out("           the mask shows " + human_ratio(share) + " of what a dense one would");
    for (const WindowLayers& alike : cost.windows)
      if (alike.pairs < cost.pairs)
        terminal.out(
            "           " + counted(alike.layers, "layer") + " with a window of " +
            counted(alike.window, "token") + " see " +
            human_ratio(static_cast<double>(alike.pairs) / static_cast<double>(cost.pairs)) +
            " of that");
  } else {
    terminal.out("encode     nothing: no stored keys and values are used");
  }
  print_request(found, cost, terminal);
  terminal.out("queries    " + human_count(static_cast<int64_t>(found.data.queries.size())));
}

// Loading, retrieval and the disk come on top.
void print_time(const Findings& found, const PipelineTime& time, Terminal& terminal) {
  if (time.measured_layers == 0) return;  // nothing is computed
  const auto queries = static_cast<int64_t>(found.data.queries.size());
  std::vector<std::string> parts;
  if (time.encode_seconds > 0) parts.push_back("encode " + human_seconds(time.encode_seconds));
  if (time.request_seconds > 0) {
    parts.push_back("a request " + human_seconds(time.request_seconds));
    if (queries > 0)
      parts.push_back(counted_queries(queries) + " " +
                      human_seconds(time.request_seconds * static_cast<double>(queries)));
  }
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  terminal.out("time       about " + text + " on this machine: an");
  terminal.out("           estimate from " + human_seconds(time.measured_seconds) + " of " +
               (time.measured_layers == found.model.layers
                    ? std::string("the model")
                    : "its first " + counted(time.measured_layers, "layer")) +
               "; loading and the disk are not in it");
}

Status draw_mask(const Findings& found, const PipelineCost& cost, const std::string& path) {
  MaskPicture picture;
  picture.anchor_blocks = found.pool->anchor_blocks;
  for (const EncodeBlock& block : found.pool->blocks) {
    picture.block_lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
    std::vector<Visible>& segments = picture.visible.emplace_back();
    for (const PlacedSegment& segment : block.plan.segments) segments.push_back(segment.visible);
  }
  const PoolShape shape = {picture.block_lengths, found.pool->anchor_blocks,
                           found.pool->pool.has_prefix};
  // A selection of the size that queries get; which blocks it names differs from query to query.
  const int64_t documents = cost.blocks - (shape.has_prefix ? 1 : 0);
  int64_t step = 7;
  while (documents > 0 && std::gcd(step, documents) > 1) ++step;  // so that each one is named once
  std::vector<Hit> spread;
  for (int64_t i = 0; i < documents; ++i)
    spread.push_back({(i * step + documents / 2) % documents, 0});
  DBSA_ASSIGN_OR_RETURN(const Selection selection,
                        select_blocks(found.settings.selection, shape, spread));
  MaskPicture::Answer answer;
  answer.query_tokens = cost.query_tokens;
  for (const SelectedBlock& block : selection.blocks) answer.blocks.push_back(block.block);
  picture.answer = std::move(answer);
  return write_file_atomically(absolute_path(path), mask_svg(picture));
}

// Before anything is computed.
Status check_mask_name(const std::string& name) {
  if (!name.ends_with(".svg"))
    return Error{ErrorCode::kConfig,
                 "--mask: expected a name that ends in .svg, found " + in_quotes(name), ""};
  const std::string folder = std::filesystem::path(absolute_path(name)).parent_path().string();
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(folder));
  if (kind == PathKind::kFolder) return {};
  return Error{ErrorCode::kEnvironment,
               "--mask " + name + ": " +
                   (kind == PathKind::kNothing ? "no such folder: " + folder
                                               : "must be in a folder, " + folder + " is none") +
                   "; make the folder, or name another file",
               ""};
}

// Options that say nothing beside the others.
Status check_explain_options(const CommandLine& line) {
  const bool asks = line.has("query");
  for (const char* of_query : {"without-each", "prompt"})
    if (line.has(of_query) && !asks)
      return Error{ErrorCode::kConfig,
                   std::string("--") + of_query + ": needs --query, the text to explain", ""};
  if (line.has("mask") && asks)
    return Error{ErrorCode::kConfig, "--mask: shows a pipeline, not a query; leave out --query",
                 ""};
  return {};
}

Status explain_pipeline(Session& session, const CommandLine& line, Terminal& terminal) {
  DBSA_RETURN_IF_ERROR(check_explain_options(line));
  if (line.has("query")) return explain_query(session, line, terminal);
  if (line.has("mask")) DBSA_RETURN_IF_ERROR(check_mask_name(line.text("mask")));
  set_phase("laying out the pool");
  DBSA_ASSIGN_OR_RETURN(const Findings found, find_out(session, Written::kNothing));
  if (!found.pool)
    return Error{ErrorCode::kConfig,
                 "the blocks or the index of this pipeline need embeddings, which explain does "
                 "not compute; set embedding.method = \"none\" and plugins that need none",
                 "/embedding/method"};
  DBSA_ASSIGN_OR_RETURN(const int64_t query_tokens, mean_query_tokens(found));
  const PipelineCost cost = pipeline_cost(session, found, query_tokens);
  if (line.has("mask")) {
    DBSA_RETURN_IF_ERROR(draw_mask(found, cost, line.text("mask")));
    terminal.note("drew       " + line.text("mask"));
  }
  std::optional<PipelineTime> time;
  if (!line.has("skip-time")) {
    set_phase("measuring the model");
    terminal.set_progress("measuring the model ...");
    Result<PipelineTime> measured = measure_time(session, found, cost);
    terminal.set_progress("");
    if (measured.ok())
      time = *measured;
    else if (measured.error().code == ErrorCode::kCancelled)
      return std::move(measured).error();
    else
      terminal.warning("how long it takes could not be measured: " + measured.error().message);
  }
  if (line.has("json")) {
    print_document("plan", to_json(session, found, cost, time), terminal);
    return {};
  }
  print(session, found, cost, terminal);
  if (time) print_time(found, *time, terminal);
  return {};
}

}  // namespace

int explain_command(Words words, Terminal& terminal) {
  CommandLine line = explain_command_line();
  return with_session(line, words, terminal, explain_pipeline);
}

}  // namespace dbsa::cli
