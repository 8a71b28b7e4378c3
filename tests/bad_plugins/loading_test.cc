// Libraries that cannot be used, each with its exact message.
#include <gtest/gtest.h>

#include "tests/bad_plugins/test_plugins.h"

namespace dbsa::host {
namespace {

struct LoadingCase {
  const char* name;
  const char* message;  // after "plugin test.block_grouper.<name> (<plugins>/<name>.so): "
};

class Loading : public testing::TestWithParam<LoadingCase> {};

TEST_P(Loading, IsRefusedWithTheCause) {
  const std::string name = GetParam().name;
  const auto plugin = load_bad(DBSA_KIND_BLOCK_GROUPER, name);
  ASSERT_FALSE(plugin.ok());
  EXPECT_EQ(plugin.error().code, ErrorCode::kPlugin);
  EXPECT_EQ(
      shortened(plugin.error().message),
      "plugin test.block_grouper." + name + " (<plugins>/" + name + ".so): " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Loading,
    testing::Values(
        LoadingCase{"small_table", "its table has struct_size 8, expected 56"},
        LoadingCase{"large_table", "its table has struct_size 4096, expected 56 to 64"},
        LoadingCase{"wrong_magic",
                    "is no plugin of dbsa-pipe: magic 0x12345678, expected 0x41534244"},
        LoadingCase{
            "wrong_major",
            "built for plugin interface 1.2, this dbsa-pipe has 0.2; install a newer dbsa-pipe, or "
            "rebuild the plugin with this version's headers"},
        LoadingCase{
            "wrong_minor",
            "built for plugin interface 0.7, this dbsa-pipe has 0.2; install a newer dbsa-pipe, or "
            "rebuild the plugin with this version's headers"},
        LoadingCase{
            "older_minor",
            "built for plugin interface 0.1, this dbsa-pipe has 0.2; rebuild the plugin with this "
            "version's headers"},
        LoadingCase{"wrong_kind",
                    "the library is of kind retriever, its manifest says block_grouper"},
        LoadingCase{"unknown_kind", "the library is of kind 99, its manifest says block_grouper"},
        LoadingCase{"wrong_revision",
                    "the library has revision 1, its manifest says 2; install both from one build"},
        LoadingCase{"null_check_config", "its function check_config is null"},
        LoadingCase{"null_create", "its function create is null"},
        LoadingCase{"null_destroy", "its function destroy is null"},
        LoadingCase{"null_vtable", "its table has no block_grouper functions"},
        LoadingCase{"wrong_vtable_size",
                    "its block_grouper functions have struct_size 8, expected 16"},
        LoadingCase{"null_function", "its function group is null"},
        LoadingCase{"no_symbol",
                    "has no symbol dbsa_plugin; its source must end with DBSA_PLUGIN(Class)"},
        LoadingCase{"undefined_symbol", "cannot be loaded: undefined symbol: dbsa_nobody_has_this"},
        LoadingCase{
            "missing_library",
            "cannot be loaded: libdbsa_absent.so: cannot open shared object file: No such file or "
            "directory; install libdbsa_absent.so or add its folder to LD_LIBRARY_PATH"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Loading, TakesAGoodPlugin) {
  const auto plugin = load_bad(DBSA_KIND_BLOCK_GROUPER, "good");
  ASSERT_TRUE(plugin.ok()) << plugin.error().message;
  EXPECT_EQ(plugin->id, "test.block_grouper.good");
  // The library is mapped once.
  EXPECT_EQ(load_bad(DBSA_KIND_BLOCK_GROUPER, "good")->table, plugin->table);
}

// A table may end before a field that came later.
TEST(Loading, TakesAnOlderTable) {
  const auto plugin = load_bad(DBSA_KIND_BLOCK_GROUPER, "older_table");
  ASSERT_TRUE(plugin.ok()) << plugin.error().message;
  EXPECT_EQ(plugin->table->struct_size, 64u);
  EXPECT_EQ(find_extension(*plugin, "dbsa.backend.quantised/1"), nullptr);
}

TEST(Loading, NamesAMissingFile) {
  Manifest manifest = **bad_plugins().find(DBSA_KIND_BLOCK_GROUPER, "good");
  manifest.library_path = "/nowhere/good.so";
  manifest.path = "/nowhere/good.plugin.toml";
  manifest.id = "test.block_grouper.gone";
  EXPECT_EQ(bad_plugins().load(manifest).error().message,
            "plugin test.block_grouper.gone (/nowhere/good.so): no such file; it belongs beside "
            "/nowhere/good.plugin.toml");
}

TEST(Loading, ReadsTheManifestsInterfaceVersionFirst) {
  Manifest manifest = **bad_plugins().find(DBSA_KIND_BLOCK_GROUPER, "good");
  manifest.abi_minor = 9;
  manifest.id = "test.block_grouper.later";
  EXPECT_EQ(shortened(bad_plugins().load(manifest).error().message),
            "plugin test.block_grouper.later (<plugins>/good.so): built for plugin interface 0.9, "
            "this dbsa-pipe has 0.2; install a newer dbsa-pipe, or rebuild the plugin with this "
            "version's headers");
}

TEST(Loading, NamesAFileThatIsNoLibrary) {
  Manifest manifest = **bad_plugins().find(DBSA_KIND_BLOCK_GROUPER, "good");
  manifest.library_path = manifest.path;
  manifest.id = "test.block_grouper.text";
  EXPECT_EQ(
      shortened(bad_plugins().load(manifest).error().message),
      "plugin test.block_grouper.text (<plugins>/good.plugin.toml): expected a shared "
      "library, found a text file, which begins with \"id = \\\"test.block_grouper.good\\\"\\nk\"; "
      "build the plugin again, or copy its library again");
}

}  // namespace
}  // namespace dbsa::host
