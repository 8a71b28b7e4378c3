// Files of another kind than was expected: what they are is said, with what helps.
#include <gtest/gtest.h>

#include "config/file_kind.h"
#include "icl/dataset.h"
#include "tests/icl/temporary_file.h"

namespace dbsa::testing {
namespace {

using namespace std::string_literals;

// The message without the file's folder.
std::string refusal(const std::string& name, const std::string& bytes) {
  TemporaryFile file(name, bytes);
  const auto rows = load_dataset(file.path(), "text", "label", LabelPolicy::kRequired);
  if (rows.ok()) return "no error";
  EXPECT_EQ(rows.error().code, ErrorCode::kConfig);
  return rows.error().message.substr(file.path().parent_path().string().size() + 1);
}

std::string utf16(const std::string& ascii) {
  std::string bytes;
  for (const char c : ascii) bytes += {c, '\0'};
  return bytes;
}

TEST(ForeignFiles, AreCalledByTheirNames) {
  const std::string text = ":1: expected UTF-8 text, found ", unit = ":1: expected UTF-8, found ";
  const std::string to_utf8 = "; convert the file to UTF-8";
  const std::string table = "; export it as .csv in UTF-8, or as .jsonl";
  for (const char* name : {"a.csv", "a.jsonl", "a.tsv", "a.gz", "a.dat"}) {
    EXPECT_EQ(refusal(name, "\x1F\x8B\x08"),
              name + text + "a gzip archive; unpack it, e.g. with gunzip");
    EXPECT_EQ(refusal(name, "PAR1\x15"), name + text + "a Parquet file" + table);
    EXPECT_EQ(refusal(name, "PK\x03\x04....xl/workbook.xml"),
              name + text + "an Office document, such as .xlsx" + table);
    EXPECT_EQ(refusal(name, "PK\x03\x04....data.csv"),
              name + text + "a ZIP archive; unpack it and name the file in it");
    EXPECT_EQ(refusal(name, "\x89PNG\r\n"), name + text + "a PNG picture; name a file of text");
    EXPECT_EQ(refusal(name, std::string(257, '\0') + "ustar\0"s),
              name + text + "a tar archive; unpack it and name the file in it");
    EXPECT_EQ(refusal(name, "\n<!DOCTYPE HTML>\n"),
              name + text + "a page of HTML; fetch the file itself, not the page that shows it");
    EXPECT_EQ(refusal(name, "\xFF\xFE" + utf16("text,label\n")), name + unit + "UTF-16" + to_utf8);
    EXPECT_EQ(refusal(name, utf16("text,label\r\n")), name + unit + "UTF-16" + to_utf8);
    EXPECT_EQ(refusal(name, "\0t\0e\0x\0t"s), name + unit + "UTF-16" + to_utf8);
    EXPECT_EQ(refusal(name, "\xFF\xFE\0\0t\0\0\0"s), name + unit + "UTF-32" + to_utf8);
  }
  for (const std::string& sound :
       {""s, "a"s, "text,label"s, "\0\0\0\0"s, "PK"s, "PAR1,label"s, "a\0b\0cdef"s})
    EXPECT_EQ(foreign_kind_fault(sound), "");
}

TEST(ForeignFiles, LinesThatEndInCrAreNamed) {
  const std::string said =
      ":1: expected lines that end in LF or CRLF, found a line that ends in CR only; convert the "
      "file's line ends to LF";
  EXPECT_EQ(refusal("a.csv", "text,label\rone,x\rtwo,y"), "a.csv" + said);
  EXPECT_EQ(refusal("a.csv", "text,label\r\"a, b\",x\r\"c, d\",y\r"), "a.csv" + said);
  EXPECT_EQ(refusal("a.csv", "text,label\r\"a\nb\",x\r"), "a.csv" + said);
  EXPECT_EQ(refusal("a.csv", "\"te\rxt\",label\r\"a\",x\r"), "a.csv" + said);
  EXPECT_EQ(refusal("a.jsonl",
                    "{\"text\":\"one\",\"label\":\"x\"}\r{\"text\":\"two\",\"label\":\"y\"}\r"),
            "a.jsonl" + said);
  EXPECT_EQ(refusal("a.jsonl", "{\"text\":\"one\",\r\"label\":\"x\"}\r"), "no error");
}

TEST(ForeignFiles, JsonOverSeveralLinesIsOneFault) {
  const std::string array =
      "expected a JSON object a line, found an array over several lines; write one object a line, "
      "e.g. with `jq -c '.[]'`";
  const std::string object =
      "expected a JSON object a line, found an object over several lines; write one object a line, "
      "e.g. with `jq -c .`";
  EXPECT_EQ(refusal("a.jsonl", "[\n {\n  \"text\": \"one\",\n  \"label\": \"x\"\n }\n]\n"),
            "a.jsonl:1: " + array);
  EXPECT_EQ(refusal("a.jsonl", "\n[{\"text\": \"one\", \"label\": \"x\"},\n{\"text\": \"two\"}]\n"),
            "a.jsonl:2: " + array);
  EXPECT_EQ(refusal("a.jsonl", "{\n  \"text\": \"one\",\n  \"label\": \"x\"\n}\n{\n}\n"),
            "a.jsonl:1: " + object);
  EXPECT_EQ(refusal("a.jsonl", "{\"text\": \"one\",\n  \"label\": \"x\"}\n"),
            "a.jsonl:1: " + object);
}

TEST(ForeignFiles, WhatJsonDoesNotHaveIsNamed) {
  const auto said = [](const std::string& value) {
    const std::string message =
        refusal("a.jsonl", "{\"text\":\"one\",\"label\":\"x\",\"score\":" + value + "}\n");
    EXPECT_TRUE(message.starts_with("a.jsonl:1: expected JSON, found ")) << message;
    return message.substr(std::min<size_t>(message.size(), 32));
  };
  for (const char* word : {"NaN", "nan", "Infinity", "-Infinity"})
    EXPECT_EQ(said(word), word + " at byte 35 of the line; JSON has no such number: write null"s);
  EXPECT_EQ(said("None"), "None at byte 35 of the line; write null");
  EXPECT_EQ(said("True"), "True at byte 35 of the line; write true");
  EXPECT_EQ(said("'a'"), "a single quote at byte 35 of the line; write strings in double quotes");
  EXPECT_EQ(said("1,"), "a comma behind the last item at byte 36 of the line; remove it");
  EXPECT_EQ(said("1 2"),
            "a fault at byte 37 of the line; check quotes, commas and braces before it");
}

TEST(ForeignFiles, NullIsFilledIn) {
  EXPECT_EQ(refusal("a.jsonl", "{\"text\":\"one\",\"label\":null}\n"),
            "a.jsonl:1: expected a string in field \"label\", found null; fill it in or remove the "
            "record");
  EXPECT_EQ(refusal("a.jsonl", "{\"text\":\"one\",\"label\":[\"x\",null]}\n"),
            "a.jsonl:1: expected strings in the array in field \"label\", found null; remove it");
  EXPECT_EQ(refusal("a.jsonl", "{\"text\":\"one\",\"label\":3}\n"),
            "a.jsonl:1: expected a string in field \"label\", found a number; write it in quotes");
}

}  // namespace
}  // namespace dbsa::testing
