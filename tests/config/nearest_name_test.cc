#include "config/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

#include "config/exit_code.h"
#include "config/json_pointer.h"

namespace dbsa {
namespace {

TEST(NearestName, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"k1", "b", "stemmer", "stop_words", "text"};
  EXPECT_EQ(nearest_name("k11", names), "k1");
  EXPECT_EQ(nearest_name("stemer", names), "stemmer");
  EXPECT_EQ(nearest_name("stop_wrods", names), "stop_words");
  EXPECT_EQ(nearest_name("txet", names), "text");  // a swap is one edit
  EXPECT_EQ(nearest_name("text", names), "text");
  EXPECT_EQ(did_you_mean("txet", names), "; did you mean \"text\"?");
}

TEST(NearestName, StaysSilentOtherwise) {
  const std::vector<std::string> names = {"k1", "b", "stemmer"};
  EXPECT_EQ(nearest_name("temperature", names), "");
  EXPECT_EQ(nearest_name("x", names), "");  // one letter for another is no likeness
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'k'), names), "");
  EXPECT_EQ(nearest_name("k1", {}), "");
  EXPECT_EQ(did_you_mean("temperature", names), "");
}

TEST(JsonPointer, NamesKeysForPeople) {
  EXPECT_EQ(dotted_name("/retriever/k1"), "retriever.k1");
  EXPECT_EQ(dotted_name("/axes/2/values"), "axes[2].values");
  EXPECT_EQ(dotted_name("/a b/c"), "\"a b\".c");
  EXPECT_EQ(dotted_name(""), "");
  EXPECT_EQ(append_pointer("/a", "b/c~d"), "/a/b~1c~0d");
  EXPECT_EQ(split_pointer("/a/b~1c~0d"), (std::vector<std::string>{"a", "b/c~d"}));
  EXPECT_EQ(parent_pointer("/a/b"), "/a");
  EXPECT_EQ(parent_pointer("/a"), "");
  EXPECT_EQ(parent_pointer(""), "");
}

TEST(ExitCode, IsOneForEachSort) {
  EXPECT_EQ(exit_code(ErrorCode::kConfig), 2);
  EXPECT_EQ(exit_code(ErrorCode::kPlugin), 3);
  EXPECT_EQ(exit_code(ErrorCode::kEnvironment), 4);
  EXPECT_EQ(exit_code(ErrorCode::kNotFound), 4);
  EXPECT_EQ(exit_code(ErrorCode::kCorrupt), 4);
  EXPECT_EQ(exit_code(ErrorCode::kRun), 5);
  EXPECT_EQ(exit_code(ErrorCode::kInvalidArgument), 5);
  EXPECT_EQ(exit_code(ErrorCode::kUnsupported), 5);
  EXPECT_EQ(exit_code(ErrorCode::kCancelled), 130);
}

TEST(ExitCode, TellsProcessesThatWereAskedToStop) {
  for (const int code : {129, 130, 143}) EXPECT_TRUE(is_cancelled(code)) << code;
  for (const int code : {0, 2, 4, 5, 127, 128, 134, 137, 139}) EXPECT_FALSE(is_cancelled(code));
  EXPECT_EQ(signal_exit_code(15), 143);
}

}  // namespace
}  // namespace dbsa
