// dbsa-make-checkpoint: a Hugging Face model folder with random weights, for benches and tests.
#include <gflags/gflags.h>

#include <cstdio>

#include "model/config/json_reader.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

DEFINE_string(out, "", "folder to make");
DEFINE_string(preset, "tiny", "shape: tiny, 110m, 1b or 8b");
DEFINE_string(config, "", "a config.json to take the shape from, in place of --preset");
DEFINE_string(dtype, "bf16", "type of the weights: bf16 or f32");
DEFINE_uint64(seed, 1, "seed of the weights");
DEFINE_bool(overwrite, false, "replace the folder if it exists");

namespace dbsa::tools {
namespace {

Result<nlohmann::json> read_shape() {
  if (FLAGS_config.empty()) return preset_config(FLAGS_preset);
  DBSA_ASSIGN_OR_RETURN(nlohmann::json config, read_json_file(FLAGS_config));
  if (config.is_object()) return config;
  return Error{ErrorCode::kEnvironment, FLAGS_config + ": expected a JSON object", {}};
}

Result<CheckpointSize> make() {
  if (FLAGS_out.empty()) {
    return Error{ErrorCode::kConfig, "--out: is missing; give the folder to make", {}};
  }
  if (FLAGS_dtype != "bf16" && FLAGS_dtype != "f32") {
    return Error{
        ErrorCode::kConfig, "--dtype: expected bf16 or f32, found \"" + FLAGS_dtype + "\"", {}};
  }
  CheckpointPlan plan;
  DBSA_ASSIGN_OR_RETURN(plan.config, read_shape());
  plan.bf16 = FLAGS_dtype == "bf16";
  plan.seed = FLAGS_seed;
  plan.overwrite = FLAGS_overwrite;
  return write_checkpoint(FLAGS_out, plan);
}

}  // namespace
}  // namespace dbsa::tools

int main(int argc, char** argv) {
  gflags::SetUsageMessage(
      "writes a Hugging Face model folder with random weights\n"
      "  dbsa-make-checkpoint --out=models/random-1b --preset=1b --seed=7");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc > 1) {
    std::fprintf(stderr, "dbsa-make-checkpoint: unexpected argument '%s'\n", argv[1]);
    return 2;
  }
  const auto size = dbsa::tools::make();
  if (!size.ok()) {
    std::fprintf(stderr, "dbsa-make-checkpoint: %s\n", size.error().message.c_str());
    return size.error().code == dbsa::ErrorCode::kConfig ? 2 : 4;
  }
  std::printf("%s: %lld parameters, %llu bytes\n", FLAGS_out.c_str(),
              static_cast<long long>(size->parameters),
              static_cast<unsigned long long>(size->bytes));
  return 0;
}
