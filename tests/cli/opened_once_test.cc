// A run reads each data file once: the kernel counts.
#include <sys/inotify.h>
#include <unistd.h>

#include <map>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

// How often files are opened, as long as it lives.
class Opens {
 public:
  explicit Opens(const std::vector<std::string>& paths) : queue_(::inotify_init1(IN_NONBLOCK)) {
    for (const std::string& path : paths)
      files_[::inotify_add_watch(queue_, path.c_str(), IN_OPEN)] = path;
  }
  ~Opens() { ::close(queue_); }
  Opens(const Opens&) = delete;
  Opens& operator=(const Opens&) = delete;

  std::map<std::string, int> count() {
    std::map<std::string, int> counts;
    alignas(inotify_event) char buffer[4096];
    for (ssize_t bytes; (bytes = ::read(queue_, buffer, sizeof buffer)) > 0;)
      for (ssize_t at = 0; at < bytes;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        ++counts[files_.at(event->wd)];
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    return counts;
  }

 private:
  int queue_;
  std::map<int, std::string> files_;
};

class OpenedOnce : public CliTest {};

TEST_F(OpenedOnce, ByARunWithAndWithoutATable) {
  const std::string pipeline = make_pipeline();
  const std::string pool = path("pool.jsonl"), queries = path("queries.jsonl");
  for (const std::vector<std::string>& more :
       {std::vector<std::string>(), {"--answers", path("answers.jsonl")}}) {
    Opens opens({pool, queries});
    std::vector<std::string> words = {"run", pipeline, "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    ASSERT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(opens.count(), (std::map<std::string, int>{{pool, 1}, {queries, 1}}));
  }
}

TEST_F(OpenedOnce, ByEncoding) {
  const std::string pipeline = make_pipeline();
  Opens opens({path("pool.jsonl")});
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  EXPECT_EQ(opens.count(), (std::map<std::string, int>{{path("pool.jsonl"), 1}}));
}

}  // namespace
}  // namespace dbsa
