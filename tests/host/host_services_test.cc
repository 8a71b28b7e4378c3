#include "host/host_services.h"

#include <dbsa/sdk/host.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include "host/plugin_call.h"

namespace dbsa::host {
namespace {

class Threads : public testing::TestWithParam<int> {};

// Ranges are disjoint, cover everything, and are at least a grain long except the last.
TEST_P(Threads, CoverEveryRange) {
  HostServices services({.threads = GetParam()});
  EXPECT_EQ(services.thread_count(), GetParam());
  for (const int64_t count : {0, 1, 2, 7, 64, 1000, 4097}) {
    for (const int64_t grain : {0, 1, 3, 64, 5000}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
      std::mutex mutex;
      std::vector<std::pair<int64_t, int64_t>> ranges;
      services.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        std::lock_guard lock(mutex);
        ranges.emplace_back(begin, end);
      });
      for (const auto& times : seen) ASSERT_EQ(times, 1) << count << " " << grain;
      for (const auto& [begin, end] : ranges) {
        ASSERT_LT(begin, end);
        if (end != count) {
          ASSERT_GE(end - begin, grain) << count << " " << grain;
        }
      }
    }
  }
}

TEST_P(Threads, MayNest) {
  HostServices services({.threads = GetParam()});
  std::atomic<int64_t> sum = 0;
  services.parallel_for(20, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      services.parallel_for(30, 1, [&](int64_t b, int64_t e) { sum += e - b; });
  });
  EXPECT_EQ(sum, 600);
}

TEST_P(Threads, PassExceptionsOn) {
  HostServices services({.threads = GetParam()});
  std::atomic<int> ran = 0;
  EXPECT_THROW(services.parallel_for(64, 1,
                                     [&](int64_t begin, int64_t end) {
                                       ran += static_cast<int>(end - begin);
                                       if (begin == 0) throw std::runtime_error("boom");
                                     }),
               std::runtime_error);
  EXPECT_EQ(ran, 64);
}

INSTANTIATE_TEST_SUITE_P(Counts, Threads, testing::Values(1, 2, 5));

// Two services at once, called from two threads each.
TEST(Threads, DoNotDisturbOthers) {
  HostServices first({.threads = 2});
  HostServices second({.threads = 3});
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (HostServices* services : {&first, &second, &first, &second})
    callers.emplace_back([&sum, services] {
      for (int i = 0; i < 50; ++i)
        services->parallel_for(100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 50 * 100);
}

TEST(HostServices, GiveAlignedScratchOfTheThread) {
  HostServices services({.threads = 2});
  std::set<void*> slots;
  for (int slot = 0; slot < 8; ++slot) {
    auto* memory = static_cast<char*>(services.scratch(slot, 100));
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
    for (int i = 0; i < 100; ++i) memory[i] = static_cast<char>(slot);
    slots.insert(memory);
  }
  EXPECT_EQ(slots.size(), 8u);
  // It is kept while it is large enough.
  EXPECT_EQ(services.scratch(3, 64), services.scratch(3, 1));
  EXPECT_NE(services.scratch(0, 0), nullptr);
  auto* larger = static_cast<char*>(services.scratch(3, 1 << 20));
  larger[(1 << 20) - 1] = 1;
  EXPECT_EQ(services.scratch(8, 1), nullptr);
  EXPECT_EQ(services.scratch(-1, 1), nullptr);
  EXPECT_EQ(services.scratch(0, UINT64_MAX), nullptr);
  EXPECT_EQ(services.scratch(0, UINT64_MAX / 4), nullptr);
  EXPECT_NE(services.scratch(0, 1), nullptr);  // a refusal does no harm

  void* of_other_thread = nullptr;
  void* own = services.scratch(5, 8);
  std::thread([&] { of_other_thread = services.scratch(5, 8); }).join();
  EXPECT_NE(own, of_other_thread);
}

TEST(HostServices, LogAboveTheLevel) {
  std::vector<std::string> lines;
  HostServices services(
      {.threads = 1, .log_level = LogLevel::kInfo, .log_sink = [&](LogLevel level, auto text) {
         lines.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(text));
       }});
  const Host host(services.abi());
  host.log_debug("unseen");
  host.log_info("100 % {} done");
  host.log_warning("odd");
  services.abi()->log(services.abi()->context, 99, "worse");
  services.abi()->log(services.abi()->context, DBSA_LOG_ERROR, nullptr);
  EXPECT_EQ(lines, (std::vector<std::string>{"1 100 % {} done", "2 odd", "3 worse", "3 "}));
}

TEST(HostServices, TellWhenToStop) {
  HostServices services({.threads = 1});
  const Host host(services.abi());
  EXPECT_FALSE(host.cancelled());
  services.request_cancel();
  EXPECT_TRUE(host.cancelled());
  EXPECT_TRUE(services.cancelled());
}

TEST(HostServices, OpenPluginsWhereSomethingDoes) {
  HostServices services({.threads = 1});
  const auto open = [&](const char* config, const dbsa_plugin_table** table, void** instance) {
    dbsa_error error = {};
    error.struct_size = sizeof error;
    services.abi()->open_plugin(services.abi()->context, DBSA_KIND_RETRIEVER, config, table,
                                instance, &error);
    return error;
  };
  const dbsa_plugin_table* table = nullptr;
  void* instance = nullptr;
  const dbsa_error none = open("{}", &table, &instance);
  EXPECT_EQ(none.code, DBSA_ERROR_UNSUPPORTED);
  EXPECT_STREQ(none.message, "no plugin can be opened here");

  dbsa_plugin_table made = {};
  services.set_plugin_opener(
      [&](uint32_t kind, const std::string& config) -> Result<HostServices::Opened> {
        if (kind != DBSA_KIND_RETRIEVER || config != "{}")
          return Error{ErrorCode::kConfig, "k1 is odd", "/k1"};
        return HostServices::Opened{&made, &made};
      });
  EXPECT_EQ(open("{}", &table, &instance).code, DBSA_OK);
  EXPECT_EQ(table, &made);
  EXPECT_EQ(instance, &made);
  const dbsa_error refused = open("{\"k1\":1}", &table, &instance);
  EXPECT_EQ(refused.code, DBSA_ERROR_CONFIG);
  EXPECT_STREQ(refused.message, "k1 is odd");
  EXPECT_STREQ(refused.config_pointer, "/k1");
}

// What a plugin's loop does on other threads is still its call, for messages about a crash.
TEST(PluginCall, GoesAlongToTheThreadsOfALoop) {
  HostServices services({.threads = 4});
  const LoadedPlugin plugin{"test.outer", "/outer.so", nullptr},
      inner{"test.inner", "/i.so", nullptr};
  EXPECT_EQ(current_plugin_call().id, nullptr);
  {
    const PluginCallScope scope(plugin, "query");
    std::atomic<int64_t> wrong = 0;
    services.parallel_for(1000, 1, [&](int64_t begin, int64_t end) {
      if (current_plugin_call().id != plugin.id.c_str()) wrong += end - begin;
      const PluginCallScope nested(inner, "embed");
      if (std::string_view(current_plugin_call().function) != "embed") wrong += end - begin;
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_STREQ(current_plugin_call().function, "query");
  }
  EXPECT_EQ(current_plugin_call().id, nullptr);
  services.parallel_for(1000, 1, [&](int64_t, int64_t) {
    EXPECT_EQ(current_plugin_call().id, nullptr) << "left behind in a thread";
  });
}

}  // namespace
}  // namespace dbsa::host
