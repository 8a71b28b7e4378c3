// dbsa-pipe sweep --launcher slurm with Slurm itself: a controller and one node in a folder of the
// test. Skipped where Slurm is not installed, or cannot start.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "tests/sweep/sweep_fixture.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

class RealSlurm : public SweepTest {
 protected:
  void SetUp() override {
    for (const char* program : {"/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch"})
      if (!fs::exists(program)) GTEST_SKIP() << program << " is not there: package slurm-wlm";
    if (::geteuid() != 0) GTEST_SKIP() << "slurmd runs as root alone";
    write_configuration();
    const std::string file = path("slurm.conf");
    // -D: in the foreground, so that they end with the test.
    controller_ = std::make_unique<Process>(
        Words{"/bin/sh", "-c", "exec \"$@\" > \"$0\" 2>&1", path("controller.txt"),
              "/usr/sbin/slurmctld", "-D", "-f", file},
        options());
    node_ = std::make_unique<Process>(
        Words{"/bin/sh", "-c", "exec \"$@\" > \"$0\" 2>&1", path("node.txt"), "/usr/sbin/slurmd",
              "-D", "-f", file, "-N", host_name()},
        options());
    if (!wait_for([&] { return ask({"/usr/bin/sinfo", "-h", "-o", "%T"}) == "idle\n"; }, 30))
      GTEST_SKIP() << "Slurm does not start here: " << workspace_.read("controller.txt")
                   << workspace_.read("node.txt");
  }

  void TearDown() override {
    for (const auto* process : {&node_, &controller_}) {
      if (*process == nullptr) continue;
      (*process)->send_signal(SIGTERM);
      wait_for([&] { return (*process)->ended(); }, 10);
    }
  }

  static bool wait_for(const std::function<bool()>& condition, int seconds) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return true;
  }

  ProcessOptions options() const {
    return {.environment = {{"SLURM_CONF", path("slurm.conf")},
                            {"DBSA_PLUGIN_PATH", ""},
                            {"XDG_CACHE_HOME", path("cache")}}};
  }
  std::string ask(const Words& words) const { return run_process(words, options()).out; }

 private:
  static std::string host_name() {
    std::array<char, 256> name = {};
    ::gethostname(name.data(), name.size() - 1);
    const std::string whole = name.data();
    return whole.substr(0, whole.find('.'));
  }

  // One that nothing listens on.
  static std::string free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    socklen_t size = sizeof address;
    ::bind(socket, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(socket);
    return std::to_string(ntohs(address.sin_port));
  }

  // No accounts, no control groups: one node that trusts whoever asks.
  void write_configuration() const {
    fs::create_directories(path("state"));
    fs::create_directories(path("spool"));
    workspace_.write("slurm.conf", "ClusterName=dbsa\nSlurmctldHost=" + host_name() +
                                       "(127.0.0.1)\nSlurmUser=root\nSlurmctldPort=" + free_port() +
                                       "\nSlurmdPort=" + free_port() + "\nStateSaveLocation=" +
                                       path("state") + "\nSlurmdSpoolDir=" + path("spool") +
                                       "\nSlurmctldPidFile=" + path("controller.pid") +
                                       "\nSlurmdPidFile=" + path("node.pid") + R"(
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MailProg=/bin/true
SchedulerParameters=sched_interval=1
NodeName=)" + host_name() + R"( NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
)");
  }

  std::unique_ptr<Process> controller_, node_;
};

TEST_F(RealSlurm, AnArrayOfTasksRunsEveryCell) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const auto alone = answers();
  fs::remove_all(path("out"));
  const ProcessResult submitted =
      run_process(command({"sweep", sweep, "--launcher", "slurm", "--shards", "4"}), options());
  ASSERT_EQ(submitted.exit_code, 0) << submitted.error;
  EXPECT_THAT(submitted.out, testing::ContainsRegex("^submitted  job [0-9]+ with 4 tasks; "));
  EXPECT_TRUE(wait_for(
      [&] {
        return ask({"/usr/bin/squeue", "-h"}).empty();
      },
      120))
      << ask({"/usr/bin/squeue"});
  std::string logs;
  for (const std::string& name : files("out/logs")) logs += workspace_.read("out/logs/" + name);
  EXPECT_EQ(files("out/logs").size(), 4u) << "a log for each task";
  EXPECT_EQ(answers(), alone) << logs;
}

}  // namespace
}  // namespace dbsa
