// Data files with all that stands in them, packed or not.
#include "icl/input_table.h"

#include <gtest/gtest.h>

#include "config/gzip.h"
#include "icl/json_members.h"
#include "icl/label_column.h"
#include "tests/icl/temporary_file.h"

namespace dbsa::testing {
namespace {

using Fields = std::vector<std::string>;

InputTable table_of(const std::string& name, const std::string& bytes, char delimiter = '\0') {
  TemporaryFile file(name, bytes);
  auto table =
      InputTable::load({file.path().string(), "text", "label", LabelPolicy::kOptional}, delimiter);
  EXPECT_TRUE(table.ok()) << table.error().message;
  return std::move(table).value();
}

TEST(InputTable, CsvKeepsItsColumns) {
  const InputTable table = table_of("a.csv",
                                    "\xEF\xBB\xBFid; text ;\"a;b\";\r\n"
                                    "123456789012345678901234567890;one;\"x\r\ny\"\"z\";\r\n"
                                    "\r\n"
                                    "0070;two; spaced ;\r\n"
                                    "8;three;;");
  EXPECT_EQ(table.columns(), (Fields{"id", " text ", "a;b", ""}));
  EXPECT_EQ(table.text_column(), 1u);
  EXPECT_TRUE(table.is_csv() && table.has_bom() && table.layout().crlf);
  EXPECT_EQ(table.layout().delimiter, ';');
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(table.fields(0), (Fields{"123456789012345678901234567890", "one", "x\r\ny\"z", ""}));
  EXPECT_EQ(table.fields(1), (Fields{"0070", "two", " spaced ", ""}));
  EXPECT_EQ(table.fields(2), (Fields{"8", "three", "", ""}));
  EXPECT_EQ(table.rows()[2].example.line, 6);
}

TEST(InputTable, WhatCannotBeTakenApartStandsWithTheText) {
  const InputTable table = table_of("a.csv",
                                    "id,text,note\n"
                                    "1,\"open,x\n"
                                    "2,a\"b,x\n"
                                    "3,short\n"
                                    "4,a,b,c,d\n"
                                    "5,caf\xE9,x\n"
                                    "6,,\n"
                                    "7,sound,x\n");
  ASSERT_EQ(table.rows().size(), 7u);
  for (size_t row = 0; row < 7; ++row)
    EXPECT_EQ(table.rows()[row].error.has_value(), row != 6) << row;
  EXPECT_FALSE(table.has_fields(0));
  EXPECT_EQ(table.fields(0), (Fields{"", "1,\"open,x", ""}));
  EXPECT_FALSE(table.has_fields(1));
  EXPECT_EQ(table.fields(1), (Fields{"", "2,a\"b,x", ""}));
  EXPECT_EQ(table.fields(2), (Fields{"3", "short", ""}));
  EXPECT_EQ(table.fields(3), (Fields{"4", "a", "b,c,d"}));
  EXPECT_EQ(table.fields(4), (Fields{"5", "caf\xEF\xBF\xBD", "x"}));
  EXPECT_EQ(table.fields(5), (Fields{"6", "", ""}));
  EXPECT_EQ(table.fields(6), (Fields{"7", "sound", "x"}));
}

TEST(InputTable, ASeparatorLineAndSpacesBehindDelimiters) {
  const InputTable table = table_of("a.csv", "sep=|\ntext| id\none| 7\n");
  EXPECT_EQ(table.columns(), (Fields{"text", "id"}));
  EXPECT_EQ(table.layout().delimiter, '|');
  EXPECT_EQ(table.fields(0), (Fields{"one", "7"}));
  EXPECT_EQ(table.rows()[0].example.line, 3);
}

TEST(InputTable, JsonLinesHaveTheKeysOfAllObjects) {
  const InputTable table =
      table_of("a.jsonl",
               "{\"id\": 123456789012345678901234567890, \"text\": \"o\\u006ee\\n\"}\r\n"
               "\n"
               "no JSON\n"
               "{\"text\": \"two\", \"more\" : [1, {\"a\":2}] , \"id\": null, \"id\": 1.50}\n");
  EXPECT_EQ(table.columns(), (Fields{"id", "text", "more"}));
  EXPECT_FALSE(table.is_csv());
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(table.fields(0), (Fields{"123456789012345678901234567890", "one\n", ""}));
  EXPECT_FALSE(table.has_fields(1));
  EXPECT_EQ(table.fields(1), (Fields{"", "no JSON", ""}));
  EXPECT_EQ(table.fields(2), (Fields{"1.50", "two", "[1, {\"a\":2}]"}));
  EXPECT_EQ(table.record(0),
            "{\"id\": 123456789012345678901234567890, \"text\": \"o\\u006ee\\n\"}");
}

TEST(InputTable, AStreamIsWhatItBeginsLike) {
  const auto parse = [](const std::string& bytes) {
    return InputTable::parse(bytes, {"standard input", "text", "label", LabelPolicy::kOptional},
                             '\0');
  };
  EXPECT_TRUE(parse("id,text\n1,one\n")->is_csv());
  EXPECT_FALSE(parse("\xEF\xBB\xBF\n {\"text\": \"one\"}\n")->is_csv());
  EXPECT_EQ(parse(pack_gzip("id\ttext\n1\tone\n").value())->fields(0), (Fields{"1", "one"}));
  EXPECT_EQ(parse("").error().message,
            "standard input: expected at least one example, found none; add examples or name "
            "another file");
  EXPECT_EQ(
      parse("{\"text\": \"\"}").value().rows()[0].error->message,
      "standard input:1: expected a text in field \"text\", found an empty one; fill it in or "
      "remove the record");
}

TEST(JsonMembers, AreCutOutOfTheText) {
  const auto text = [](std::string_view object) {
    std::string out;
    for (const JsonMember& member : json_members(object))
      out += "<" + member.key + "|" + std::string(member.value) + ">";
    return out;
  };
  EXPECT_EQ(text("{}"), "");
  EXPECT_EQ(text("{\"a\":1}"), "<a|1>");
  EXPECT_EQ(text("{ \"a\\u0062\" : -1.50e3 , \"c\":\"}\\\",\" ,\"d\":[{\"e\":\"]\"} , 2] }"),
            "<ab|-1.50e3><c|\"}\\\",\"><d|[{\"e\":\"]\"} , 2]>");
}

TEST(PackedData, IsReadAsWhatIsInIt) {
  const std::string csv = "\xEF\xBB\xBFtext;label\r\none;x\r\ntwo;\r\n";
  TemporaryFile file("a.csv.gz", pack_gzip(csv).value());
  const auto rows = load_rows(file.path(), "text", "label", LabelPolicy::kOptional);
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].example, (Example{"one", "x", 2}));
  EXPECT_TRUE(is_table(file.path()));
  EXPECT_EQ(describe_table(file.path(), "text", "label", '\0'),
            file.path().string() +
                ": fields are separated by \";\", by the header; columns \"text\", \"label\"");
  EXPECT_NE(missing_label_column(file.path(), "text", "kind", '\0'), "");
  EXPECT_EQ(missing_label_column(file.path(), "text", "label", '\0'), "");

  TemporaryFile lines("a.jsonl.gz", pack_gzip("{\"text\":\"one\",\"label\":\"x\"}\n").value());
  EXPECT_TRUE(load_dataset(lines.path(), "text", "label", LabelPolicy::kRequired).ok());
}

TEST(PackedData, FaultsNameTheFile) {
  const auto fault = [](const std::string& name, const std::string& bytes) {
    TemporaryFile file(name, bytes);
    const auto rows = load_rows(file.path(), "text", "label", LabelPolicy::kOptional);
    if (rows.ok()) return std::string("no error");
    return rows.error().message.substr(file.path().parent_path().string().size() + 1);
  };
  const std::string packed = pack_gzip("text\none\n").value();
  EXPECT_EQ(fault("a.csv.gz", packed.substr(0, packed.size() - 1)),
            "a.csv.gz: expected a whole gzip file, found one that is cut short; copy or pack it "
            "again");
  EXPECT_EQ(fault("a.csv.gz", pack_gzip("PAR1\x15").value()),
            "a.csv.gz:1: expected UTF-8 text, found a Parquet file; export it as .csv in UTF-8, or "
            "as .jsonl");
  EXPECT_TRUE(fault("a.csv.gz", pack_gzip("txt\none\n").value())
                  .starts_with("a.csv.gz:1: expected a column \"text\", found \"txt\""));
  EXPECT_EQ(fault("a.xml.gz", packed),
            "a.xml.gz:1: expected UTF-8 text, found a gzip archive; unpack it, e.g. with gunzip");
}

}  // namespace
}  // namespace dbsa::testing
