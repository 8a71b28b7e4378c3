#!/bin/sh
# Packs what tools/cuda/run_on_gpu.sh needs, for a machine that has a GPU but not the packages this is
# built with: programs, plugins, tests, benches, and the shared libraries they use.
set -eu
cd "$(dirname "$0")/../.."

usage() {
  cat <<'END'
usage: tools/cuda/bundle.sh [BUILD [FILE]]

Packs the build in BUILD (build/release) into FILE (build/cuda_bundle.tar.xz). Answers of the CPU
backend to pipelines/quickstart.toml, which the GPU's are compared with, are made here on the way and
kept beside FILE for the next time.
END
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
esac
[ $# -le 2 ] || { usage >&2; exit 2; }
build=${1-build/release}
file=${2-build/cuda_bundle.tar.xz}
plugins="attention_backend_cuda block_grouper_random mask_pattern_dbsa retriever_bm25 kv_store_hdf5 kv_store_memory"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder/bin" "$folder/lib/dbsa/plugins" "$folder/tests" "$folder/bench" "$folder/shared"
cp "$build/bin/dbsa-pipe" "$build/bin/dbsa-make-checkpoint" "$folder/bin/"
for name in $plugins; do
  cp "$build/lib/dbsa/plugins/dbsa_$name.so" "$build/lib/dbsa/plugins/dbsa_$name.plugin.toml" \
    "$folder/lib/dbsa/plugins/"
done
cp "$build/tests/backend_cuda_test" "$build/tests/attention_backend_cuda_check" "$folder/tests/"
cp "$build/bench/bench_ops" "$build/bench/bench_model" "$build/bench/bench_serving" "$folder/bench/"
strip --strip-unneeded "$folder"/*/* "$folder"/lib/dbsa/plugins/*.so 2>/dev/null || true

# Not the C and C++ runtimes: a machine's own libraries may want theirs, which is no older.
find "$folder" -type f -perm -u+x -exec ldd {} + |
  awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libdl|librt|libpthread|libresolv|libgcc_s|libstdc\+\+)\.so' |
  while read -r library; do cp -L "$library" "$folder/shared/"; done

# What the CPU answers.
answers=$(dirname "$file")/cpu_answers.json
if [ ! -f "$answers" ]; then
  tools/cuda/quickstart_with.sh "$build/bin/dbsa-pipe" cpu "$answers"
fi
cp "$answers" "$folder/cpu_answers.json"

tar -C "$folder" -c . | xz -T0 -6 >"$file"
ls -l "$file"
