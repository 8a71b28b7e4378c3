#include "pipeline/record/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "config/absolute_path.h"
#include "config/json_text.h"
#include "config/read_file.h"

namespace dbsa {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kJournalVersion = 2;
constexpr std::string_view kJournalEnd = ".journal.jsonl";

std::string line_text(const ordered_json& line) {
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// ---- an answer as JSON, and back ---------------------------------------------------------------

// As in a record, but every number with all its digits.
ordered_json exact_answer(const Answer& answer) {
  ordered_json out = answer_to_json(answer);
  ordered_json scores = ordered_json::array();
  for (const double score : answer.label_log_probabilities)
    scores.push_back(std::isfinite(score) ? ordered_json(score) : ordered_json(nullptr));
  out["label_log_probabilities"] = std::move(scores);
  return out;
}

// A record has null for what is not finite, whichever it was.
double number(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

AnswerLabel read_label(const json& value) {
  return {value.at("label").get<std::string>(), number(value.at("log_probability"))};
}

// As KvKey::hex() writes it. Throws what nlohmann throws.
KvKey read_key(const json& value) {
  const auto& text = value.get_ref<const std::string&>();
  KvKey key;
  bool sound = text.size() == 2 * key.bytes.size();
  for (size_t i = 0; sound && i < text.size(); ++i) {
    const size_t digit = std::string_view("0123456789abcdef").find(text[i]);
    sound = digit != std::string_view::npos;
    key.bytes[i / 2] = static_cast<uint8_t>(key.bytes[i / 2] << 4 | (digit & 15));
  }
  if (!sound) throw json::other_error::create(501, "not a block's key: " + text, &value);
  return key;
}

// Throws what nlohmann throws.
Answer read_answer(const json& value) {
  Answer answer;
  answer.abstained = value.at("label").is_null();
  answer.label = {value.at(answer.abstained ? "abstained_label" : "label").get<std::string>(),
                  number(value.at("log_probability"))};
  if (!value.at("runner_up").is_null()) answer.runner_up = read_label(value.at("runner_up"));
  for (const json& score : value.at("label_log_probabilities"))
    answer.label_log_probabilities.push_back(number(score));
  for (const json& block : value.at("blocks")) {
    AnswerBlock& read = answer.blocks.emplace_back();
    read.block = block.at("block");
    if (!block.at("score").is_null()) read.score = block.at("score").get<double>();
    read.start = block.at("start");
    read.tokens = block.at("tokens");
    read.key = read_key(block.at("key"));
  }
  answer.query_tokens = value.at("tokens").at("query");
  answer.selected_tokens = value.at("tokens").at("selected");
  answer.cut_tokens = value.at("tokens").at("cut");
  answer.blocks_rebuilt = value.at("blocks_rebuilt");
  answer.kv_loaded = {value.at("kv_loaded").at("bytes"),
                      value.at("kv_loaded").at("all_layers_bytes")};
  const json& seconds = value.at("seconds");
  for (size_t step = 0; step < kAnswerSteps.size(); ++step)
    answer.seconds.steps[step] = seconds.at(kAnswerSteps[step]);
  return answer;
}

std::optional<ItemError> read_error(const json& value) {
  const std::string code = value.at("code");
  for (const ItemFault fault : kAllItemFaults)
    if (code == item_fault_name(fault))
      return ItemError{fault, value.at("message").get<std::string>()};
  return {};
}

// The line of this query; nothing where it is another's, or damaged.
std::optional<JournalEntry> read_entry(std::string_view text, const Row& query) {
  json line;
  if (parse_json(text, line)) return {};
  try {
    if (line.at("line") != query.example.line) return {};
    JournalEntry entry;
    entry.answer_seconds = line.at("answer_seconds");
    if (!line.contains("error")) {
      entry.outcome = read_answer(line.at("answer"));
      return entry;
    }
    std::optional<ItemError> error = read_error(line.at("error"));
    if (!error) return {};
    entry.outcome = *std::move(error);
    return entry;
  } catch (const json::exception&) {
    return {};
  }
}

// ---- the file ----------------------------------------------------------------------------------

// Opened and locked.
Result<Descriptor> open_locked(const std::string& path) {
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // A name that is a FIFO must not be waited for.
    Descriptor file(uninterrupted([&] {
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                    0666);
    }));
    struct stat info = {};
    if (!file.valid() || ::fstat(file.get(), &info) != 0) return file_error(path, "open", errno);
    if (!S_ISREG(info.st_mode))
      return Error{ErrorCode::kEnvironment, path + ": expected a regular file, found another kind",
                   ""};
    // A file system without locks has the journal all the same.
    if (lock_file(file.get(), LOCK_EX | LOCK_NB) == EWOULDBLOCK)
      return Error{ErrorCode::kEnvironment,
                   path + ": another run is answering the same queries now", ""};
    // Whoever held it may have removed it.
    if (has_name(file.get(), path)) return file;
  }
  return Error{ErrorCode::kEnvironment, path + ": it is removed as often as it is made", ""};
}

std::optional<DemonstrationChange> change_from_json(const json& change) {
  if (change.is_null()) return std::nullopt;
  return DemonstrationChange{change.at("edited_lines").get<std::vector<int64_t>>(),
                             change.at("added").get<int64_t>(),
                             change.at("removed").get<int64_t>()};
}

ordered_json encoded_to_json(const EncodeReport& encode) {
  return {{"blocks_encoded", encode.blocks_encoded},
          {"tokens_encoded", encode.tokens_encoded},
          {"bytes_stored", encode.bytes_stored},
          {"blocks_rebuilt", encode.blocks_rebuilt},
          {"edit", change_to_json(encode.estimate.change)},
          {"encoded_because", reasons_to_json(encode.estimate.reasons)},
          {"index_reused", encode.index_reused},
          {"setup_seconds", encode.setup_seconds},
          {"encode_seconds", encode.encode_seconds}};
}

}  // namespace

Result<Journal> Journal::open(const std::string& path, const std::string& identity,
                              const EncodeReport& encode, std::span<const Row> queries,
                              bool fresh) {
  DBSA_ASSIGN_OR_RETURN(Descriptor file, open_locked(path));
  Journal journal(path, std::move(file));
  if (!fresh) journal.read(identity, queries);
  const auto end = static_cast<off_t>(journal.bytes_);
  if (uninterrupted([&] { return ::ftruncate(journal.file_.get(), end); }) != 0)
    return file_error(path, "cut off what is not whole", errno);
  if (journal.bytes_ == 0)
    DBSA_RETURN_IF_ERROR(journal.write(line_text({{"journal", kJournalVersion},
                                                  {"run", identity},
                                                  {"queries", queries.size()},
                                                  {"encode", encoded_to_json(encode)}})));
  return journal;
}

// Takes the header and the lines after it, up to the first that is not whole.
void Journal::read(const std::string& identity, std::span<const Row> queries) {
  const Result<FileText> file = read_file(path_, kMaxRecordFileBytes);
  if (!file.ok()) return;
  std::string_view rest = file->text;
  const auto next = [&](std::string_view& line) {
    const size_t end = rest.find('\n');
    if (end == rest.npos) return false;
    line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return true;
  };
  std::string_view line;
  json header;
  if (!next(line) || parse_json(line, header) || !header.is_object() ||
      header.value("journal", json()) != kJournalVersion ||
      !header.value("encode", json()).is_object())
    return;
  if (header.value("run", json()) != identity) {
    was_of_another_ = next(line);
    return;
  }
  header_ = std::move(header);
  bytes_ = line.size() + 1;
  while (entries_.size() < queries.size() && next(line)) {
    std::optional<JournalEntry> entry = read_entry(line, queries[entries_.size()]);
    if (!entry) return;
    entries_.push_back(*std::move(entry));
    bytes_ += line.size() + 1;
  }
}

void Journal::add_encoded(EncodeReport& report) const {
  if (header_.is_null()) return;
  try {
    const json& before = header_.at("encode");
    report.blocks_encoded += before.at("blocks_encoded").get<int64_t>();
    report.tokens_encoded += before.at("tokens_encoded").get<int64_t>();
    report.bytes_stored += before.at("bytes_stored").get<uint64_t>();
    report.blocks_rebuilt += before.at("blocks_rebuilt").get<int64_t>();
    const json& because = before.at("encoded_because");
    EncodeReasons& reasons = report.estimate.reasons;
    for (const auto& [name, count] : named_counts(reasons))
      *count += because.at(name).get<int64_t>();
    report.estimate.change = change_from_json(before.at("edit"));
    report.index_reused = before.at("index_reused").get<bool>();
    report.setup_seconds += before.at("setup_seconds").get<double>();
    report.encode_seconds += before.at("encode_seconds").get<double>();
  } catch (const json::exception&) {
    return;  // figures of a header that was edited
  }
}

Status Journal::append(const Row& query, const JournalEntry& entry) {
  if (!file_.valid()) return {};
  ordered_json line = {{"line", query.example.line}, {"answer_seconds", entry.answer_seconds}};
  if (const Answer* answer = std::get_if<Answer>(&entry.outcome))
    line["answer"] = exact_answer(*answer);
  else
    line["error"] = item_error_to_json(std::get<ItemError>(entry.outcome));
  return write(line_text(line));
}

Status Journal::write(std::string_view line) {
  for (std::string_view left = line; !left.empty();) {
    const ssize_t written =
        uninterrupted([&] { return ::write(file_.get(), left.data(), left.size()); });
    if (written > 0) {
      left.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    const int code = written < 0 ? errno : ENOSPC;
    // What was written of the line would hide all that follows it.
    (void)::ftruncate(file_.get(), static_cast<off_t>(bytes_));
    file_.close();
    return file_error(path_, "write", code);
  }
  bytes_ += line.size();
  return {};
}

Status Journal::sync() {
  if (!file_.valid()) return {};
  if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0)
    return file_error(path_, "sync", errno);
  return sync_folder(std::filesystem::path(absolute_path(path_)).parent_path().string());
}

Status Journal::remove() {
  if (::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
  const int code = errno;
  if (::truncate(path_.c_str(), 0) == 0) return {};
  return file_error(path_, "remove", code);
}

std::string journal_path(const std::string& directory, const std::string& pipeline_path,
                         const std::string& identity) {
  return directory + "/" + std::filesystem::path(pipeline_path).stem().string() + "-" +
         identity.substr(0, 16) + std::string(kJournalEnd);
}

std::string table_journal_path(const std::string& table) {
  return table + std::string(kJournalEnd);
}

bool is_journal_name(std::string_view name) { return name.ends_with(kJournalEnd); }

}  // namespace dbsa
