// Tables of answers: what stood in the file, byte for byte, and five columns behind it.
#include "icl/answer_table.h"

#include <gtest/gtest.h>

#include "tests/icl/temporary_file.h"

namespace dbsa::testing {
namespace {

InputTable input_of(const std::string& name, const std::string& bytes) {
  TemporaryFile file(name, bytes);
  auto table =
      InputTable::load({file.path().string(), "text", "label", LabelPolicy::kOptional}, '\0');
  EXPECT_TRUE(table.ok()) << table.error().message;
  return std::move(table).value();
}

const TableAnswer kAnswer = {"alpha", 0.75, 0.5, "beta", {}, ""};
const TableAnswer kNone = {{}, {}, {}, {}, {}, "a.csv:3: empty"};

// The table with these answers for the first rows.
std::string text_of(const InputTable& input, TableFormat format,
                    const std::vector<TableAnswer>& answers) {
  const AnswerTable table(input, format);
  std::string text = table.head();
  for (size_t i = 0; i < answers.size(); ++i) text += table.row(i, answers[i]);
  return text;
}

TEST(AnswerTable, CsvOfCsvLooksLikeIt) {
  const InputTable input = input_of("a.csv",
                                    "\xEF\xBB\xBFid;text\r\n"
                                    "123456789012345678901234567890;\"a;\"\"b\"\"\n\"\r\n"
                                    "7;\r\n");
  EXPECT_EQ(text_of(input, TableFormat::kCsv, {kAnswer, kNone}),
            "\xEF\xBB\xBFid;text;label;probability;margin;runner_up;abstained_label;error\r\n"
            "123456789012345678901234567890;\"a;\"\"b\"\"\n\";alpha;0.750000;0.500000;beta;;\r\n"
            "7;;;;;;;a.csv:3: empty\r\n");
  EXPECT_EQ(
      text_of(input, TableFormat::kTsv, {kNone}),
      "\xEF\xBB\xBFid\ttext\tlabel\tprobability\tmargin\trunner_up\tabstained_label\terror\r\n"
      "123456789012345678901234567890\t\"a;\"\"b\"\"\n\"\t\t\t\t\t\ta.csv:3: empty\r\n");
  EXPECT_EQ(text_of(input, TableFormat::kJsonLines, {kAnswer, kNone}),
            "{\"id\":\"123456789012345678901234567890\",\"text\":\"a;\\\"b\\\"\\n\",\"label\":"
            "\"alpha\",\"probability\":0.750000,\"margin\":0.500000,\"runner_up\":\"beta\","
            "\"abstained_label\":null,\"error\":null}\n"
            "{\"id\":\"7\",\"text\":\"\",\"label\":null,\"probability\":null,\"margin\":null,"
            "\"runner_up\":null,\"abstained_label\":null,\"error\":\"a.csv:3: empty\"}\n");
}

TEST(AnswerTable, ALabelThatIsWithheldHasItsOwnColumn) {
  const InputTable input = input_of("a.csv", "text\none\n");
  const TableAnswer withheld = {{}, 0.75, 0.5, "beta", "alpha", ""};
  EXPECT_EQ(text_of(input, TableFormat::kCsv, {withheld}),
            "text,label,probability,margin,runner_up,abstained_label,error\n"
            "one,,0.750000,0.500000,beta,alpha,\n");
}

TEST(AnswerTable, JsonLinesKeepTheirObjects) {
  const InputTable input = input_of("a.jsonl",
                                    "{\"id\": 123456789012345678901234567890, \"text\": \"a\" }\r\n"
                                    "{}\n"
                                    "[1]\n");
  EXPECT_EQ(text_of(input, TableFormat::kJsonLines, {kAnswer, kNone, kNone}),
            "{\"id\": 123456789012345678901234567890, \"text\": \"a\",\"label\":\"alpha\","
            "\"probability\":0.750000,\"margin\":0.500000,\"runner_up\":\"beta\","
            "\"abstained_label\":null,\"error\":null}\n"
            "{\"label\":null,\"probability\":null,\"margin\":null,\"runner_up\":null,"
            "\"abstained_label\":null,\"error\":\"a.csv:3: empty\"}\n"
            "{\"text\":\"[1]\",\"label\":null,\"probability\":null,\"margin\":null,"
            "\"runner_up\":null,\"abstained_label\":null,\"error\":\"a.csv:3: empty\"}\n");
  EXPECT_EQ(text_of(input, TableFormat::kCsv, {kAnswer, kNone, kNone}),
            "id,text,label,probability,margin,runner_up,abstained_label,error\n"
            "123456789012345678901234567890,a,alpha,0.750000,0.500000,beta,,\n"
            ",,,,,,,a.csv:3: empty\n"
            ",[1],,,,,,a.csv:3: empty\n");
}

TEST(AnswerTable, NamesThatAreTakenGetAnother) {
  const auto names = [](const std::string& header) {
    const InputTable input = input_of("a.csv", header + "\n1,one,x,x\n");
    const auto found = AnswerTable(input, TableFormat::kCsv).names();
    return std::vector<std::string>(found.begin(), found.end());
  };
  EXPECT_EQ(names("id,text,a,b"),
            (std::vector<std::string>{"label", "probability", "margin", "runner_up",
                                      "abstained_label", "error"}));
  EXPECT_EQ(names("id,text,label,Error"),
            (std::vector<std::string>{"answer_label", "probability", "margin", "runner_up",
                                      "abstained_label", "answer_error"}));
  EXPECT_EQ(names("label,text,answer_label,ANSWER_LABEL_2"),
            (std::vector<std::string>{"answer_label_3", "probability", "margin", "runner_up",
                                      "abstained_label", "error"}));
  // An object has a member once.
  const InputTable twice = input_of("a.csv", "text,x,x,x_2\none,1,2,3\n");
  EXPECT_EQ(text_of(twice, TableFormat::kJsonLines, {kNone}).substr(0, 50),
            "{\"text\":\"one\",\"x\":\"1\",\"x_2\":\"2\",\"x_2_2\":\"3\",\"label");
}

TEST(AnswerTable, OtherInputsHaveACommaAndLf) {
  const InputTable tsv = input_of("a.tsv", "id\ttext\n1\ta,b\n");
  EXPECT_EQ(text_of(tsv, TableFormat::kCsv, {{"x\ny", 1.0, {}, {}, {}, ""}}),
            "id,text,label,probability,margin,runner_up,abstained_label,error\n"
            "1,\"a,b\",\"x\ny\",1.000000,,,,\n");
  // What is generated may be no UTF-8; a table is.
  EXPECT_EQ(text_of(tsv, TableFormat::kTsv, {{"\xFF", 1.0, {}, {}, {}, ""}}).substr(65),
            "1\t\"a,b\"\t\xEF\xBF\xBD\t1.000000\t\t\t\t\n");
}

}  // namespace
}  // namespace dbsa::testing
