#include "terminal/sudden_end.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "config/exit_code.h"
#include "host/plugin_call.h"
#include "terminal/mapped_file.h"
#include "terminal/terminal.h"

namespace dbsa::cli {
namespace {

// Handlers cannot be passed arguments, so these are variables of the program.
std::atomic<const char*> phase = "starting";
std::atomic<bool> end_expected = false;
std::atomic<bool> ending = false;   // a handler speaks already
std::atomic<bool> escapes = false;  // as a terminal may be sent

std::atomic<pid_t> watched_process = 0;  // its children end as they like
std::atomic<int> expected_code = 0;      // of its end
std::array<char, 4097> complete_record;  // its path
std::atomic<bool> has_complete_record = false;

constexpr std::array kCrashes = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
std::array<struct sigaction, kCrashes.size()> old_actions;

// A text of bounded length that needs no memory, for handlers of signals.
class Line {
 public:
  Line& add(std::string_view text) {
    const size_t length = std::min(text.size(), bytes_.size() - 1 - size_);
    std::memcpy(bytes_.data() + size_, text.data(), length);
    size_ += length;
    return *this;
  }
  std::string_view text() const { return {bytes_.data(), size_}; }

  // To standard error, over a line of progress on a terminal, or below it.
  void print() {
    bytes_[size_++] = '\n';
    if (::isatty(STDERR_FILENO) != 0) write(escapes ? "\r\x1b[K" : "\n");
    write(text());
  }

 private:
  static void write(std::string_view text) {
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;  // nobody else to tell
  }

  std::array<char, 5120> bytes_;  // a path has 4,096 at most
  size_t size_ = 0;
};

// "plugin dbsa.retriever.bm25 (/lib/bm25.so): query: ", or `otherwise` outside of plugins' calls.
void add_plugin_call(Line& line, const char* otherwise) {
  const host::PluginCall call = host::current_plugin_call();
  if (call.id == nullptr) {
    line.add(otherwise);
    return;
  }
  line.add("plugin ").add(call.id).add(" (").add(call.library).add("): ").add(call.function);
  line.add(": ");
}

// What was done is not lost.
void add_record(Line& line) {
  if (has_complete_record)
    line.add("; the result record is complete: ").add(complete_record.data());
}

const char* signal_text(int signal_number) {
  switch (signal_number) {
    case SIGSEGV:
      return "segmentation fault (SIGSEGV)";
    case SIGBUS:
      return "bus error (SIGBUS): a mapped file was cut short, or its disk failed";
    case SIGFPE:
      return "arithmetic error (SIGFPE)";
    case SIGILL:
      return "illegal instruction (SIGILL)";
    default:
      return "aborted (SIGABRT)";
  }
}

// How the exception that is being handled reads, without taking memory.
ErrorCode describe_exception_to(Line& line) {
  const char* const doing = phase;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    line.add("out of memory while ").add(doing);
    return ErrorCode::kEnvironment;
  } catch (const std::filesystem::filesystem_error& e) {
    line.add(e.what()).add(", while ").add(doing);
    return ErrorCode::kEnvironment;
  } catch (const std::exception& e) {
    const std::string_view what = e.what();
    // As std::thread, and as TBB, say that no thread can be started.
    if (dynamic_cast<const std::system_error*>(&e) == nullptr &&
        what.find("pthread_create") == what.npos) {
      line.add("unexpected error while ").add(doing).add(": ").add(what);
      return ErrorCode::kRun;
    }
    line.add("no thread can be started while ").add(doing).add(": ").add(what);
    line.add("; take fewer with --threads, or raise the limits on processes (ulimit -u) and on ");
    line.add("memory (ulimit -v)");
    return ErrorCode::kEnvironment;
  } catch (...) {
    line.add("unexpected error while ").add(doing).add(": an exception of an unknown type");
    return ErrorCode::kRun;
  }
}

void say_exit(const char* function) {
  Line line;
  line.add("error: ");
  add_plugin_call(line, "a plugin or a library ");
  line.add("called ").add(function).add(" while ").add(phase.load());
  line.add("; it must return an error instead: use another one, or tell its author");
  add_record(line);
  line.print();
}

void on_exit() {
  if (end_expected || ending.exchange(true)) return;
  say_exit("exit()");
  ::_exit(exit_code(ErrorCode::kEnvironment));
}

// "; it comes from /lib/plugin.so" for the innermost function on the stack that is a plugin's, or
// of another library without a version in its name: where an exception has left a thread of a
// plugin's own, the stack is as it was.
void add_library_on_stack(Line& line) {
  constexpr int kMostFrames = 100;
  struct Search {
    std::string_view found;
    int frames;
  } search{{}, 0};
  _Unwind_Backtrace(
      [](_Unwind_Context* frame, void* argument) {
        auto& looking = *static_cast<Search*>(argument);
        looking.found = mapped_file_at(static_cast<uintptr_t>(_Unwind_GetIP(frame)));
        const bool last = looking.found.ends_with(".so") || ++looking.frames == kMostFrames;
        return last ? _URC_NORMAL_STOP : _URC_NO_REASON;
      },
      &search);
  if (search.found.ends_with(".so")) line.add("; it comes from ").add(search.found);
}

[[noreturn]] void on_terminate() {
  if (ending.exchange(true)) ::sleep(1);  // another thread speaks
  Line line;
  line.add("error: ");
  add_plugin_call(line, "");
  ErrorCode code = ErrorCode::kRun;
  if (std::current_exception()) {
    code = describe_exception_to(line);
  } else if (std::uncaught_exceptions() > 0) {
    // One in flight that a library's function lets not pass, which cannot be looked at. That is
    // what becomes of std::bad_alloc in libstdc++'s folders, nlohmann's destructors and toml++.
    line.add("out of memory, or another error that a library cannot pass on, while ");
    line.add(phase.load());
    code = ErrorCode::kEnvironment;
  } else {
    line.add("std::terminate was called while ").add(phase.load());
  }
  if (host::current_plugin_call().id == nullptr) add_library_on_stack(line);
  add_record(line);
  line.print();
  if (code == ErrorCode::kEnvironment) ::_exit(exit_code(code));
  ::signal(SIGABRT, SIG_DFL);  // all is said
  std::abort();
}

// A file that became too short under its mapping is no crash of the program: no result can come of
// it, and it is named.
void end_at_lost_file(const siginfo_t& info) {
  const std::string_view path = mapped_file_at(reinterpret_cast<uintptr_t>(info.si_addr));
  if (path.empty()) return;
  Line line;
  line.add("error: ").add(path).add(
      ": became shorter, or its disk cannot read it any more, while ");
  line.add(phase.load())
      .add("; put the file right, or remove it if it is a pack or packed weights");
  line.add(", and run the command again");
  line.print();
  ::_exit(exit_code(ErrorCode::kEnvironment));
}

// ", in /lib/other.so" where the thread was in a library that the line does not name: one that a
// plugin uses or opens, or of a thread that a plugin has started.
void add_library(Line& line, const void* context) {
#if defined(__x86_64__)
  const auto* const machine = &static_cast<const ucontext_t*>(context)->uc_mcontext;
  const std::string_view path = mapped_file_at(static_cast<uintptr_t>(machine->gregs[REG_RIP]));
#elif defined(__aarch64__)
  const auto* const machine = &static_cast<const ucontext_t*>(context)->uc_mcontext;
  const std::string_view path = mapped_file_at(machine->pc);
#else
  const std::string_view path;
  (void)context;
#endif
  const char* const named = host::current_plugin_call().library;
  if (path.ends_with(".so") && (named == nullptr || path != named)) line.add(", in ").add(path);
}

// Says what crashed and lets the crash happen again, for the action there was before: a core dump,
// or the report of a sanitizer.
void on_crash(int signal_number, siginfo_t* info, void* context) {
  if (ending.exchange(true)) {
    ::sleep(1);  // another thread speaks
  } else {
    if (signal_number == SIGBUS && info->si_code > 0) end_at_lost_file(*info);
    Line line;
    line.add("error: ");
    add_plugin_call(line, "");
    line.add("the program crashed while ").add(phase.load());
    if (info->si_code > 0) add_library(line, context);
    line.add(": ").add(signal_text(signal_number));
    add_record(line);
    line.print();
  }
  for (size_t i = 0; i < kCrashes.size(); ++i) ::sigaction(kCrashes[i], &old_actions[i], nullptr);
  // One that was sent does not come again by itself.
  if (info->si_code <= 0) ::raise(signal_number);
}

}  // namespace

void watch_for_sudden_ends() {
  watched_process = ::getpid();
  escapes = escapes_wanted();
  std::atexit(on_exit);
  std::at_quick_exit(on_exit);
  std::set_terminate(on_terminate);
  // A stack that has overflown cannot hold the handler's frame. Sanitizers bring their own.
  static std::array<char, 64 * 1024> handler_stack;
  stack_t stack = {};
  if (::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0) {
    stack.ss_sp = handler_stack.data();
    stack.ss_size = handler_stack.size();
    stack.ss_flags = 0;
    ::sigaltstack(&stack, nullptr);
  }
  struct sigaction action = {};
  action.sa_sigaction = on_crash;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (size_t i = 0; i < kCrashes.size(); ++i) ::sigaction(kCrashes[i], &action, &old_actions[i]);
}

void expect_end(int code) {
  expected_code = code;
  end_expected = true;
  set_phase("ending");
}

void note_record(const std::string& path) {
  const size_t length = std::min(path.size(), complete_record.size() - 1);
  std::memcpy(complete_record.data(), path.data(), length);
  complete_record[length] = '\0';
  has_complete_record = true;
}

void set_phase(const char* doing) { phase = doing; }

Error describe_exception() {
  Line line;
  const ErrorCode code = describe_exception_to(line);
  return {code, std::string(line.text()), ""};
}

}  // namespace dbsa::cli

#ifdef DBSA_WATCHES_EXIT
// The C library's exit without handlers: plugins and libraries find the program's first. One that
// ends the program with 0 has not made a result. What ends by a system call, or by a signal that it
// sends itself, is not noticed.
extern "C" {
__attribute__((visibility("default"))) void _exit(int status) {
  namespace cli = dbsa::cli;
  if (cli::watched_process == ::getpid()) {
    if (cli::end_expected) {
      status = cli::expected_code;  // a destructor after main has no say
    } else if (!cli::ending.exchange(true)) {
      cli::say_exit("_exit()");
      status = dbsa::exit_code(dbsa::ErrorCode::kEnvironment);
    }
  }
  for (;;) ::syscall(SYS_exit_group, status);
}
__attribute__((visibility("default"))) void _Exit(int status) noexcept { ::_exit(status); }
}
#endif
