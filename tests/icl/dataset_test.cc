#include "icl/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "icl/label_coverage.h"
#include "tests/icl/temporary_file.h"
#include "text/unicode.h"

namespace dbsa::testing {
namespace {

using Examples = std::vector<Example>;

Examples load(const std::string& name, const std::string& bytes,
              LabelPolicy policy = LabelPolicy::kRequired) {
  TemporaryFile file(name, bytes);
  auto examples = load_dataset(file.path(), "text", "label", policy);
  EXPECT_TRUE(examples.ok()) << examples.error().message;
  return examples.ok() ? *examples : Examples();
}

// The message without the file's folder.
std::string fault(const std::string& name, const std::string& bytes,
                  ErrorCode code = ErrorCode::kConfig,
                  LabelPolicy policy = LabelPolicy::kRequired) {
  TemporaryFile file(name, bytes);
  const auto examples = load_dataset(file.path(), "text", "label", policy);
  if (examples.ok()) return "no error";
  EXPECT_EQ(examples.error().code, code);
  const std::string folder = file.path().parent_path().string() + "/";
  EXPECT_TRUE(examples.error().message.starts_with(folder)) << examples.error().message;
  return examples.error().message.substr(folder.size());
}

TEST(Jsonl, ReadsExamplesWithTheirLines) {
  EXPECT_EQ(load("a.jsonl",
                 "{\"text\": \"one\", \"label\": \"x\"}\n"
                 "\n"
                 "{\"label\": \"y z\", \"text\": \"tw\\u00f6\\n\", \"id\": 3}"),
            (Examples{{"one", "x", 1}, {"tw\xC3\xB6\n", "y z", 3}}));
}

TEST(Jsonl, TakesBomAndCrlf) {
  EXPECT_EQ(load("a.jsonl",
                 "\xEF\xBB\xBF{\"text\":\"one\",\"label\":\"x\"}\r\n\r\n"
                 "{\"text\":\"two\",\"label\":\"y\"}\r\n"),
            (Examples{{"one", "x", 1}, {"two", "y", 3}}));
}

TEST(Jsonl, QueriesNeedNoLabel) {
  EXPECT_EQ(load("a.jsonl",
                 "{\"text\":\"one\"}\n{\"text\":\"two\",\"label\":null}\n"
                 "{\"text\":\"three\",\"label\":\"\"}\n{\"text\":\"four\",\"label\":\"x\"}\n",
                 LabelPolicy::kOptional),
            (Examples{{"one", "", 1}, {"two", "", 2}, {"three", "", 3}, {"four", "x", 4}}));
}

TEST(Jsonl, TakesSeveralLabels) {
  const Examples read = load("a.jsonl",
                             "{\"text\":\"one\",\"label\":[\"x\",\"y\",\"z\"]}\n"
                             "{\"text\":\"two\",\"label\":[\"w\"]}\n");
  EXPECT_EQ(read, (Examples{{"one", "x", 1, {"y", "z"}}, {"two", "w", 2}}));
  EXPECT_TRUE(is_right(read[0], "x") && is_right(read[0], "z"));
  EXPECT_FALSE(is_right(read[0], "w") || is_right(read[0], ""));
  EXPECT_FALSE(is_right({"three", "", 3}, ""));
  EXPECT_EQ(all_labels(read[0]), (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_TRUE(all_labels({"three", "", 3}).empty());
  const auto wrong = [&](const std::string& labels) {
    const std::string row = "{\"text\":\"one\",\"label\":" + labels + "}\n";
    const std::string message = fault("a.jsonl", row);
    EXPECT_EQ(fault("a.jsonl", row, ErrorCode::kConfig, LabelPolicy::kOptional), message);
    return message;
  };
  EXPECT_EQ(wrong("[]"),
            "a.jsonl:1: expected strings in the array in field \"label\", found none; fill one in "
            "or remove the record");
  EXPECT_EQ(wrong("[\"x\", 3]"),
            "a.jsonl:1: expected strings in the array in field \"label\", found a number; write "
            "each label in quotes");
  for (const char* labels : {"[\"\", \"x\"]", "[\"x\", \"\"]"})
    EXPECT_EQ(wrong(labels),
              "a.jsonl:1: expected a label in field \"label\", found an empty one; fill it in or "
              "remove the record");
  EXPECT_EQ(wrong("[\"x\", \" y\"]"),
            "a.jsonl:1: expected a label without white space around it, found \" y\"; remove the "
            "white space");
}

TEST(Jsonl, SaysWhatIsWrongAndWhere) {
  const std::string good = "{\"text\":\"one\",\"label\":\"x\"}\n";
  EXPECT_EQ(fault("a.jsonl", good + "{\"text\":\"two\" \"label\":\"y\"}\n"),
            "a.jsonl:2: expected JSON, found a fault at byte 21 of the line; check quotes, commas "
            "and braces before it");
  EXPECT_EQ(fault("a.jsonl", good + "{\"text\":\"two\",\"label\":1e999}\n"),
            "a.jsonl:2: expected JSON, found a number that is out of range; correct it");
  const std::string deep = std::string(50000, '[') + std::string(50000, ']');
  for (const std::string& label : {deep, std::string(50000, '['), std::string(64, '[')})
    EXPECT_EQ(fault("a.jsonl", good + "{\"text\":\"two\",\"label\":" + label + "}\n"),
              "a.jsonl:2: expected JSON nested at most 64 levels deep, found deeper values; leave "
              "them out");
  EXPECT_EQ(fault("a.jsonl", good + "[1]\n"),
            "a.jsonl:2: expected a JSON object, found an array; write one object a line");
  EXPECT_EQ(fault("a.jsonl", "{\"utterance\":\"one\",\"label\":\"x\"}\n"),
            "a.jsonl:1: expected a field \"text\", found \"label\", \"utterance\"; name the fields "
            "in [data] text_field and label_field");
  EXPECT_EQ(fault("a.jsonl", "{}\n"),
            "a.jsonl:1: expected a field \"text\", found none; name the fields in [data] "
            "text_field and label_field");
  EXPECT_EQ(fault("a.jsonl", good + "{\"text\":\"one\"}\n"),
            "a.jsonl:2: expected a field \"label\", found \"text\"; name the fields in [data] "
            "text_field and label_field");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":\"one\",\"label\":3}\n"),
            "a.jsonl:1: expected a string in field \"label\", found a number; write it in quotes");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":null,\"label\":\"x\"}\n"),
            "a.jsonl:1: expected a string in field \"text\", found null; fill it in or remove the "
            "record");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":\" \\n\",\"label\":\"x\"}\n"),
            "a.jsonl:1: expected a text in field \"text\", found an empty one; fill it in or "
            "remove the record");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":\"one\",\"label\":\"\"}\n"),
            "a.jsonl:1: expected a label in field \"label\", found an empty one; fill it in or "
            "remove the record");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":\"one\",\"label\":\"x \"}\n"),
            "a.jsonl:1: expected a label without white space around it, found \"x \"; remove the "
            "white space");
  EXPECT_EQ(fault("a.jsonl", good + "{\"text\":\"caf\xE9\",\"label\":\"x\"}\n"),
            "a.jsonl:2: expected UTF-8, found the byte 0xE9 at byte 13 of the line; convert the "
            "file to UTF-8");
  EXPECT_EQ(fault("a.jsonl", "{\"text\":\"" + std::string(kMaxRecordBytes, 'a') + "\"}\n"),
            "a.jsonl:1: expected a line of at most 4194304 bytes, found one of 4194315; write one "
            "object a line");
}

TEST(Dataset, RefusesEmptyMissingAndUnknownFiles) {
  const std::string empty =
      ": expected at least one example, found none; add examples or name another file";
  EXPECT_EQ(fault("a.jsonl", ""), "a.jsonl" + empty);
  EXPECT_EQ(fault("a.jsonl", "\n \n\r\n"), "a.jsonl" + empty);
  EXPECT_EQ(fault("a.csv", ""), "a.csv" + empty);
  EXPECT_EQ(fault("a.csv", "text,label\n"), "a.csv" + empty);
  EXPECT_EQ(fault("a.txt", "text\tlabel\n"),
            "a.txt: expected a name that ends in .jsonl, .csv or .tsv, or in one of them and .gz, "
            "found \".txt\"; convert or rename the file");
  const auto missing = load_dataset("no/such.jsonl", "text", "label", LabelPolicy::kRequired);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(missing.error().message, "no/such.jsonl: cannot be opened: No such file or directory");
  TemporaryFile file("a.jsonl", "");
  std::filesystem::create_directory(file.path().parent_path() / "b.jsonl");
  const auto folder =
      load_dataset(file.path().parent_path() / "b.jsonl", "text", "label", LabelPolicy::kRequired);
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, ErrorCode::kEnvironment);
  EXPECT_TRUE(folder.error().message.ends_with(
      "b.jsonl: expected a regular file, found a folder; name a regular file"));
}

TEST(Csv, ReadsQuotesLineEndsAndOrderOfColumns) {
  EXPECT_EQ(load("a.csv",
                 "id,label,text\r\n"
                 "1,x,plain\r\n"
                 "2,\"y, z\",\"say \"\"hi\"\"\nand go\"\r\n"
                 "\r\n"
                 "3,w,last"),
            (Examples{{"plain", "x", 2}, {"say \"hi\"\nand go", "y, z", 3}, {"last", "w", 6}}));
  EXPECT_EQ(load("a.csv", "\xEF\xBB\xBFtext,label\none,x\n"), (Examples{{"one", "x", 2}}));
  EXPECT_EQ(load("a.csv", "text\none\n\ntwo\n", LabelPolicy::kOptional),
            (Examples{{"one", "", 2}, {"two", "", 4}}));
  EXPECT_EQ(load("a.csv", "text,label\none,\n", LabelPolicy::kOptional),
            (Examples{{"one", "", 2}}));
}

TEST(Csv, SaysWhatIsWrongAndWhere) {
  const std::string header = "text,label\n";
  EXPECT_EQ(
      fault("a.csv", "utterance,label\none,x\n"),
      "a.csv:1: expected a column \"text\", found \"utterance\", \"label\" separated by a comma; "
      "name the columns in [data] text_field and label_field, or set data.delimiter");
  EXPECT_EQ(fault("a.csv", "text,label,label\none,x,y\n"),
            "a.csv:1: expected one column \"label\", found several; rename the others");
  EXPECT_EQ(fault("a.csv", header + "one,x\ntwo, too,y\n"),
            "a.csv:3: expected 2 fields as in the header, found 3; put fields with commas in "
            "quotes");
  EXPECT_EQ(fault("a.csv", header + "one\n"),
            "a.csv:2: expected 2 fields as in the header, found 1; put fields with commas in "
            "quotes");
  EXPECT_EQ(fault("a.csv", header + "one,\"x\n\n"),
            "a.csv:2: expected a closing quote for the field that begins in this line, found the "
            "end of the file; close it, or double a quote that is meant as text");
  EXPECT_EQ(fault("a.csv", header + "\"one\"s,x\n"),
            "a.csv:2: expected a comma or the end of the line after a quoted field, found \"s\"; "
            "double a quote that is meant as text");
  EXPECT_EQ(fault("a.csv", header + "5\" pipe,x\n"),
            "a.csv:2: expected a field without quotes, found a quote inside it; put the whole "
            "field in quotes and double the quotes in it");
  EXPECT_EQ(fault("a.csv", header + "\"" + std::string(kMaxRecordBytes, 'a') + "\",x\n"),
            "a.csv:2: expected a record of at most 4194304 bytes, found a longer one; look for a "
            "quote that is not closed");
  EXPECT_EQ(fault("a.csv", header + ",x\n"),
            "a.csv:2: expected a text in field \"text\", found an empty one; fill it in or remove "
            "the record");
  EXPECT_EQ(fault("a.csv", header + "one,x\n\xC0\xAF,y\n"),
            "a.csv:3: expected UTF-8, found the byte 0xC0 at byte 1 of the line; convert the file "
            "to UTF-8");
}

TEST(Csv, ColumnsAreFoundWhateverStandsAroundTheirNames) {
  const Examples one = {{"one", "x", 2}};
  for (const char* header : {"text , label", " text,label ", "text,\"label\"", "\"text\",label\t",
                             "\xEF\xBB\xBFtext,\xC2\xA0label", "text,label\r"})
    EXPECT_EQ(load("a.csv", std::string(header) + "\r\none,x\r\n"), one) << header;
  EXPECT_EQ(load("a.csv", "text,label\r\r\none,x\r\r\ntwo,y\r\r\n"),
            (Examples{{"one", "x", 2}, {"two", "y", 3}}));
  // Spaces behind every delimiter of the header are no part of fields, quoted ones included.
  EXPECT_EQ(load("a.csv", "id, text, label\n1, one, x\n2, \"two, 2\", \"y\"\n3,three,z\n"),
            (Examples{{"one", "x", 2}, {"two, 2", "y", 3}, {"three", "z", 4}}));
  EXPECT_EQ(load("a.csv", "id, text,label\n1, one,x\n"), (Examples{{" one", "x", 2}}))
      << "not behind every one";
  // An empty field at the end of some records.
  EXPECT_EQ(load("a.csv", "text,label,\none,x,\ntwo,y\n"),
            (Examples{{"one", "x", 2}, {"two", "y", 3}}));
  EXPECT_EQ(load("a.csv", "text,label\none,x,\ntwo,y\n"),
            (Examples{{"one", "x", 2}, {"two", "y", 3}}));
}

TEST(Csv, TheHeaderShowsTheDelimiter) {
  for (const char delimiter : {',', ';', '\t', '|'}) {
    const auto row = [&](const char* text, const char* label) {
      return std::string(text) + delimiter + label + "\n";
    };
    for (const char* name : {"a.csv", "a.tsv"})
      EXPECT_EQ(load(name, row("text", "label") + row("\"a, b; c | d\te\"", "x")),
                (Examples{{"a, b; c | d\te", "x", 2}}))
          << name << delimiter;
  }
  EXPECT_EQ(load("a.csv", "id,no;text;label\n1,2;one, two;x\n"), (Examples{{"one, two", "x", 2}}))
      << "the one that gives the columns";
  EXPECT_EQ(load("a.csv", "sep=;\ntext;label\none;x\n"), (Examples{{"one", "x", 3}}));
  EXPECT_EQ(load("a.csv", "text\none; two\n", LabelPolicy::kOptional),
            (Examples{{"one; two", "", 2}}));
  TemporaryFile file("a.csv", "text;x|label\none;two|y\n");
  const auto given = load_dataset(file.path(), "text;x", "label", LabelPolicy::kRequired, '|');
  ASSERT_TRUE(given.ok()) << given.error().message;
  EXPECT_EQ(*given, (Examples{{"one;two", "y", 2}}));
  EXPECT_TRUE(
      describe_table(file.path(), "text", "x|label", '\0')
          .ends_with("a.csv: fields are separated by \";\", by the header; columns \"text\", "
                     "\"x|label\""));
  EXPECT_TRUE(
      describe_table(file.path(), "text", "label", '\t')
          .ends_with("a.csv: fields are separated by a tab, as data.delimiter says; columns "
                     "\"text;x|label\""));
  EXPECT_EQ(describe_table("a.jsonl", "text", "label", '\0'), "");
}

TEST(Csv, ANameThatIsNearlyRightIsNoAbsentColumn) {
  const std::string advice =
      " Name the columns in [data] text_field and label_field, or set data.delimiter";
  for (const LabelPolicy policy : {LabelPolicy::kRequired, LabelPolicy::kOptional}) {
    EXPECT_EQ(fault("a.csv", "text;Label\none;x\n", ErrorCode::kConfig, policy),
              "a.csv:1: expected a column \"label\", found \"text\", \"Label\" separated by "
              "\";\"; did you mean \"Label\"?" +
                  advice);
    EXPECT_EQ(
        fault("a.csv", "text,LABEL\none,x\n", ErrorCode::kConfig, policy),
        "a.csv:1: expected a column \"label\", found \"text\", \"LABEL\" separated by a comma; "
        "did you mean \"LABEL\"?" +
            advice);
    EXPECT_EQ(fault("a.csv", "text\tlabels\none\tx\n", ErrorCode::kConfig, policy),
              "a.csv:1: expected a column \"label\", found \"text\", \"labels\" separated by a "
              "tab; did you mean \"labels\"?" +
                  advice);
    EXPECT_EQ(fault("a.jsonl", "{\"text\":\"one\",\"Label\":\"x\"}\n", ErrorCode::kConfig, policy),
              "a.jsonl:1: expected a field \"label\", found \"Label\", \"text\"; did you mean "
              "\"Label\"? Name the fields in [data] text_field and label_field");
  }
}

TEST(Labels, AreOneInEveryNormalForm) {
  const std::string composed = "m\xC3\xA9t\xC3\xA9o", decomposed = "me\xCC\x81te\xCC\x81o";
  const Examples read =
      load("a.jsonl", "{\"text\":\"" + decomposed + "\",\"label\":\"" + decomposed +
                          "\"}\n{\"text\":\"b\",\"label\":[\"x\",\"" + decomposed + "\"]}\n");
  EXPECT_EQ(read, (Examples{{decomposed, composed, 1}, {"b", "x", 2, {composed}}}))
      << "texts stay as they are";
  EXPECT_TRUE(is_right(read[0], decomposed) && is_right(read[0], composed));
  EXPECT_TRUE(is_right({"c", decomposed, 1}, composed));
  EXPECT_EQ(label_table(Examples{{"a", decomposed, 1}, {"b", composed, 2}}),
            (std::vector<std::string>{composed}));
  const std::vector<std::string> labels = {composed};
  LabelCoverage coverage(labels);
  coverage.add({"a", decomposed, 1});
  EXPECT_EQ(coverage.covered(), 1);
  EXPECT_EQ(coverage.unknown(), 0);
  EXPECT_EQ(to_nfc("a\xCC\xA3\xCC\x88"), "\xE1\xBA\xA1\xCC\x88");
  EXPECT_EQ(to_nfc("a\xCC\x88\xCC\xA3"), "\xE1\xBA\xA1\xCC\x88") << "marks in either order";
  EXPECT_EQ(to_nfc("\xE2\x84\xAB"), "\xC3\x85") << "the sign of the angstrom";
  EXPECT_EQ(to_nfc("\xFF e\xCC\x81"), "\xFF e\xCC\x81") << "not UTF-8";
}

// A fault in any byte is noticed or harmless, never worse.
TEST(Dataset, SurvivesEveryTruncationAndChangedByte) {
  const std::string files[] = {"text,label\n\"a \"\"b\"\"\",x\r\nc,\"y\nz\"\n",
                               "{\"text\":\"a\\u00e9\",\"label\":\"x\"}\n"};
  const char* names[] = {"a.csv", "a.jsonl"};
  for (int f = 0; f < 2; ++f) {
    for (size_t i = 0; i < files[f].size(); ++i) {
      for (const char c : {'"', ',', '\n', '\r', '\0', '\xFF', '{', '\\'}) {
        std::string changed = files[f];
        changed[i] = c;
        for (const auto& bytes : {changed, changed.substr(0, i + 1)}) {
          TemporaryFile file(names[f], bytes);
          const auto examples = load_dataset(file.path(), "text", "label", LabelPolicy::kRequired);
          EXPECT_TRUE(examples.ok() || !examples.error().message.empty());
        }
      }
    }
  }
}

TEST(Indices, ReadsArraysAndObjects) {
  TemporaryFile array("a.json", "[2, 0,\n 2]");
  TemporaryFile object("b.json", R"({"note": "x", "lines": [1]})");
  EXPECT_EQ(*load_indices(array.path(), 3), (std::vector<int64_t>{2, 0, 2}));
  EXPECT_EQ(*load_indices(object.path(), 3), (std::vector<int64_t>{1}));
}

TEST(Indices, SaysWhatIsWrong) {
  std::string folder;
  const auto message = [&folder](const std::string& bytes) {
    TemporaryFile file("a.json", bytes);
    folder = file.path().parent_path().string() + "/";
    const auto indices = load_indices(file.path(), 3);
    if (indices.ok()) return std::string("no error");
    EXPECT_EQ(indices.error().code, ErrorCode::kConfig);
    return indices.error().message.substr(file.path().parent_path().string().size() + 1);
  };
  EXPECT_EQ(message("[0, 3]"),
            "a.json: entry 1: expected an integer from 0 to 2, found 3; indices count the queries "
            "from 0");
  EXPECT_EQ(message("[-1]"),
            "a.json: entry 0: expected an integer from 0 to 2, found -1; indices count the queries "
            "from 0");
  const std::string two = message("[7, 0, -2]");
  EXPECT_EQ(two,
            "a.json: entry 0: expected an integer from 0 to 2, found 7; indices count the queries "
            "from 0\n" +
                folder +
                "a.json: entry 2: expected an integer from 0 to 2, found -2; indices count the "
                "queries from 0");
  std::string many = "[9";
  for (int i = 1; i < 23; ++i) many += ", 9";
  const std::string listed = message(many + "]");
  EXPECT_EQ(std::count(listed.begin(), listed.end(), '\n'), 20);
  EXPECT_TRUE(listed.ends_with("a.json: and 3 more faults"));
  EXPECT_EQ(message("[1.0]"),
            "a.json: entry 0: expected an integer from 0 to 2, found 1.0; indices count the "
            "queries from 0");
  EXPECT_EQ(message("[18446744073709551615]"),
            "a.json: entry 0: expected an integer from 0 to 2, found 18446744073709551615; indices "
            "count the queries from 0");
  EXPECT_EQ(message("[]"),
            "a.json: expected an array of indices, or an object with one under \"lines\", found an "
            "empty array; write e.g. [0, 5, 7]");
  EXPECT_EQ(message("{\"rows\": [1]}"),
            "a.json: expected an array of indices, or an object with one under \"lines\", found an "
            "object; write e.g. [0, 5, 7]");
  EXPECT_EQ(message("[1,\n 2 3]"),
            "a.json:2: expected JSON, found a fault at byte 4 of the line; check quotes, commas "
            "and braces before it");
}

Examples numbered(int64_t count) {
  Examples examples;
  for (int64_t i = 0; i < count; ++i) examples.push_back({"t", "l", i + 1});
  return examples;
}

TEST(Draw, KeepsFileOrderAndDependsOnTheSeedAlone) {
  const Examples all = numbered(100);
  const Examples drawn = *draw(all, 30, 5);
  ASSERT_EQ(drawn.size(), 30u);
  for (size_t i = 1; i < drawn.size(); ++i) EXPECT_LT(drawn[i - 1].line, drawn[i].line);
  EXPECT_EQ(*draw(all, 30, 5), drawn);
  EXPECT_NE(*draw(all, 30, 6), drawn);
  EXPECT_EQ(*draw(all, 0, 5), all);
  EXPECT_EQ(*draw(all, 100, 5), all);
  // What every machine draws.
  std::vector<int64_t> lines;
  const Examples few = *draw(numbered(10), 4, 1);
  for (const Example& e : few) lines.push_back(e.line);
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 2, 6, 9}));
}

TEST(Draw, ALargerDrawHasTheSmallerOne) {
  const std::vector<int64_t> few = draw_indices(50, 10, 3), many = draw_indices(50, 20, 3);
  ASSERT_EQ(many.size(), 20u);
  EXPECT_TRUE(std::includes(many.begin(), many.end(), few.begin(), few.end()));
  EXPECT_EQ(draw_indices(3, 10, 3), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Draw, RefusesMoreThanThereAre) {
  const auto drawn = draw(numbered(3), 4, 0);
  ASSERT_FALSE(drawn.ok());
  EXPECT_EQ(drawn.error().code, ErrorCode::kConfig);
  EXPECT_EQ(drawn.error().config_pointer, "/data/demonstration_count");
  EXPECT_EQ(drawn.error().message,
            "data.demonstration_count: expected at most 3, the number of demonstrations in the "
            "file, found 4; lower it, or write 0 for all");
}

TEST(Labels, AreSortedAndDistinct) {
  EXPECT_EQ(label_table(Examples{{"a", "y", 1}, {"b", "x", 2}, {"c", "y", 3}}),
            (std::vector<std::string>{"x", "y"}));
}

// ---- one bad record is one error ----------------------------------------------------------------

// "line code label" of every row, without a code where it is an example.
std::vector<std::string> rows_of(const std::string& name, const std::string& bytes,
                                 LabelPolicy policy = LabelPolicy::kOptional) {
  TemporaryFile file(name, bytes);
  const auto rows = load_rows(file.path(), "text", "label", policy);
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  std::vector<std::string> found;
  for (const Row& row : *rows) {
    found.push_back(std::to_string(row.example.line) + " " +
                    (row.error ? item_fault_name(row.error->fault) : "-") + " " +
                    row.example.label);
    if (row.error) {
      EXPECT_TRUE(row.error->message.starts_with(file.path().string() + ":" +
                                                 std::to_string(row.example.line) + ": "))
          << row.error->message;
    }
  }
  return found;
}

TEST(Rows, ABadLineOfJsonlLeavesTheOthers) {
  EXPECT_EQ(rows_of("a.jsonl",
                    "{\"text\": \"one\", \"label\": \"x\"}\n"
                    "{\"text\": \n"
                    "{\"text\": \"  \", \"label\": \"x\"}\n"
                    "\n"
                    "{\"text\": \"caf\xE9\", \"label\": \"y\"}\n"
                    "{\"label\": [\"x\", \"y\"]}\n"
                    "[1]\n"
                    "{\"text\": \"two\", \"label\": 3}\n"
                    "{\"text\": \"two\", \"label\": \" x\"}\n"
                    "{\"text\": \"two\", \"label\": [\"\", \"x\"]}\n"
                    "{\"text\": \"last\"}"),
            (std::vector<std::string>{"1 - x", "2 malformed ", "3 empty_text x", "5 not_utf8 y",
                                      "6 bad_field x", "7 malformed ", "8 bad_label ",
                                      "9 bad_label ", "10 bad_label ", "11 - "}));
  EXPECT_EQ(rows_of("a.jsonl", "{\"text\":\"" + std::string(kMaxRecordBytes, 'a') + "\"}\n{}\n"),
            (std::vector<std::string>{"1 malformed ", "2 bad_field "}));
}

TEST(Rows, ABadRecordOfCsvLeavesTheOthers) {
  EXPECT_EQ(
      rows_of("a.csv",
              "text,label\n"
              "one,x\n"
              ",x\n"
              "two, too,y\n"
              "caf\xE9,y\n"
              "5\" pipe,x\n"
              "\"a\"b,x\n"
              "two, x\n"
              "\"three\nlines\nlong\",z\n"
              "last,"),
      (std::vector<std::string>{"2 - x", "3 empty_text x", "4 malformed ", "5 not_utf8 y",
                                "6 malformed ", "7 malformed ", "8 bad_label ", "9 - z", "12 - "}));
}

TEST(Rows, ABadRecordIsOneErrorUnderAnyDelimiter) {
  const std::string decomposed = "me\xCC\x81te\xCC\x81o", composed = "m\xC3\xA9t\xC3\xA9o";
  EXPECT_EQ(rows_of("a.tsv",
                    "text;label;\n"
                    "one, two;" +
                        decomposed +
                        "\n"
                        "a;b;c;d\n"
                        ";" +
                        decomposed +
                        ";\n"
                        "\"two\"s;x\n"
                        "caf\xE9;" +
                        decomposed +
                        "\n"
                        "last;y;\n"),
            (std::vector<std::string>{"2 - " + composed, "3 malformed ", "4 empty_text " + composed,
                                      "5 malformed ", "6 not_utf8 " + composed, "7 - y"}));
  const std::string several = fault("a.csv", "text;label\n\"one\ntwo\"s;x\na;b;c\n");
  EXPECT_EQ(several.substr(0, several.find('\n')),
            "a.csv:2: expected \";\" or the end of the line after a quoted field, which ends in "
            "line 3, found \"s\"; double a quote that is meant as text");
  EXPECT_EQ(fault("a.csv", "text;label\none;x\na;b;c\n"),
            "a.csv:3: expected 2 fields as in the header, found 3; put fields with \";\" in "
            "quotes");
}

TEST(Rows, ALabelUnderASimilarNameIsAnErrorOfTheLine) {
  EXPECT_EQ(rows_of("a.jsonl", "{\"text\":\"one\",\"Label\":\"x\"}\n{\"text\":\"two\"}\n"),
            (std::vector<std::string>{"1 bad_label ", "2 - "}));
}

// A quote that is not closed spoils only its own record.
TEST(Rows, AnOpenQuoteCostsItsOwnLine) {
  EXPECT_EQ(rows_of("a.csv", "text,label\none,x\n\"two,x\nthree,y\nfour,y\n"),
            (std::vector<std::string>{"2 - x", "3 malformed ", "4 - y", "5 - y"}));
  EXPECT_EQ(rows_of("a.csv", "text,label\n\"one,x\n\"two\",x\nthree,y\n"),
            (std::vector<std::string>{"2 malformed ", "3 - x", "4 - y"}));
}

// All faults of a file of demonstrations are told at once.
TEST(Rows, TwentyFaultsAreListedAndTheOthersCounted) {
  const auto message = [](int faults) {
    std::string bytes = "{\"text\": \"one\", \"label\": \"x\"}\n";
    for (int i = 0; i < faults; ++i) bytes += "{\"text\": \"\", \"label\": \"x\"}\n";
    TemporaryFile file("a.jsonl", bytes);
    std::string text =
        load_dataset(file.path(), "text", "label", LabelPolicy::kRequired).error().message;
    const std::string folder = file.path().parent_path().string() + "/";
    for (size_t at = 0; (at = text.find(folder, at)) != text.npos;) text.erase(at, folder.size());
    return text;
  };
  const auto expected = [](int listed) {
    std::string text;
    for (int i = 0; i < listed; ++i)
      text += (i == 0 ? "" : "\n") + ("a.jsonl:" + std::to_string(i + 2)) +
              ": expected a text in field \"text\", found an empty one; fill it in or remove the "
              "record";
    return text;
  };
  EXPECT_EQ(message(2), expected(2));
  EXPECT_EQ(message(20), expected(20));
  EXPECT_EQ(message(21), expected(20) + "\na.jsonl: and 1 more fault");
  EXPECT_EQ(message(147), expected(20) + "\na.jsonl: and 127 more faults");
}

TEST(Rows, AHeaderThatIsWrongIsOfTheWholeFile) {
  for (const char* bytes :
       {"utterance,label\none,x\n", "text,label,label\none,x,y\n", "te\xFFxt,label\none,x\n"}) {
    TemporaryFile file("a.csv", bytes);
    EXPECT_FALSE(load_rows(file.path(), "text", "label", LabelPolicy::kOptional).ok()) << bytes;
  }
}

// ---- labels of queries and of the pool ---------------------------------------------------------

using Warnings = std::vector<std::string>;

Warnings coverage_warnings(const Examples& queries, const std::vector<std::string>& labels,
                           bool labels_given = false) {
  LabelCoverage coverage(labels);
  for (const Example& query : queries) coverage.add(query);
  return coverage.warnings("q.jsonl", labels_given);
}

TEST(Coverage, CountsWhatQueriesExpect) {
  const std::vector<std::string> labels = {"w", "x", "y"};
  LabelCoverage coverage(labels);
  for (const Example& query : Examples{{"a", "y", 1},
                                       {"b", "", 2},
                                       {"c", "z", 3, {"y"}},
                                       {"d", "z", 4},
                                       {"e", "y", 5},
                                       {"f", "w", 6}})
    coverage.add(query);
  EXPECT_EQ(coverage.labels(), 3);
  EXPECT_EQ(coverage.labelled(), 5);
  EXPECT_EQ(coverage.covered(), 2);
  EXPECT_EQ(coverage.unknown(), 1) << "one label of several is enough";
}

TEST(Coverage, WarnsOfLabelsThatNoDemonstrationHas) {
  const std::vector<std::string> labels = {"x", "y"};
  EXPECT_EQ(coverage_warnings({{"a", "y", 1}, {"b", "", 2}}, labels), Warnings());
  EXPECT_EQ(coverage_warnings({{"a", "x", 1}, {"b", "z\n", 7}}, labels),
            Warnings({"1 of 2 queries expects a label that no demonstration has, such as \"z\\n\" "
                      "(q.jsonl:7); they count as wrong: add demonstrations with these labels, or "
                      "name a file with all labels in data.labels"}));
  EXPECT_EQ(coverage_warnings({{"a", "x", 1},
                               {"b", "d", 2},
                               {"c", "b", 3},
                               {"c", "c", 4},
                               {"c", "a", 5},
                               {"c", "d", 6}},
                              labels, true),
            Warnings({"5 of 6 queries expect a label that no demonstration has, and data.labels "
                      "neither, such as \"a\" (q.jsonl:5), \"b\" (q.jsonl:3), \"c\" "
                      "(q.jsonl:4); they count as wrong: add demonstrations with these labels"}));
}

TEST(Coverage, WarnsOfQueriesOfFewLabels) {
  std::vector<std::string> labels;
  for (char c = 'a'; c <= 'j'; ++c) labels.emplace_back(1, c);
  Examples queries;
  for (int i = 0; i < 100; ++i) queries.push_back({"t", labels[static_cast<size_t>(i % 4)], i});
  EXPECT_EQ(coverage_warnings(queries, labels),
            Warnings({"100 queries expect 4 of the 10 labels, so the accuracy says nothing about "
                      "the others; for a file that is sorted by label, draw with "
                      "data.query_count"}));
  queries.push_back({"t", "j", 101});
  EXPECT_EQ(coverage_warnings(queries, labels), Warnings()) << "half of them is enough";
  EXPECT_EQ(coverage_warnings({{"t", "a", 1}, {"t", "b", 2}}, labels), Warnings())
      << "two queries cannot expect more than two";
}

TEST(Messages, QuoteTextSafely) {
  EXPECT_EQ(quote_for_message("a\"b\\\n\t\r\x01"), "\"a\\\"b\\\\\\n\\t\\r\\u0001\"");
  const std::string cut = quote_for_message(std::string(59, 'a') + "\xC3\xA9\xC3\xA9");
  EXPECT_EQ(cut, "\"" + std::string(59, 'a') + "\xC3\xA9...\"") << "between characters";
}

}  // namespace
}  // namespace dbsa::testing
