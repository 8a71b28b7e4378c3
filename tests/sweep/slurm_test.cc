// dbsa-pipe sweep --launcher slurm, with a program in sbatch's place that keeps what it is given
// and runs the script for every task.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "tests/sweep/sweep_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;

class Slurm : public SweepTest {
 protected:
  std::string make_program(const std::string& name, const std::string& text) const {
    const std::string program = workspace_.write(name, "#!/bin/sh\n" + text);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return program;
  }
  // With bin/ before the user's own programs.
  ProcessResult submit(const Words& words) const {
    return cli(words, {.environment = {{"PATH", path("bin") + ":" + std::getenv("PATH")},
                                       {"FAKE", path("fake")}}});
  }
  void fake_sbatch() const {
    std::filesystem::create_directories(path("fake"));
    make_program("bin/sbatch", R"(printf '%s\n' "$@" > "$FAKE/words"
cat > "$FAKE/script"
for word in "$@"; do
  case $word in --array=1-*) tasks=${word#--array=1-} ;; esac
done
task=1
while [ $task -le $tasks ]; do
  SLURM_ARRAY_TASK_ID=$task sh "$FAKE/script" > "$FAKE/task-$task" 2>&1 || echo $task >> "$FAKE/failed"
  task=$((task + 1))
done
echo "sbatch: this is the fake one" >&2
echo 4711
)");
  }
};

TEST_F(Slurm, TheTasksOfAnArrayRunEveryCell) {
  fake_sbatch();
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const auto alone = answers();
  std::filesystem::remove_all(path("out"));
  const ProcessResult result =
      submit({"sweep", sweep, "--launcher", "slurm", "--shards", "3",
              "--launcher-option=--partition=a b", "--launcher-option", "--time=10"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.out, "submitted  job 4711 with 3 tasks; records go to " + path("out") + "\n");
  EXPECT_EQ(result.error, "warning: sbatch: this is the fake one\n");
  EXPECT_EQ(workspace_.read("fake/words"),
            "--parsable\n--job-name=dbsa-sweep\n--array=1-3\n--output=" + path("out") +
                "/logs/slurm-%A-%a.txt\n--partition=a b\n--time=10\n");
  EXPECT_EQ(workspace_.read("fake/script"),
            "#!/bin/sh\nexec '" + std::filesystem::canonical(command({})[0]).string() +
                "' sweep '" + sweep + "' --quiet --cell \"$SLURM_ARRAY_TASK_ID\"/3\n");
  EXPECT_FALSE(std::filesystem::exists(path("fake/failed"))) << workspace_.read("fake/task-1");
  EXPECT_EQ(answers(), alone);
  EXPECT_TRUE(std::filesystem::is_directory(path("out/logs")));
}

TEST_F(Slurm, OptionsAndOddNamesReachTheTasks) {
  fake_sbatch();
  make_sweep();
  const std::string sweep = workspace_.write(
      "it's \"100%\" odd.toml",
      workspace_.read("sweep.toml")
          .replace(workspace_.read("sweep.toml").find("\"out\""), 5, "\"out's 5%\""));
  std::filesystem::create_directories(path("my plugins"));
  const ProcessResult result = submit({"sweep",
                                       sweep,
                                       "--launcher",
                                       "slurm",
                                       "--only",
                                       "mask=self",
                                       "--only",
                                       "share=0.5",
                                       "--set",
                                       "data.labels=" + path("pool.jsonl"),
                                       "--set",
                                       "prompt.output_prefix=it's: ",
                                       "--runs",
                                       "1",
                                       "--threads",
                                       "1",
                                       "--jobs",
                                       "2",
                                       "--fresh",
                                       "--plugin-path",
                                       path("my plugins"),
                                       "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(nlohmann::json::parse(result.out),
            nlohmann::json(
                {{"schema", "sweep_job"}, {"schema_version", 1}, {"job", "4711"}, {"shards", 1}}));
  // Relative paths of --set count from the folder that the job was submitted in.
  EXPECT_THAT(workspace_.read("fake/script"),
              testing::StartsWith("#!/bin/sh\ncd '" + std::filesystem::current_path().string() +
                                  "' && exec '"));
  EXPECT_THAT(workspace_.read("fake/script"),
              HasSubstr("' sweep '" + path("it'\\''s \"100%\" odd.toml") +
                        "' --quiet --cell \"$SLURM_ARRAY_TASK_ID\"/1 --runs 1 --threads 1 --jobs 2 "
                        "--fresh --only 'mask=self' --only 'share=0.5' --set "
                        "'data.labels=" +
                        path("pool.jsonl") +
                        "' --set 'prompt.output_prefix=it'\\''s: ' "
                        "--plugin-path '" +
                        path("my plugins") + "'\n"));
  EXPECT_THAT(workspace_.read("fake/words"),
              HasSubstr("--output=" + path("out's 5%%") + "/logs/slurm-%A-%a.txt\n"));
  EXPECT_FALSE(std::filesystem::exists(path("fake/failed"))) << workspace_.read("fake/task-1");
  EXPECT_EQ(answers("out's 5%").size(), 1u);
}

TEST_F(Slurm, ARefusalOfSbatchIsTold) {
  make_program("bin/sbatch", "echo 'sbatch: error: invalid partition' >&2\nexit 1\n");
  const ProcessResult result = submit({"sweep", make_sweep(), "--launcher", "slurm"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.error,
            "error: sbatch ended with exit code 1: sbatch: error: invalid partition\n");
}

TEST_F(Slurm, WithoutSbatchThatIsTold) {
  std::filesystem::create_directories(path("bin"));
  const ProcessResult result =
      cli({"sweep", make_sweep(), "--launcher", "slurm"}, {.environment = {{"PATH", path("bin")}}});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: sbatch: cannot be started: No such file or directory\n");
}

TEST_F(Slurm, AListSubmitsNothing) {
  fake_sbatch();
  EXPECT_EQ(submit({"sweep", make_sweep(), "--launcher", "slurm", "--list"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path("fake/script")));
}

}  // namespace
}  // namespace dbsa
