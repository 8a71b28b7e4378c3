#!/usr/bin/env bash
# Runs a fuzz target for DBSA_FUZZ_SECONDS (default 30): run_fuzzer.sh TARGET SOURCE_FOLDER BUILD_FOLDER
# Its first inputs, if it has any, lie in corpus/ or fuzz_seeds/ beside its source; what it finds is
# kept in BUILD_FOLDER, in corpus/ and findings/.
set -eu
target=$1 sources=$2 build=$3
name=$(basename "$target")
found=$build/corpus/$name
mkdir -p "$found" "$build/findings"
seeds=()
for folder in "$sources/corpus" "$sources/fuzz_seeds"; do
  [ ! -d "$folder" ] || seeds+=("$folder")
done
exec "$target" -max_total_time="${DBSA_FUZZ_SECONDS:-30}" -timeout=20 -rss_limit_mb=2500 -print_final_stats=1 \
  -artifact_prefix="$build/findings/$name-" "$found" "${seeds[@]}"
