#include "bench/support/bench.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "config/atomic_file.h"
#include "config/stopwatch.h"
#include "pipeline/record/machine.h"

DEFINE_string(json, "", "write the figures to this file, too");
DEFINE_int32(threads, 0, "threads; 0: as many as this process may use");
DEFINE_double(seconds, 1.0, "how long each figure is measured, about");

namespace dbsa::bench {
namespace {

std::optional<double> share_of(const Row& row) {
  if (!row.ceiling || *row.ceiling <= 0 || row.value <= 0) return {};
  return row.less_is_better ? *row.ceiling / row.value : row.value / *row.ceiling;
}

nlohmann::ordered_json to_json(const Row& row) {
  nlohmann::ordered_json json = {{"name", row.name}, {"value", row.value}, {"unit", row.unit}};
  if (row.ceiling) {
    json["ceiling"] = *row.ceiling;
    json["ceiling_name"] = row.ceiling_name;
  }
  if (const auto share = share_of(row)) json["share"] = *share;
  if (row.goal) json["goal"] = *row.goal;
  return json;
}

}  // namespace

Timing measure(const std::function<void()>& body, const std::function<void()>& finish) {
  // Samples of 5 ms at least: what takes less is run several times in each.
  constexpr double kSample = 5e-3;
  const auto wait = [&] {
    if (finish) finish();
  };
  body();
  wait();
  int64_t calls = 1;
  const auto sample = [&] {
    const Stopwatch clock;
    for (int64_t i = 0; i < calls; ++i) body();
    wait();
    return clock.seconds();
  };
  for (double once = sample(); once < kSample; once = sample())
    calls = std::max(calls * 2, static_cast<int64_t>(static_cast<double>(calls) * kSample / once));
  std::vector<double> seconds;
  for (double total = 0; total < FLAGS_seconds || seconds.size() < 5;) {
    const double took = sample();
    total += took;
    seconds.push_back(took / static_cast<double>(calls));
  }
  return {*std::min_element(seconds.begin(), seconds.end()), median(seconds)};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void give_up(const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(4);
}

void must(const Status& status) {
  if (!status.ok()) give_up(status.error().message);
}

host::HostOptions quiet_options(int threads) {
  host::HostOptions options;
  options.threads = threads;
  options.log_level = host::LogLevel::kWarning;
  return options;
}

Report::Report(const std::string& program, const std::string& title, int* argc, char*** argv)
    : program_(program) {
  gflags::SetUsageMessage(title);
  gflags::ParseCommandLineFlags(argc, argv, true);
  if (*argc > 1) give_up(program + ": unexpected argument " + (*argv)[1] + "; see --help");
  const MachineInfo machine = machine_info();
  threads_ = FLAGS_threads > 0 ? FLAGS_threads : static_cast<int>(machine.cores);
  std::printf("%s\n%s, %d of %lld cores\n\n", title.c_str(), machine.cpu.c_str(), threads_,
              static_cast<long long>(machine.cores));
  std::printf("%-52s %12s %-9s %12s %7s\n", "", "measured", "", "ceiling", "share");
}

void Report::note(const std::string& key, const nlohmann::json& value) { notes_[key] = value; }

void Report::add(const Row& row) {
  std::printf("%-52s %12.4g %-9s", row.name.c_str(), row.value, row.unit.c_str());
  if (row.ceiling) std::printf(" %12.4g", *row.ceiling);
  if (const auto share = share_of(row)) {
    std::printf(" %6.1f%%", 100 * *share);
    if (row.goal)
      std::printf("  %s %.0f%%", *share >= *row.goal ? "reaches" : "misses", 100 * *row.goal);
  }
  if (!row.ceiling_name.empty()) std::printf("  of %s", row.ceiling_name.c_str());
  std::printf("\n");
  std::fflush(stdout);
  rows_.push_back(row);
}

int Report::finish() const {
  if (FLAGS_json.empty()) return 0;
  const MachineInfo machine = machine_info();
  nlohmann::ordered_json json = {
      {"program", program_},
      {"machine",
       {{"cpu", machine.cpu}, {"cores", machine.cores}, {"memory_bytes", machine.memory_bytes}}},
      {"threads", threads_},
      {"notes", notes_},
      {"rows", nlohmann::json::array()}};
  for (const Row& row : rows_) json["rows"].push_back(to_json(row));
  must(write_file_atomically(FLAGS_json, json.dump(1) + "\n"));
  return 0;
}

}  // namespace dbsa::bench
