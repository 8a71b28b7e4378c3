"""One disturbed command: runs it, and says what is wrong afterwards."""
import errno
import json
import os
import re
import subprocess

import scenes
import store_files
from workspace import Report, shim_environment

# Deaths that a library causes and that SECURITY.md names: (call, library in the trace).
LIBRARY_DEATHS = {("malloc", "valijson::"), ("malloc", "libhdf5"), ("malloc", "libdnnl"), ("mmap", "libdnnl")}
# Errors that a library makes of missing memory without saying so; SECURITY.md names these, too.
LIBRARY_ERRORS = {("malloc", "libhdf5"), ("malloc", "ld-linux"), ("malloc", "toml::")}

# A message says which file, or what was being done ...
NAMES_SOMETHING = re.compile(r"/|\.(toml|jsonl?|h5|pool)\b|standard (input|output)|gnuplot|out of memory")
# ... and why it failed: in the system's words, or in these.
TELLS_CAUSE = re.compile(r"out of memory|HDF5 says|standard (input|output)|cannot (be )?read")
# What a report says of what it has not.
TELLS_LEFT_OUT = re.compile(r"warning: .*(left out|the report has no plots)")


class Reference:
    """What undisturbed commands do."""

    def __init__(self, base, commands):
        self.base = base
        self.before, self.wanted, self.counts = {}, {}, {}
        for command in commands:
            folder = base.copy(command.scene, "reference")
            self.before[command.name] = store_files.blocks(folder / "store")
            report = base.path / "reference-report"
            report.unlink(missing_ok=True)
            done = base.run_ok(folder, command.words, stdin=command.stdin,
                               more=shim_environment(base, report, children=command.children))
            self.wanted[command.name] = scenes.Facts(folder, done)
            self.counts[command.name] = Report(report).counts
            self.counts[command.name]["stdout"] = 1 if done.out else 0
        folder = base.copy("encoded", "reference")
        base.run_ok(folder, scenes.RECOVER)
        (self.answers,) = store_files.records(folder / "after")

    def kept(self, name):
        """Blocks that must still be there afterwards in any case."""
        wanted = self.wanted[name].blocks
        return {key: value for key, value in self.before[name].items() if key in wanted}


def without_arguments(name):
    """dbsa::Result<void> dbsa::f<int>(int) -> dbsa::f"""
    name = name.replace("(anonymous namespace)::", "").replace("operator()", "operator")
    while (shorter := re.sub(r"<[^<>]*>|\([^()]*\)( const)?|\{[^{}]*\}|\[[^][]*\]", "", name)) != name:
        name = shorter
    return re.sub("(::)+", "::", name).split(" ")[-1].removesuffix("::_FUN").removesuffix("::operator")


def symbols(frames, known={}):
    """Functions of a trace, innermost first; of a library without symbols its name."""
    names = []
    for frame in frames:
        library, _, offset = frame.rpartition("+")
        if "libdbsa_fault_shim" in library:
            continue
        if frame not in known:
            # An address in the trace is where a call returns to.
            said = subprocess.run(["addr2line", "-fCe", library, hex(int(offset, 16) - 1)],
                                  capture_output=True, text=True)
            name = without_arguments((said.stdout.splitlines() or [""])[0])
            file = library.rpartition("/")[2]
            ours = "dbsa" in file and name not in ("", "??")
            known[frame] = name if ours else file
        if names[-1:] != [known[frame]]:
            names.append(known[frame])
    return names


def comes_of(libraries, call, names):
    return any(call == known and any(name.startswith(library) for name in names)
               for known, library in libraries)


def system_text(error):
    """The system's words for an error of the plan, such as "EIO+"."""
    code = getattr(errno, error.removesuffix("+"), None)
    return os.strerror(code) if code is not None else "Input/output error"


def judge_end(done, call, error, report):
    """Faults of how the command ended."""
    if done.hung:
        return [("hung", "it did not end")]
    names = symbols(report.frames)
    if done.died:
        return [] if comes_of(LIBRARY_DEATHS, call, names) else [("died", done.died)]
    if done.code == 0 or comes_of(LIBRARY_ERRORS, call, names):
        return []
    if done.code not in (2, 3, 4, 5):
        return [("message", f"exit code {done.code}")]
    told = done.error
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    if not errors and "fault" in done.out:
        errors = [told := done.out]  # verify reports what it found on standard output
    if not errors:
        return [("message", "no error is told")]
    if comes_of(LIBRARY_DEATHS, call, names) and "SIGSEGV" in told:
        return []  # of a cell's process
    vague = [line for line in errors if not NAMES_SOMETHING.search(line)]
    if vague:
        return [("message", f"it names neither a file nor what was done: {vague[0]}")]
    if system_text(error) not in told and not TELLS_CAUSE.search(told):
        return [("cause", f"it does not say {system_text(error)!r}")]
    return []


def judge_store(base, folder, command, reference, done):
    """Faults of what the command left."""
    faults = []
    store = folder / "store"
    wanted = reference.wanted[command.name]
    if (store / "packs").is_dir():
        verified = base.run(folder, ["store", "verify", "store"])
        if verified.code != 0:
            faults.append(("unsound", (verified.out + verified.error).strip()[:300]))
    try:
        facts = scenes.Facts(folder, done)
    except store_files.Unsound as error:
        return [*faults, ("unsound", str(error))]
    kept = reference.kept(command.name)
    faults += [("originals", text) for text in
               scenes.differences(facts.blocks, kept, "blocks that were there")]
    faults += [("unsound", text) for text in scenes.not_whole(facts.blocks, wanted.blocks, "block")]
    # A report without a record that cannot be read, or without plots, is a whole one that says so.
    if command.name == "report" and TELLS_LEFT_OUT.search(done.error):
        return faults
    faults += [("partial", text) for text in command.partial(facts, wanted)]
    if done.code == 0:
        faults += [("lost", text) for text in command.missing(facts, wanted, done)]
    return faults


def judge_leftovers(base, folder):
    left = store_files.leftovers(folder)
    if not left:
        return 0, []
    collected = base.run(folder, ["store", "gc", "pipeline.toml"])
    if collected.code != 0:
        return len(left), [("leftover", f"{left[0]}, and gc fails: {collected.error.strip()}")]
    after = store_files.leftovers(folder)
    return len(left), [("leftover", f"{name} is there after gc, too") for name in after]


def judge_again(base, folder, command, reference, done):
    """Faults of the same command, undisturbed, after it has failed."""
    if done.code == 0:
        return []
    again = base.run(folder, command.words, stdin=command.stdin)
    if again.code != 0:
        return [("again", f"exit code {again.code}: {again.error.strip()[:300]}")]
    wanted = reference.wanted[command.name]
    return [("again", text) for text in command.missing(scenes.Facts(folder, again), wanted, again)]


def judge_recovery(base, folder, command, reference, done):
    """Faults of an undisturbed run on what the command left."""
    after = base.run(folder, scenes.RECOVER)
    if after.code != 0:
        return [("recovery", after.error.strip()[:300])]
    faults = []
    try:
        (facts,) = store_files.records(folder / "after")
        if facts != reference.answers:
            faults.append(("wrong", "a run afterwards answers otherwise"))
        (path,) = (folder / "after").glob("*.json")
        again = json.loads(path.read_text())["encode"]["blocks_encoded"]
        if again > 0 and (done.code == 0 or not command.makes_pool):
            faults.append(("lost", f"a run afterwards encodes {again} blocks again"))
    except (store_files.Unsound, ValueError) as error:
        faults.append(("recovery", str(error)))
    return faults


def disturb(base, reference, command, call, error, at, worker):
    """Runs `command` with its `at`-th `call` failing with `error`; what happened, as a dict."""
    folder = base.copy(command.scene, f"work-{worker}")
    path = base.path / f"report-{worker}"
    path.unlink(missing_ok=True)
    if call == "stdout":  # libc writes it by itself, so it goes to a disk that is full
        with open("/dev/full", "wb") as full:
            done = base.run(folder, command.words, stdin=command.stdin, stdout=full,
                            more=shim_environment(base, path, children=command.children))
        reached = 1
    else:
        done = base.run(folder, command.words, stdin=command.stdin,
                        more=shim_environment(base, path, call, at, error,
                                              children=command.children))
        reached = Report(path).reached
    report = Report(path)
    faults = judge_end(done, call, error, report)
    if call == "stdout" and done.code == 0:
        faults.append(("lost", "standard output was full"))
        done.code = 4  # what it would have said cannot be judged
    faults += judge_store(base, folder, command, reference, done)
    left, still_left = judge_leftovers(base, folder)
    faults += still_left
    faults += judge_again(base, folder, command, reference, done)
    faults += judge_recovery(base, folder, command, reference, done)
    messages = [line for line in done.error.splitlines() if line.startswith(("error:", "warning:"))]
    result = {"command": command.name, "call": call, "error": error, "at": at, "reached": reached,
              "code": done.died or ("hung" if done.hung else done.code), "leftovers": left,
              "message": " | ".join(messages or done.error.splitlines()[-2:])[:600]
              .replace(str(folder), "."), "faults": faults}
    if faults:
        result["on"] = report.on.replace(str(folder), ".")
        result["where"] = symbols(report.frames)[:12] or ["unknown"]
    return result
