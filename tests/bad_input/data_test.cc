// Demonstrations and queries.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "config/gzip.h"
#include "tests/bad_input/bad_input.h"

namespace dbsa {
namespace {

using BadData = BadInput;

TEST_F(BadData, Empty) {
  workspace_.write("pool.jsonl", "");
  expect_refusal(
      "exit 2\nerror: $W/pool.jsonl: expected at least one example, found none; add examples or "
      "name another file\n");
}

// A pipe that nobody writes to must not be waited for, nor a device be read for ever.
TEST_F(BadData, APipeADeviceOrAFolder) {
  const auto expect = [&](const std::string& found) {
    expect_refusal("exit 4\nerror: $W/pool.jsonl: expected a regular file, found " + found +
                   "; name a regular file\n");
    std::filesystem::remove_all(path("pool.jsonl"));
  };
  std::filesystem::remove(path("pool.jsonl"));
  ASSERT_EQ(::mkfifo(path("pool.jsonl").c_str(), 0600), 0);
  expect("a named pipe");
  std::filesystem::create_symlink("/dev/zero", path("pool.jsonl"));
  expect("a device");
  std::filesystem::create_directory(path("pool.jsonl"));
  expect_refusal(
      "exit 4\nerror: $W/pipeline.toml:5:1: data.demonstrations: must be a file, is a folder: "
      "$W/pool.jsonl\n");
}

TEST_F(BadData, NestedTooDeep) {
  for (const int levels : {65, 50000}) {
    workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": " + std::string(levels, '[') +
                                       std::string(levels, ']') + "}\n");
    expect_refusal(
        "exit 2\nerror: $W/pool.jsonl:1: expected JSON nested at most 64 levels deep, found deeper "
        "values; leave them out\n");
  }
}

TEST_F(BadData, EmptyQueries) {
  workspace_.write("queries.jsonl", "\n\n");
  expect_refusal(
      "exit 2\nerror: $W/queries.jsonl: expected at least one example, found none; add examples or "
      "name another file\n");
}

TEST_F(BadData, ManyFaultsOfEachFile) {
  std::string pool = workspace_.read("pool.jsonl"), said = "exit 2\n";
  for (int i = 0; i < 147; ++i) pool += "{\"text\": \"\", \"label\": \"alpha\"}\n";
  workspace_.write("pool.jsonl", pool);
  workspace_.write("queries.jsonl", "[1]\n");
  for (int i = 0; i < 20; ++i)
    said += "error: $W/pool.jsonl:" + std::to_string(i + 25) +
            ": expected a text in field \"text\", found an empty one; fill it in or remove the "
            "record\n";
  said +=
      "error: $W/pool.jsonl: and 127 more faults\n"
      "error: $W/queries.jsonl:1: expected a JSON object, found an array; write one object a "
      "line\n";
  expect_refusal(said);
}

TEST_F(BadData, AFileOfLabels) {
  const Words labels = set({"data.labels=" + path("labels.csv")});
  expect_refusal(
      "exit 4\nerror: --set data.labels: no such file: "
      "$W/labels.csv\n",
      labels);
  workspace_.write("labels.csv", "name\ndelta\n");
  expect_refusal(
      "exit 2\nerror: $W/labels.csv:1: expected a column \"label\", found \"name\" separated "
      "by a comma; name the columns in [data] text_field and label_field, or set data.delimiter\n",
      labels);
  workspace_.write("labels.csv", "label\n\n");
  expect_refusal(
      "exit 2\nerror: $W/labels.csv: expected at least one example, found none; add examples or "
      "name another file\n",
      labels);
}

// ---- zero-shot ---------------------------------------------------------------------------------

using BadZeroShot = BadInput;

TEST_F(BadZeroShot, AnAnchorThatIsShownAnyway) {
  const std::string text = workspace_.read("pipeline.toml");
  const size_t ratio = text.find("ratio = 0.5");
  ASSERT_NE(ratio, text.npos);
  workspace_.write("pipeline.toml", std::string(text).replace(ratio, 11, "count = 0"));
  const std::string said =
      "exit 2\n"
      "error: $W/pipeline.toml:15:1: selection.count: 0 means no demonstrations, but the mask "
      "pattern gives every query the first ";
  expect_refusal(said +
                 "1 block of the pool; lower mask_pattern.anchor_blocks to 0, or use prompt.anchor "
                 "= \"prefix\" with an instruction, or raise selection.count\n");
  expect_refusal(said +
                     "2 blocks of the pool; lower mask_pattern.anchor_blocks to 1, or raise "
                     "selection.count\n",
                 set({"prompt.anchor=\"prefix\"", "prompt.instruction=\"Sort.\"",
                      "mask_pattern.anchor_blocks=2"}));
}

TEST_F(BadData, Bytes) {
  std::filesystem::copy_file(path("model/model.safetensors"), path("pool.jsonl"),
                             std::filesystem::copy_options::overwrite_existing);
  const std::string said = say("validate");
  EXPECT_TRUE(said.starts_with(
      "exit 2\n"
      "error: $W/pool.jsonl:1: expected UTF-8, found the byte 0xA2 at byte 2113 of the line; "
      "convert the file to UTF-8\n"))
      << said;
  EXPECT_LE(std::count(said.begin(), said.end(), '\n'), 1 + 20 + 1);
}

TEST_F(BadData, ThePipelineFileItself) {
  std::filesystem::copy_file(path("pipeline.toml"), path("pool.jsonl"),
                             std::filesystem::copy_options::overwrite_existing);
  for (const char* command : {"validate", "run"})
    EXPECT_TRUE(say(command).starts_with(
        "exit 2\nerror: $W/pool.jsonl:1: expected JSON, found a fault at byte 2 of the line; check "
        "quotes, commas and braces before it\nerror: $W/pool.jsonl:2: expected JSON, "));
  EXPECT_FALSE(std::filesystem::exists(path("store")));
}

TEST_F(BadData, AnotherKindOfFile) {
  expect_refusal(
      "exit 2\nerror: $W/pipeline.toml: expected a name that ends in .jsonl, .csv or .tsv, or in "
      "one of them and .gz, found \".toml\"; convert or rename the file\n",
      set({"data.demonstrations=" + path("pipeline.toml")}));
}

// Each names the file; nothing is encoded, and no memory is taken for what a bomb would unpack to.
TEST_F(BadData, PackedFiles) {
  const Words queries = set({"data.queries=" + path("queries.csv.gz")});
  const std::string packed = pack_gzip("text,label\none,alpha\n").value();
  workspace_.write("queries.csv.gz", packed.substr(0, packed.size() / 2));
  expect_refusal(
      "exit 2\nerror: $W/queries.csv.gz: expected a whole gzip file, found one that is cut short; "
      "copy or pack it again\n",
      queries);
  workspace_.write("queries.csv.gz", "text,label\none,alpha\n");
  expect_refusal(
      "exit 2\nerror: $W/queries.csv.gz: expected a gzip file, as its name says, found other "
      "bytes; remove .gz from the name, or pack it with gzip\n",
      queries);
  const std::string member = pack_gzip(std::string(1 << 24, ',')).value();
  std::string bomb;
  for (uint64_t bytes = 0; bytes <= kMaxUnpackedBytes; bytes += 1 << 24) bomb += member;
  workspace_.write("queries.csv.gz", bomb);
  expect_refusal(
      "exit 2\nerror: $W/queries.csv.gz: expected a gzip file of at most 1073741824 bytes when "
      "unpacked, found more; check that it is the right file, or unpack it and name the file in "
      "it\n",
      queries);
}

// ---- positions ---------------------------------------------------------------------------------

// The pool has six blocks of about 200 tokens, 1,200 in all.
class BadPositions : public BadInput {
 protected:
  void limit(int positions) const {
    edit_config([&](nlohmann::json& config) { config["max_position_embeddings"] = positions; });
  }
};

TEST_F(BadPositions, ABlockWithAllThatItSees) {
  limit(600);
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:11:2: mask_pattern: block 2 needs 603 positions, with all that it "
      "sees, and the model has 600; lower block_grouper.block_size or let blocks see fewer "
      "others\n");
}

// Of each file up to 20 are named, before anything is encoded.
TEST_F(BadPositions, DemonstrationsThatAreTooLong) {
  limit(600);
  const std::string text = workspace_.read("pool.jsonl");
  const auto record = [](char last) {
    return nlohmann::json{{"text", std::string(600, 'a') + last}, {"label", "x"}}.dump() + "\n";
  };
  // A token a byte.
  const std::string found = std::to_string(std::string("query: \nintent: x\n==\n").size() + 601);
  const auto line = [&](size_t number) {
    return "$W/pool.jsonl:" + std::to_string(number) +
           ": expected a demonstration of at most 600 tokens, the model's positions, found " +
           found + "; shorten its text or remove the record\n";
  };
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  workspace_.write("pool.jsonl", text + record('a') + record('b'));
  const std::string both = "exit 2\nerror: " + line(lines + 1) + "error: " + line(lines + 2);
  expect_refusal(both);
  EXPECT_EQ(say("encode"), both);

  // Read again for each query, the others can be shown; a vote reads none.
  const ProcessResult shown =
      cli({"validate", path("pipeline.toml"), "--skip-queries", "--set", "selection.recompute=true",
           "--set", "selection.count=1", "--set", "mask_pattern.plugin=self"});
  EXPECT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_EQ(shortened(shown.error), "warning: " + line(lines + 1) + "warning: " + line(lines + 2));
  const ProcessResult vote =
      cli({"validate", path("pipeline.toml"), "--set", "decoding.method=\"vote\""});
  EXPECT_EQ(vote.exit_code, 0) << vote.error;

  std::string many = text;
  for (char last = 'a'; last < 'a' + 23; ++last) many += record(last);
  workspace_.write("pool.jsonl", many);
  std::string first_20;
  for (size_t i = 1; i <= 20; ++i) first_20 += "error: " + line(lines + i);
  expect_refusal("exit 2\n" + first_20 + "error: $W/pool.jsonl: and 3 more faults\n");
}

TEST_F(BadPositions, ABlockUnderGlobalPositions) {
  limit(1000);
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:11:2: mask_pattern: block 4 needs 1005 positions (encode_positions "
      "= \"global\") and the model has 1000; use encode_positions = \"packed\" or fewer "
      "demonstrations\n",
      set({"mask_pattern.encode_positions=global"}));
}

TEST_F(BadPositions, ThePoolsTotalLengthIsNotLimited) {
  limit(1000);
  EXPECT_EQ(cli({"run", path("pipeline.toml")}).exit_code, 0);
}

TEST_F(BadPositions, ASelection) {
  limit(1000);
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:14:2: selection: expected at most 1000 positions, the model's, from "
      "the first selected block to the query's end, found at least 1206; lower selection.ratio or "
      "count, or shorten the query\n",
      set({"selection.ratio=1.0"}));
}

TEST_F(BadPositions, ASelectionAtOriginalPositions) {
  limit(1000);
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:14:2: selection: expected at most 1000 positions, the model's, from "
      "the first selected block to the query's end, found at least 1206; write positions = "
      "\"contiguous\"\n",
      set({"selection.positions=original"}));
}

TEST_F(BadPositions, AQueryThatIsTooLongForItsSelection) {
  limit(1000);
  ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0);
  EXPECT_EQ(
      say("query", {std::string(500, 'a')}),
      "exit 2\nerror: expected a prompt of at most 1000 positions, the model's, found 1126, of "
      "which the query takes 515; shorten the text, write data.truncate = \"left\" or "
      "\"right\", or select fewer blocks\n");
}

}  // namespace
}  // namespace dbsa
