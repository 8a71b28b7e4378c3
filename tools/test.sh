#!/usr/bin/env bash
# Everything that must hold before a change is taken: builds, checks, fuzzers, tests. Prints each
# stage with its minutes, continues after a failure, and exits 1 if any stage failed, with the cause
# in its last lines. The release tests come last, so that a good run ends with CTest's own summary.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
  cat <<'END'
usage: tools/test.sh [--quick | --only AREA] [--no-setup] [--fuzz-seconds N] [--help]

  --quick           release build and its tests alone
  --only AREA       one area's tests, built and run with sanitizers and optimised; an area is a
                    folder of tests/. Without AREA: a list of them
  --no-setup        install no packages
  --fuzz-seconds N  how long each fuzz target runs (default 30, with --only 10)

Logs lie in build/test-logs.
END
}

quick=0
only=
setup=1
fuzz_seconds=
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=1 ;;
    --only)
      areas=$(grep -lE 'dbsa_test\(|add_test\(' tests/*/CMakeLists.txt | cut -d/ -f2)
      grep -qx -- "${2-}" <<<"$areas" ||
        { printf 'test: --only: expected an area, got "%s"; the areas are:\n%s\n' "${2-}" "$areas" >&2; exit 2; }
      only=$2
      shift
      ;;
    --no-setup) setup=0 ;;
    --fuzz-seconds)
      [[ "${2-}" =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }
      fuzz_seconds=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

jobs=$(nproc)
[ -n "$fuzz_seconds" ] || fuzz_seconds=$([ -n "$only" ] && echo 10 || echo 30)
# What one checkout compiled serves another.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
[ $setup = 1 ] || export DBSA_NO_SETUP=1
logs=build/test-logs
mkdir -p "$logs"
rm -f "$logs"/*.log
table=()   # a line for each stage
failed=()  # names of the stages that failed
failed_logs=()

minutes() { # seconds
  printf '%d.%d' $(($1 / 60)) $(($1 % 60 / 6))
}

# stage BUDGET NAME LOG COMMAND...: runs the command with its output in a log, and shows the log's end
# if it fails. BUDGET: the minutes that it may take on two cores with nothing compiled before; with
# two for the last stage they are 35.
stage() {
  local budget=$1 name=$2 log=$logs/$3.log begin=$SECONDS verdict=ok
  shift 3
  echo "==> $name"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    verdict=FAILED
    failed+=("$name")
    failed_logs+=("$log")
    tail -n 80 "$log"
  fi
  report "$budget" "$name" $verdict $((SECONDS - begin))
}

report() { # budget name verdict seconds
  table+=("$(printf '%-6s %5s min of %-4s %s' "$3" "$(minutes "$4")" "$1" "$2")")
  echo "    $3 after $(minutes "$4") min (budget: $1)"
}

# What a log says of causes: compilers, linkers, clang-format, clang-tidy, sanitizers, fuzzers, tests,
# Python. Its last lines where it has none of that.
causes() { # log
  grep -aE '(^| )(fatal )?error:|^FAILED: |(ERROR|WARNING|SUMMARY): [A-Za-z]+Sanitizer|runtime error:|: Failure$|\((Failed|Timeout|SEGFAULT|Subprocess aborted|Not Run)\)|^[A-Za-z.]*(Error|Exception): ' "$1" |
    tail -n 15 | grep . || tail -n 15 "$1"
}

sources() {
  find framework plugins tools tests bench -name "$1" -print0
}

check_format() {
  { sources '*.h'; sources '*.cc'; sources '*.c'; sources '*.cu'; sources '*.cuh'; } |
    xargs -0 -P "$jobs" -n 20 clang-format --dry-run -Werror
}

check_scripts() {
  local script
  for script in tools/*.sh tools/*/*.sh tests/*.sh .ci/run; do bash -n "$script" || return 1; done
  tools/make_icl_data/make_icl_data.py quickstart --check
}

build() { # preset [target]
  cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs" ${2:+--target "$2"}
}

# What failed is run again at the end, so that its output is the last of the log.
run_tests() { # preset [option of ctest]...
  local folder=build/$1
  shift
  ctest --test-dir "$folder" -j "$jobs" --no-tests=error "$@" && return
  ctest --test-dir "$folder" --rerun-failed --output-on-failure
  return 1
}

# The real data sets are for the release tests: sanitizers make them last too long. clang 14's leak
# check takes some addresses of thread-local storage for a header that older C libraries put before it,
# follows what it finds there, and dies ("Tracer caught signal 11"), so it is told not to look.
run_tests_sanitized() { # [option of ctest]...
  DBSA_DATA=$PWD/build/no-data-sets ASAN_OPTIONS=intercept_tls_get_addr=0 \
    DBSA_FUZZ_SECONDS=$fuzz_seconds run_tests fuzz "$@"
}

# Programs whose tests start threads, on the framework's own code: tests/tsan_suppressions.txt names
# the libraries that are not instrumented.
run_tests_threads() {
  TSAN_OPTIONS="suppressions=$PWD/tests/tsan_suppressions.txt" run_tests tsan -E '_NOT_BUILT$' -LE '^tools$'
}

# An installation works wherever it is moved to, and has manual pages and completion.
check_installation() {
  local old new
  old=$(mktemp -d) && new=$(mktemp -d) || return 1
  cmake --install build/release --prefix "$old/dbsa" && mv "$old/dbsa" "$new/moved" &&
    "$new/moved/bin/dbsa-pipe" inspect >"$new/moved.txt" &&
    build/release/bin/dbsa-pipe inspect >"$new/built.txt" &&
    diff "$new/built.txt" "$new/moved.txt" && grep -q dbsa "$new/moved.txt" &&
    (cd "$new/moved/share" && ls man/man1/dbsa-pipe.1 man/man1/dbsa-pipe-run.1 zsh/site-functions/_dbsa-pipe \
      bash-completion/completions/dbsa-pipe fish/vendor_completions.d/dbsa-pipe.fish)
  local code=$?
  rm -rf "$old" "$new"
  return $code
}

# The quick start from nothing: the second run encodes no block and answers the same.
check_quickstart() {
  local scratch run code
  scratch=$(mktemp -d) || return 1
  tools/quickstart.sh &&
    for run in first second; do
      build/release/bin/dbsa-pipe run pipelines/quickstart.toml --set "kv_store.path=$scratch/store" \
        --output "$scratch/$run" || break
    done &&
    python3 - "$scratch"/first/*.json "$scratch"/second/*.json <<'END'
import json, pathlib, sys
first, second = [json.loads(path.read_text()) for path in map(pathlib.Path, sys.argv[1:])]
encoded = [record["encode"]["blocks_encoded"] for record in (first, second)]
answers = [[(q["label"], q["log_probability"]) for q in record["queries"]] for record in (first, second)]
print("blocks encoded:", *encoded)
assert encoded[0] > 0 and encoded[1] == 0, "the second run must find every block in the store"
assert answers[0] and answers[0] == answers[1], "both runs must answer the same"
END
  code=$?
  rm -rf "$scratch"
  return $code
}

# README's first pipeline, and each later one laid over it: its tables replace those of the same
# name.
readme_pipelines() {
  rm -f "$logs"/readme_*.toml
  python3 - "$logs" <<'END'
import pathlib, re, sys
blocks = re.findall(r"^```toml\n(.*?)^```", pathlib.Path("README.md").read_text(), re.M | re.S)
tables = lambda text: [(re.match(r"\[+\s*([\w-]+)", part).group(1), part)
                       for part in re.split(r"^(?=\[)", text, flags=re.M) if part.startswith("[")]
assert blocks and "[model]" in blocks[0], "README shows a whole pipeline first"
for number, block in enumerate(blocks, 1):
    names = {name for name, _ in tables(block)}
    base = [part for name, part in tables(blocks[0]) if number > 1 and name not in names]
    pathlib.Path(sys.argv[1], f"readme_{number}.toml").write_text("\n".join(base + [block]))
END
}

# Every pipeline file that is shown, README's too, with the quick start's model and, where they name
# none that is here, its data. The sweeps have their own test, with data made up.
check_pipelines() {
  local file failures=0 model
  for file in pipelines/*.toml pipelines/baselines/*.toml; do
    echo "$file"
    build/release/bin/dbsa-pipe validate "$file" || failures=1
  done
  readme_pipelines || failures=1
  for file in pipelines/examples/*.toml pipelines/real/*.toml "$logs"/readme_*.toml; do
    echo "$file"
    model=()
    ! grep -q '^\[embedding\]' "$file" ||
      model=(--set "embedding.path=$PWD/tests/reference/fixtures/bert")
    build/release/bin/dbsa-pipe validate "$file" --set "model.path=$PWD/pipelines/quickstart/model" \
      --set "data.demonstrations=$PWD/pipelines/quickstart/demonstrations.jsonl" \
      --set "data.queries=$PWD/pipelines/quickstart/queries.jsonl" \
      --set data.label_field=label --set data.demonstration_count=200 "${model[@]}" || failures=1
  done
  return $failures
}

check_docs() {
  tools/docs/update_docs.py --check && tools/docs/update_evidence.py --check
}

# The end of a run: what failed, the end of its log, and last the lines that say why.
conclude() { # begin
  [ ${#failed[@]} -gt 0 ] || exit 0
  local log
  for log in "${failed_logs[@]}"; do
    echo
    echo "== $log, its end"
    tail -n 60 "$log"
  done
  echo
  echo "FAILED after $(minutes $((SECONDS - $1))) min: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')"
  for log in "${failed_logs[@]}"; do
    echo "causes, from $log:"
    causes "$log"
  done
  exit 1
}

begin=$SECONDS
[ $setup = 0 ] || stage 1 "packages" setup tools/setup.sh --with-tests
if [ -n "$only" ]; then
  for preset in fuzz release; do
    stage - "build: $only (build/$preset)" "build-$preset" build $preset "area-$only"
    if [ $preset = fuzz ]; then
      stage - "tests of $only, sanitizers" tests-fuzz run_tests_sanitized -L "^$only\$"
    else
      stage - "tests of $only, release" tests-release run_tests release -L "^$only\$"
    fi
  done
  grep -aE '^[0-9]+% tests passed' "$logs"/tests-*.log
  conclude $begin
fi

if [ $quick = 0 ]; then
  stage 0.5 "clang-format" format check_format
  stage 0.5 "order of the rooms" layers tools/check_layers.py
  stage 0.5 "words" words tools/check_words.py
  stage 0.5 "names of plugins" names tools/check_plugin_names.py
  stage 0.5 "scripts and generated data" scripts check_scripts
  stage 7 "build: clang, sanitizers, fuzz targets (build/fuzz)" build-fuzz build fuzz
  stage 2 "clang-tidy" tidy tools/tidy.py build/fuzz
  stage 12 "tests with AddressSanitizer and UndefinedBehaviorSanitizer, fuzz targets for $fuzz_seconds s" \
    tests-fuzz run_tests_sanitized
  stage 3 "build: clang, ThreadSanitizer (build/tsan)" build-tsan build tsan threaded-tests
  stage 1 "tests of threads with ThreadSanitizer" tests-tsan run_tests_threads
fi
stage 6 "build: g++, release (build/release)" build-release build release
if [ $quick = 0 ]; then
  stage 0.5 "installation, moved" install check_installation
  stage 0.5 "quick start, twice" quickstart check_quickstart
  stage 0.5 "example pipelines" pipelines check_pipelines
  stage 0.5 "generated documentation" docs check_docs
fi

name="tests, release"
echo "==> $name"
echo
echo "Stages before the last, after $(minutes $((SECONDS - begin))) min:"
printf '  %s\n' "${table[@]}"
echo
run_tests release 2>&1 </dev/null | tee "$logs/tests-release.log" |
  grep --line-buffered -avE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed )'
[ "${PIPESTATUS[0]}" = 0 ] || { failed+=("$name"); failed_logs+=("$logs/tests-release.log"); }
conclude $begin
