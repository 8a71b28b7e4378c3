// What a team does with a day's tickets: 2,000 labelled ones as an export of a spreadsheet, 540 new
// ones answered in one command, 40 of them faulty.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <dbsa/sdk/random.h>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

using Cells = std::vector<std::string>;

// In quotes where it must be, and sometimes elsewhere.
std::string cell(const std::string& text, bool always) {
  if (!always && text.find_first_of(";\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string record(const Cells& cells, Random& random) {
  std::string line;
  for (const std::string& text : cells)
    line += (line.empty() ? "" : ";") + cell(text, random.below(4) == 0);
  return line + "\r\n";
}

std::string id_of(int number) {
  const std::string digits = std::to_string(number);
  return "9" + std::string(29 - digits.size(), '0') + digits;
}

class Tickets : public CliTest {
 protected:
  // Words of a few topics with what exports have in texts: quotes, delimiters, line ends, blanks.
  Cells ticket(int number, Random& random) const {
    static constexpr const char* kWords[] = {"card", "money", "late", "fee \"now\"", "caf\xC3\xA9"};
    static constexpr const char* kBetween[] = {" ", "; ", "\r\n", "\n", ", ", "  "};
    std::string text = kWords[random.below(5)];
    for (int word = 0; word < 3; ++word)
      text += std::string(kBetween[random.below(6)]) + kWords[random.below(5)];
    return {id_of(number), random.below(2) == 0 ? "" : "=1+1", text,
            std::string(" note\t") + std::to_string(random.below(9)) + " "};
  }

  // A row that cannot be answered, and its cells as the table must have them.
  std::string faulty(int number, Random& random, Cells& expected) const {
    expected = {id_of(number), "q", "card", "n"};
    switch (number % 5) {
      case 0:  // no text
        expected[2] = number % 2 == 0 ? "" : " \t";
        return record(expected, random);
      case 1:  // a stray quote
        expected = {"", "", id_of(number) + ";q;ca\"rd;n", ""};
        return expected[2] + "\r\n";
      case 2:  // too few fields
        expected[3] = "";
        return id_of(number) + ";q;card\r\n";
      case 3:  // too many
        expected[3] = "n;more;fields";
        return id_of(number) + ";q;card;n;more;fields\r\n";
      default:  // no UTF-8
        expected[2] = "caf\xEF\xBF\xBD";
        return id_of(number) + ";q;caf\xE9;n\r\n";
    }
  }

  std::string make_tickets() const {
    Random random(11);
    std::string labelled = "\xEF\xBB\xBFTicket;Queue;Message;Topic\r\n";
    static constexpr const char* kTopics[] = {"Cards", "Fees; all", "\"Other\"", "Tr\xC3\xA4ge"};
    for (int i = 0; i < 2000; ++i) {
      Cells cells = ticket(i, random);
      cells[3] = kTopics[random.below(4)];
      labelled += record(cells, random);
      if (i % 100 == 50) labelled += "\r\n";
    }
    workspace_.write("tickets.csv", labelled);
    const std::string pipeline = make_pipeline();
    edit_pipeline("demonstrations = \"pool.jsonl\"",
                  "demonstrations = \"tickets.csv\"\ntext_field = \"Message\"\n"
                  "label_field = \"Topic\"");
    edit_pipeline("block_size = 4", "block_size = 20");
    edit_pipeline("ratio = 0.5", "count = 2");
    return pipeline;
  }

  // 500 new rows and 40 faulty ones between them; what the table must have of each.
  std::vector<Cells> make_new() const {
    Random random(12);
    std::string text = "\xEF\xBB\xBFTicket;Label;Message;\"Note; \"\"free\"\"\"\r\n";
    std::vector<Cells> expected = {{"Ticket", "Label", "Message", "Note; \"free\""}};
    for (int i = 0; i < 540; ++i) {
      Cells cells = ticket(5000 + i, random);
      if (i % 13 == 5 && i < 520) {
        text += faulty(i / 13, random, cells);
      } else {
        text += record(cells, random);
      }
      if (i % 100 == 50) text += "\r\n\r\n";
      expected.push_back(cells);
    }
    workspace_.write("new.csv", text);
    return expected;
  }

  // A table as Python's csv module reads it.
  std::vector<Cells> read_by_python(const std::string& name) const {
    const ProcessResult read =
        run_process({"/usr/bin/python3", "-c",
                     "import csv, json, sys\n"
                     "with open(sys.argv[1], newline='', encoding='utf-8-sig') as file:\n"
                     "    print(json.dumps(list(csv.reader(file, delimiter=';', strict=True))))",
                     path(name)});
    EXPECT_EQ(read.exit_code, 0) << read.error;
    return json::parse(read.out).get<std::vector<Cells>>();
  }
};

TEST_F(Tickets, AreAnsweredInOneCommandThatMayBeKilled) {
  const std::string pipeline = make_tickets();
  const std::vector<Cells> expected = make_new();
  const ProcessResult encoded = cli({"encode", pipeline, "--quiet"});
  ASSERT_EQ(encoded.exit_code, 0) << encoded.error;
  const std::string journal = path("answered.csv.journal.jsonl");
  const Words query = {"query",         pipeline,   "--input",
                       path("new.csv"), "--output", path("answered.csv")};
  {
    Process process(command(query),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    const auto kept = [&] {
      std::ifstream file(journal);
      return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    };
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (kept() < 100 && !process.ended() && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send_signal(SIGKILL);
    ASSERT_EQ(process.wait().exit_code, -SIGKILL);
    ASSERT_FALSE(fs::exists(path("answered.csv")));
  }
  const ProcessResult result = cli(query);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, testing::ContainsRegex("continuing after [0-9]+ of 540 answers"));
  EXPECT_THAT(result.error, HasSubstr("error: 40 of 540 queries were not answered\n"));
  EXPECT_FALSE(fs::exists(journal));

  const std::vector<Cells> rows = read_by_python("answered.csv");
  ASSERT_EQ(rows.size(), expected.size());
  const Cells names = {"answer_label", "probability",     "margin",
                       "runner_up",    "abstained_label", "error"};
  EXPECT_EQ(Cells(rows[0].begin() + 4, rows[0].end()), names);
  int errors = 0;
  for (size_t row = 0; row < rows.size(); ++row) {
    ASSERT_EQ(rows[row].size(), 10u) << row;
    EXPECT_EQ(Cells(rows[row].begin(), rows[row].begin() + 4), expected[row]) << row;
    if (row == 0) continue;
    const bool failed = !rows[row][9].empty();
    errors += failed ? 1 : 0;
    EXPECT_EQ(rows[row][4].empty(), failed) << row;
    EXPECT_EQ(rows[row][5].empty(), failed) << row;
    if (failed) {
      EXPECT_THAT(rows[row][9], testing::StartsWith(path("new.csv") + ":"));
    }
  }
  EXPECT_EQ(errors, 40);
  // The same without a kill.
  fs::rename(path("answered.csv"), path("killed.csv"));
  ASSERT_EQ(cli(query).exit_code, 2);
  EXPECT_EQ(workspace_.read("answered.csv"), workspace_.read("killed.csv"));
}

}  // namespace
}  // namespace dbsa
