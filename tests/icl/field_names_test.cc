// Which column or field a name means, and labels that differ in what is not seen.
#include "icl/field_names.h"

#include <gtest/gtest.h>

#include "icl/dataset.h"
#include "icl/label_column.h"
#include "icl/label_coverage.h"
#include "icl/unseen.h"
#include "tests/icl/temporary_file.h"

namespace dbsa::testing {
namespace {

// "TEXT=LABEL" of the first row, or its error.
std::string first_row(const std::string& name, const std::string& bytes,
                      const std::string& label_field = "label",
                      LabelPolicy policy = LabelPolicy::kOptional) {
  TemporaryFile file(name, bytes);
  const auto rows = load_rows(file.path(), "text", label_field, policy);
  const std::string folder = file.path().parent_path().string() + "/";
  const auto shortened = [&](const std::string& message) {
    return message.starts_with(folder) ? message.substr(folder.size()) : message;
  };
  if (!rows.ok()) return shortened(rows.error().message);
  const Row& row = rows->front();
  return row.error ? shortened(row.error->message) : row.example.text + "=" + row.example.label;
}

TEST(FieldNames, AreFoundWhateverShowsNothingBesideThem) {
  for (const char* unseen : {" ", "\u3000", "\u200b", "\u2009", "\u200e", "\u00ad", "\u00a0",
                             "\ufeff", "\u2060", "\u202e", "\u200d"})
    for (const std::string& name : {std::string("label") + unseen, unseen + std::string("label"),
                                    unseen + ("label" + std::string(unseen))}) {
      EXPECT_EQ(first_row("a.csv", "text," + name + "\none,x\n"), "one=x") << name;
      EXPECT_EQ(first_row("a.csv", "text;" + name + "\none;x\n"), "one=x") << name;
      EXPECT_EQ(first_row("a.jsonl", "{\"text\":\"one\",\"" + name + "\":\"x\"}\n"), "one=x")
          << name;
      EXPECT_EQ(first_row("a.jsonl", "{\"text\":\"one\",\"label\":\"x\"}\n", name), "one=x")
          << name;
    }
}

TEST(FieldNames, AreOneInEveryNormalForm) {
  const std::string composed = "Kategori\u00eb", decomposed = "Kategorie\u0308";
  for (const std::string& asked : {composed, decomposed})
    for (const std::string& given : {composed, decomposed}) {
      EXPECT_EQ(first_row("a.csv", "text," + given + "\none,x\n", asked), "one=x");
      EXPECT_EQ(first_row("a.jsonl", "{\"text\":\"one\",\"" + given + "\":\"x\"}\n", asked),
                "one=x");
    }
}

TEST(FieldNames, ThatLookTheSameAreOneTooMany) {
  EXPECT_EQ(first_row("a.csv", "text,label,label\u200b\none,x,y\n"),
            "a.csv:1: expected one column \"label\", found several; rename the others");
  EXPECT_EQ(first_row("a.jsonl", "{\"text\":\"one\",\"label\":\"x\",\"label\u200b\":\"y\"}\n"),
            "a.jsonl:1: expected one field \"label\", found several whose names look the same; "
            "rename the others");
}

std::string missing(const std::string& name, const std::string& bytes) {
  TemporaryFile file(name, bytes);
  const std::string said = missing_label_column(file.path(), "text", "label", '\0');
  const std::string folder = file.path().parent_path().string() + "/";
  return said.starts_with(folder) ? said.substr(folder.size()) : said;
}

TEST(LabelColumn, IsMissedAndTheOneThatIsMeantNamed) {
  const auto expected = [](const std::string& name) {
    return "a.csv has no column \"label\", so accuracy will not be measured; it has the columns "
           "\"text\", \"" +
           name + "\"; did you mean \"" + name +
           "\"? Rename it there, or set data.label_field for all data files";
  };
  for (const char* name : {"lable", "label1", "label_text", "true label", "intent"})
    EXPECT_EQ(missing("a.csv", std::string("text,") + name + "\none,x\n"), expected(name));
  EXPECT_EQ(missing("a.jsonl", "{\"text\":\"one\",\"id\":1}\n{\"text\":\"two\",\"lable\":\"x\"}\n"),
            "a.jsonl has no field \"label\", so accuracy will not be measured; it has the fields "
            "\"id\", \"text\", \"lable\"; did you mean \"lable\"? Rename it there, or set "
            "data.label_field for all data files");
  EXPECT_EQ(missing("a.csv", "id,text,note\n1,one,x\n"),
            "a.csv has no column \"label\", so accuracy will not be measured; it has the columns "
            "\"id\", \"text\", \"note\"; give it one, or leave it so where no labels are known");
  EXPECT_EQ(missing("a.csv", "text,label\none,\n"), "");
  EXPECT_EQ(missing("a.jsonl", "{\"text\":\"one\",\"label\":null}\n"), "");
}

// ---- labels ------------------------------------------------------------------------------------

TEST(Labels, NothingThatIsNotSeenStandsAroundThem) {
  for (const LabelPolicy policy : {LabelPolicy::kRequired, LabelPolicy::kOptional}) {
    EXPECT_EQ(first_row("a.csv", "text,label\none,x\u00a0\n", "label", policy),
              "a.csv:2: expected a label without white space or invisible characters around it, "
              "found \"x\\u00A0\"; remove U+00A0");
    EXPECT_EQ(
        first_row("a.jsonl", "{\"text\":\"one\",\"label\":\"\u3000x\u200b \"}\n", "label", policy),
        "a.jsonl:1: expected a label without white space or invisible characters around it, "
        "found \"\\u3000x\\u200B \"; remove U+3000, U+200B");
  }
  EXPECT_EQ(first_row("a.csv", "text,label\none,\u3000\n", "label", LabelPolicy::kRequired),
            "a.csv:2: expected a label in field \"label\", found an empty one; fill it in or "
            "remove the record");
  // What belongs to a letter or a picture: a variation selector, a tag, a joiner behind a virama.
  for (const char* label : {"\u2764\ufe0f", "\U0001f3f4\U000e0067\U000e007f", "\u0d28\u0d4d\u200d"})
    EXPECT_EQ(first_row("a.csv", std::string("text,label\none,") + label + "\n"),
              std::string("one=") + label);
}

TEST(Labels, ThatLookLikeOnesOfDemonstrationsShowTheDifference) {
  const auto warned = [](const std::string& label, const std::vector<std::string>& labels) {
    LabelCoverage coverage(labels);
    coverage.add({"a", label, 7});
    const std::vector<std::string> warnings = coverage.warnings("q.csv", true);
    const std::string& all = warnings.front();
    const size_t begin = all.find("such as ") + 8;
    return all.substr(begin, all.find(';') - begin);
  };
  EXPECT_EQ(warned("book\u00a0room", {"book room"}),
            "\"book\\u00A0room\" (q.csv:7, which looks like \"book room\" but has U+00A0)");
  EXPECT_EQ(warned("book room", {"book\u200b room"}),
            "\"book room\" (q.csv:7, which looks like \"book\\u200B room\", which has U+200B)");
  EXPECT_EQ(warned("book  room", {"book room"}),
            "\"book  room\" (q.csv:7, which looks like \"book room\" but has other white space)");
  EXPECT_EQ(warned("book", {"book room"}), "\"book\" (q.csv:7)");
}

TEST(Unseen, TextsThatAreNotUtf8StayWhole) {
  EXPECT_EQ(trim_unseen(" \xFF\u00a0"), "\xFF");
  EXPECT_EQ(seen_text("\u00a0a\u3000\xFF b"), "a\u3000\xFF b");
  EXPECT_EQ(seen_text("a\u00a0 \u200bb\u3000"), "a b");
  EXPECT_EQ(unseen_names("a\xC2 \u00a0\u00a0\U000e0001"), "U+00A0, U+E0001");
}

}  // namespace
}  // namespace dbsa::testing
