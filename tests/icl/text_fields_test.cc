#include "icl/text_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "icl/dataset.h"
#include "icl/label_names.h"
#include "icl/prompt.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

using ::testing::ElementsAre;

DemonstrationTemplate parsed(const std::string& text) {
  auto parts = parse_demonstration_template(text, "label");
  EXPECT_TRUE(parts.ok()) << parts.error().message;
  return *std::move(parts);
}

std::string fault(const std::string& text, const std::string& label_field = "label") {
  const auto parts = parse_demonstration_template(text, label_field);
  if (parts.ok()) return "";
  EXPECT_EQ(parts.error().config_pointer, "/prompt/demonstration");
  return parts.error().message;
}

TEST(DemonstrationTemplate, IsTakenApart) {
  const auto parts = parsed("Premise: {premise}\nClaim: {claim}\nAnswer: {label}.");
  EXPECT_EQ(parts.before, "Premise: ");
  EXPECT_EQ(parts.text.description(), "{premise}\nClaim: {claim}");
  EXPECT_THAT(parts.text.names(), ElementsAre("premise", "claim"));
  EXPECT_EQ(parts.lead, "\nAnswer: ");
  EXPECT_EQ(parts.after, ".");
}

TEST(DemonstrationTemplate, Braces) {
  const auto parts = parsed("{{a}} {x}}}{{ {x} -> {label}}}");
  EXPECT_EQ(parts.before, "{a} ");
  EXPECT_EQ(parts.text.write(std::vector<std::string>{"1", "{label}"}), "1}{ {label}");
  EXPECT_THAT(parts.text.names(), ElementsAre("x"));
  EXPECT_EQ(parts.after, "}");
}

TEST(DemonstrationTemplate, Faults) {
  const std::string begin = "prompt.demonstration: ";
  EXPECT_EQ(fault("{text}"),
            begin +
                "expected {label}, where the label is written, found none, at byte "
                "7 of line 1 of the template");
  EXPECT_EQ(fault("{label}"), begin +
                                  "expected a field before {label}, such as {text}, found none, at "
                                  "byte 1 of line 1 of the template");
  EXPECT_EQ(fault("a\n{text} {label} {label}"),
            begin + "expected one {label}, found two, at byte 16 of line 2 of the template");
  EXPECT_EQ(fault("{text} {label} {more}"),
            begin +
                "{more} stands behind {label}; a query ends where its label is to be written, so "
                "write all fields before {label}, at byte 16 of line 1 of the template");
  EXPECT_EQ(
      fault("{text {label}"),
      begin + "a \"{\" is not closed; write {{ for a brace, at byte 1 of line 1 of the template");
  EXPECT_EQ(
      fault("text} {label}"),
      begin + "a \"}\" closes no field; write }} for a brace, at byte 5 of line 1 of the template");
  EXPECT_EQ(fault("{ } {label}"),
            begin +
                "expected the name of a column in the braces, found none, at byte 1 of line 1 of "
                "the template");
  EXPECT_EQ(fault("{text} {kind} {label}", "kind"),
            begin +
                "{kind} is the column of labels (data.label_field), and its value would stand in "
                "the query, too; write {label} for the label, at byte 8 of line 1 of the template");
}

// What a template of one field writes is what the prefixes write.
TEST(DemonstrationTemplate, EqualsThePrefixes) {
  const auto parts = parsed("query: {text}\nintent: {label}");
  const PromptFormat prefixes = {"query: ", "intent: ", "\n==\n"};
  const PromptFormat format = {parts.before, parts.lead, "\n==\n", ""};
  const Example example = {"where is it", "card"};
  EXPECT_EQ(demonstration_text(format, example), demonstration_text(prefixes, example));
  EXPECT_EQ(query_text(format, example.text), query_text(prefixes, example.text));
}

class TextFieldsOfFiles : public ::testing::Test {
 protected:
  const TextFields fields_ = parsed("{premise}\nClaim: {claim}\n{label}").text;

  // "text=label" of each row, or its error without the path.
  std::vector<std::string> rows(const std::string& name, const std::string& bytes,
                                const LabelNames& names = {}) const {
    const std::string path = workspace_.write(name, bytes);
    const auto rows = load_rows(path, fields_, "label", LabelPolicy::kOptional, '\0', names);
    if (!rows.ok()) return {rows.error().message.substr(path.size())};
    std::vector<std::string> texts;
    for (const Row& row : *rows)
      texts.push_back(row.error ? row.error->message.substr(path.size())
                                : row.example.text + "=" + row.example.label);
    return texts;
  }

  Workspace workspace_;
};

TEST_F(TextFieldsOfFiles, AreReadFromColumns) {
  EXPECT_THAT(rows("a.csv", "id,claim,label,premise\n1,c,x,p\n2,,,q\n"),
              ElementsAre("p\nClaim: c=x", "q\nClaim: ="));
  EXPECT_THAT(rows("b.csv", "id;claim;label;premise\n1;c,d;x;p\n"), ElementsAre("p\nClaim: c,d=x"));
  EXPECT_THAT(rows("a.jsonl", "{\"claim\": \"c\", \"premise\": \"p\", \"label\": \"x\"}\n"),
              ElementsAre("p\nClaim: c=x"));
}

TEST_F(TextFieldsOfFiles, Faults) {
  EXPECT_THAT(rows("a.csv", "id,claims,label,premise\n1,c,x,p\n"),
              ElementsAre(":1: expected a column \"claim\", found \"id\", \"claims\", \"label\", "
                          "\"premise\" separated by a comma; did you mean \"claims\"? Name the "
                          "columns in prompt.demonstration and data.label_field, or set "
                          "data.delimiter"));
  EXPECT_THAT(
      rows("b.csv", "claim,label,premise\nc,x,p\n\" \",x,\n"),
      ElementsAre("p\nClaim: c=x",
                  ":3: expected a text in one of the fields \"premise\", \"claim\", found all of "
                  "them empty; fill one in or remove the record"));
  EXPECT_THAT(
      rows("a.jsonl", "{\"premise\": \"p\", \"claim\": 1}\n{\"premise\": \"p\"}\n"),
      ElementsAre(":1: expected a string in field \"claim\", found a number; write it in quotes",
                  ":2: expected a field \"claim\", found \"premise\"; name the fields in "
                  "prompt.demonstration and data.label_field"));
}

TEST_F(TextFieldsOfFiles, LabelsHaveNames) {
  const auto names = LabelNames::make({{"0", "yes"}, {"1", "no"}});
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(rows("a.csv", "claim,label,premise\nc,0,p\nc,1,p\nc,yes,p\nc,,p\n", *names),
              ElementsAre("p\nClaim: c=yes", "p\nClaim: c=no",
                          ":4: expected a label that data.label_names has a name for, found "
                          "\"yes\"; it has names for \"0\", \"1\"; add it there",
                          "p\nClaim: c="));
  EXPECT_THAT(rows("a.jsonl",
                   "{\"claim\": \"c\", \"premise\": \"p\", \"label\": 1}\n"
                   "{\"claim\": \"c\", \"premise\": \"p\", \"label\": [0, \"1\"]}\n"
                   "{\"claim\": \"c\", \"premise\": \"p\", \"label\": 1.5}\n",
                   *names),
              ElementsAre("p\nClaim: c=no", "p\nClaim: c=yes",
                          ":3: expected a string in field \"label\", found a number; write it in "
                          "quotes"));
  EXPECT_EQ(names->code_of("no"), "1");
  EXPECT_EQ(names->code_of("other"), "other");
}

TEST(LabelNames, Faults) {
  const auto message = [](const std::map<std::string, std::string>& names) {
    const auto made = LabelNames::make(names);
    return made.ok() ? "" : made.error().config_pointer + " " + made.error().message;
  };
  EXPECT_EQ(message({{"0", "yes"}, {"1", "yes"}}),
            "/data/label_names data.label_names: codes \"0\" and \"1\" must have different names, "
            "got \"yes\" for both");
  EXPECT_EQ(message({{"0", " yes"}}),
            "/data/label_names data.label_names: the name of code \"0\" must be a text without "
            "white space around it, got \" yes\"");
  EXPECT_EQ(message({{"0", "a"}, {"1", "b"}}), "");
}

}  // namespace
}  // namespace dbsa
