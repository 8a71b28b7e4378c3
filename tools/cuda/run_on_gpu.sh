#!/bin/sh
# Checks and times the CUDA backend on a machine with a GPU, from a bundle of tools/cuda/bundle.sh, in
# one call. Every step has its own time limit and its own log; a table of them comes last.
set -u
cd "$(dirname "$0")/../.."

usage() {
  cat <<'END'
usage: tools/cuda/run_on_gpu.sh BUNDLE [STEP...]

Steps, all of them unless some are named: kernels conformance memcheck racecheck answers ops model
serving.
Logs go to the folder $OUT (build/gpu). "serving" has the shape of Llama 3.1 8B and needs 16 GB in
/dev/shm for its random weights; MODEL names another folder for them.
END
}

case "${1-}" in
  "" | -h | --help) usage; exit 0 ;;
esac
bundle=$1
shift
steps=${*:-kernels conformance memcheck racecheck answers ops model serving}
out=${OUT:-build/gpu}
mkdir -p "$out"
work=$(mktemp -d)
models=${MODEL:-/dev/shm}
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xJf "$bundle" || exit 2

# cuBLASLt: where CUDA is installed, or in a Python package.
blas=$(find /usr/local/cuda/lib64 /usr/local/cuda*/targets /opt /usr/lib /usr/local/lib -name 'libcublasLt.so.1[23]' 2>/dev/null |
  head -n 1)
[ -n "$blas" ] || echo "libcublasLt.so was not found; what needs it will say so" >&2
export LD_LIBRARY_PATH="$work/shared:${blas:+$(dirname "$blas"):}${LD_LIBRARY_PATH-}"
export DBSA_PLUGIN_PATH="$work/lib/dbsa/plugins"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
echo "cuBLASLt: ${blas:-none}"
# The conformance suite would pass, skipped.
"$work/bin/dbsa-pipe" inspect cuda | grep 'cannot run' && exit 2

wants() {
  case " $steps " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

table=$out/table.txt
: >"$table"
# step NAME SECONDS COMMAND...: one line of the table, the output in a log.
step() {
  name=$1
  limit=$2
  shift 2
  begin=$(date +%s)
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1
  code=$?
  case $code in
    0) verdict=ok ;;
    124 | 137) verdict="TOOK LONGER THAN ${limit} s" ;;
    *) verdict="FAILED ($code)" ;;
  esac
  printf '%-24s %5s s  %s\n' "$name" "$(($(date +%s) - begin))" "$verdict" | tee -a "$table"
}
checkpoint() { # PRESET SECONDS
  [ -f "$models/dbsa-$1/config.json" ] ||
    step "make-$1" "$2" "$work/bin/dbsa-make-checkpoint" --preset="$1" --out="$models/dbsa-$1"
}
bench() { # NAME SECONDS PROGRAM FLAGS...
  name=$1
  limit=$2
  program=$3
  shift 3
  step "$name" "$limit" "$work/bench/$program" --backend=cuda --plugin_path="$DBSA_PLUGIN_PATH" \
    --json="$out/$name.json" "$@"
}

wants kernels && step kernels 90 "$work/tests/attention_backend_cuda_check" --bench
wants conformance && step conformance 150 "$work/tests/backend_cuda_test" --gtest_brief=1
if wants memcheck; then
  step memcheck 100 compute-sanitizer --tool memcheck --report-api-errors no --error-exitcode 9 \
    "$work/tests/backend_cuda_test" --gtest_brief=1 \
    --gtest_filter='*Block.*:Elementwise.*:Linear.WeightTypes:Linear.ReadsABufferAnewOnceItIsWritten:GatedMlp.EqualsTheOracle:Attention.RowsThatSeeNothingOfASegment:Refuses.*'
fi
# What goes through shared memory: a small case of each kernel.
if wants racecheck; then
  step racecheck 150 compute-sanitizer --tool racecheck --error-exitcode 9 \
    "$work/tests/backend_cuda_test" --gtest_brief=1 \
    --gtest_filter='Elementwise.*:Attention.RowsThatSeeNothingOfASegment:CudaBlock.ImportedAgainAndAgain'
fi
if wants answers; then
  step answers-run 60 tools/cuda/quickstart_with.sh "$work/bin/dbsa-pipe" cuda "$out/answers.json"
  step answers 20 env -u LD_LIBRARY_PATH python3 tools/cuda/compare_answers.py "$work/cpu_answers.json" "$out/answers.json"
fi
if wants ops || wants model; then checkpoint 1b 60; fi
wants ops && bench ops 120 bench_ops --model="$models/dbsa-1b" --seconds=0.2
wants model && bench model 90 bench_model --model="$models/dbsa-1b" --seconds=0.5
if wants serving; then
  checkpoint 8b 120
  bench serving 180 bench_serving --model="$models/dbsa-8b" --seconds=0.5
fi

for name in kernels ops model serving; do
  [ -f "$out/$name.log" ] && { echo "---- $name"; tail -n 40 "$out/$name.log"; }
done
for name in conformance memcheck racecheck answers-run answers; do
  [ -f "$out/$name.log" ] && { echo "---- $name"; tail -n 12 "$out/$name.log"; }
done
echo "----"
cat "$table"
! grep -qE 'FAILED|TOOK' "$table"
