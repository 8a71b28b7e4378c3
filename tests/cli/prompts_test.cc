// Prompts: texts of several fields, names of labels, the model's chat template.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class Prompts : public CliTest {
 protected:
  void SetUp() override { make_pipeline(); }

  // Pairs of two texts with a code, as data sets of textual entailment have them.
  void write_pairs(const std::string& keys) {
    std::string pool = "premise,claim,label\n";
    for (int i = 0; i < 24; ++i)
      pool += "topic " + std::to_string(i % 3) + " rains,\"it is wet, " + std::to_string(i) +
              "\"," + std::to_string(i % 2) + "\n";
    workspace_.write("pairs.csv", pool);
    workspace_.write(
        "asked.csv",
        "id,premise,claim,label\n7,topic 1 rains,it is dry,0\n8,topic 2 rains,cold,1\n");
    std::string file = workspace_.read("pipeline.toml");
    const auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = file.find(from);
      ASSERT_NE(at, file.npos) << from << " in " << file;
      file.replace(at, from.size(), to);
    };
    replace("pool.jsonl", "pairs.csv");
    replace("queries.jsonl", "asked.csv");
    if (file.find("[prompt]") == file.npos) file += "\n[prompt]\n";
    replace("[prompt]\n", "[prompt]\n" + keys);
    workspace_.write("pairs.toml", file);
  }
  Words pairs(Words words, const Words& more = {}) const {
    words.insert(words.begin() + 1, path("pairs.toml"));
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string answers() const { return workspace_.read("answers.csv"); }
};

const char* const kTemplate =
    "demonstration = \"Premise: {premise}\\nClaim: {claim}\\nAnswer: {label}\"\n";

TEST_F(Prompts, TextsOfSeveralFields) {
  write_pairs(kTemplate);
  const auto ran = cli(pairs({"run"}, {"--answers", path("answers.csv")}));
  ASSERT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(answers(), StartsWith("id,premise,claim,label,answer_label,"));
  // One text needs its fields.
  const auto none = cli(pairs({"query"}, {"it is dry"}));
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(
      none.error,
      HasSubstr("TEXT: prompt.demonstration makes a text of several fields; expected a JSON "
                "object with them, found \"it is dry\"; write '{\"premise\": \"...\", "
                "\"claim\": \"...\"}'"));
  const std::string object = "{\"claim\": \"it is dry\", \"premise\": \"topic 1 rains\"}";
  const auto one = cli(pairs({"query"}, {object, "--json"}));
  ASSERT_EQ(one.exit_code, 0) << one.error;
  EXPECT_EQ(json::parse(one.out).at("text"), "topic 1 rains\nClaim: it is dry");
  const auto line = cli(pairs({"query"}, {"--json"}), {.input = object + "\n"});
  ASSERT_EQ(line.exit_code, 0) << line.error;
  EXPECT_EQ(json::parse(line.out).at("label"), json::parse(one.out).at("label"));
  const auto explained = cli(pairs({"explain"}, {"--query", object, "--json"}));
  ASSERT_EQ(explained.exit_code, 0) << explained.error;
  EXPECT_EQ(json::parse(explained.out).at("prompt").back().at("text"),
            "Premise: topic 1 rains\nClaim: it is dry\nAnswer:");
  const auto less = cli(pairs({"query"}, {"{\"claim\": \"it is dry\"}"}));
  EXPECT_THAT(less.error, HasSubstr("TEXT: expected a field \"premise\", found \"claim\""));
}

TEST_F(Prompts, FaultsOfTemplatesHaveTheirPlace) {
  write_pairs("demonstration = \"{premise} {label} {claim}\"\n");
  const auto behind = cli(pairs({"validate"}));
  EXPECT_EQ(behind.exit_code, 2);
  EXPECT_THAT(behind.error, HasSubstr("pairs.toml:"));
  EXPECT_THAT(behind.error, HasSubstr("prompt.demonstration: {claim} stands behind {label}"));
  write_pairs("demonstration = \"{premise} {claims}: {label}\"\n");
  const auto missing = cli(pairs({"validate"}));
  EXPECT_THAT(missing.error,
              HasSubstr("pairs.csv:1: expected a column \"claims\", found \"premise\", "
                        "\"claim\", \"label\" separated by a comma; did you mean "
                        "\"claim\"?"));
}

TEST_F(Prompts, ATemplateReplacesThePrefixes) {
  write_pairs("input_prefix = \"Q: \"\n" + std::string(kTemplate));
  const auto both = cli(pairs({"validate"}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.error,
              HasSubstr("prompt.input_prefix: prompt.demonstration says what stands before "
                        "texts and labels, got \"Q: \", too; leave one of them out"));
  write_pairs("input_prefix = \"Q: \"\n");
  const auto set =
      cli(pairs({"validate"}, {"--set", "prompt.demonstration={premise}; {claim} -> {label}"}));
  EXPECT_EQ(set.exit_code, 0) << set.error;
  const auto blank =
      cli(pairs({"validate"}, {"--set", "prompt.demonstration={premise}; {claim} {label}"}));
  EXPECT_EQ(blank.exit_code, 2);
  EXPECT_THAT(blank.error,
              HasSubstr("prompt.demonstration: expected text between the last field and "
                        "{label} that announces the label, found \" \""));
}

TEST_F(Prompts, LabelsHaveNames) {
  write_pairs(kTemplate);
  const std::string names = "data.label_names={0 = \"wholly true\", 1 = \"wholly false\"}";
  const auto ran = cli(pairs({"run"}, {"--answers", path("answers.csv"), "--set", names}));
  ASSERT_EQ(ran.exit_code, 0) << ran.error;
  // Codes in the table, names in the record.
  EXPECT_EQ(answers().find("wholly"), std::string::npos) << answers();
  const json record = only_record();
  for (const json& query : record.at("queries")) {
    EXPECT_THAT(query.at("label").get<std::string>(), StartsWith("wholly "));
    EXPECT_THAT(query.at("expected").get<std::string>(), StartsWith("wholly "));
  }
  const auto unknown = cli(pairs({"validate"}, {"--set", "data.label_names={0 = \"true\"}"}));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.error,
              HasSubstr("pairs.csv:3: expected a label that data.label_names has a name for, found "
                        "\"1\"; it has names for \"0\"; add it there"));
  const auto twice =
      cli(pairs({"validate"}, {"--set", "data.label_names={0 = \"true\", 1 = \"true\"}"}));
  EXPECT_THAT(twice.error, HasSubstr("data.label_names: codes \"0\" and \"1\" must have different "
                                     "names, got \"true\" for both"));
}

TEST_F(Prompts, TheModelsChatTemplate) {
  write_pairs("demonstration = \"Premise: {premise}\\nClaim: {claim}\\n{label}\"\nchat = true\n");
  const auto none = cli(pairs({"validate"}));
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.error, HasSubstr("the model has no chat template; use one that was trained on "
                                    "conversations (an instruct model), or leave prompt.chat out"));
  workspace_.write("model/chat_template.jinja",
                   "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}</{{ m.role }}>\n"
                   "{% endfor %}{% if add_generation_prompt %}<assistant>\n{% endif %}");
  const auto checked = cli(pairs({"validate"}));
  ASSERT_EQ(checked.exit_code, 0) << checked.error;
  const auto ran = cli(pairs({"run"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.error;
  const std::string object = "{\"claim\": \"it is dry\", \"premise\": \"topic 1 rains\"}";
  const auto explained = cli(pairs({"explain"}, {"--query", object, "--json"}));
  ASSERT_EQ(explained.exit_code, 0) << explained.error;
  const json prompt = json::parse(explained.out).at("prompt");
  EXPECT_THAT(prompt.front().at("text").get<std::string>(), StartsWith("<user>\nPremise: topic "));
  EXPECT_THAT(prompt.front().at("text").get<std::string>(), HasSubstr("</user>\n<assistant>\n"));
  EXPECT_EQ(prompt.back().at("text"),
            "<user>\nPremise: topic 1 rains\nClaim: it is dry</user>\n<assistant>");
  // With a system text there is something that every block sees first.
  const auto anchor = cli(pairs({"validate"}, {"--set", "prompt.system=Be brief."}));
  EXPECT_EQ(anchor.exit_code, 2);
  EXPECT_THAT(anchor.error, HasSubstr("prompt.anchor: the chat template begins every conversation "
                                      "with \"<system>\\nBe brief.</system>\\n\"; write anchor = "
                                      "\"prefix\""));
  // Another template is another pool.
  workspace_.write("model/chat_template.jinja",
                   "{% for m in messages %}[{{ m.role }}]\n{{ m.content }}[/{{ m.role }}]\n"
                   "{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}");
  const auto other = cli(pairs({"query"}, {object}));
  EXPECT_EQ(other.exit_code, 2) << other.out;
  const auto idle = cli(pairs({"validate"}, {"--set", "prompt.separator=x"}));
  EXPECT_THAT(idle.error,
              HasSubstr("prompt.separator: the model's chat template (prompt.chat = true) "
                        "decides this; leave it out"));
}

}  // namespace
}  // namespace dbsa
