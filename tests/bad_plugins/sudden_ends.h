// Ways in which a plugin can end the program that has called it.
#pragma once

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

[[gnu::noinline]] inline void throw_for(const std::string& fault) {
  if (fault == "no_memory") throw std::bad_alloc();
  if (fault == "no_thread") throw std::system_error(EAGAIN, std::generic_category());
  if (fault == "odd_exception") throw 7;
}

// As where an exception meets a function of a library that is noexcept.
[[gnu::noinline]] inline void cannot_throw(const std::string& fault) noexcept { throw_for(fault); }

// Not a signal that is sent: the instruction is the plugin's.
[[gnu::noinline]] inline void write_nowhere() {
  volatile uintptr_t address = 16;
  *reinterpret_cast<volatile int*>(address) = 1;
}

struct CrashAtTheEnd {
  ~CrashAtTheEnd() { write_nowhere(); }
};

inline void end_suddenly(const std::string& fault) {
  if (fault == "exit") std::exit(0);
  if (fault == "exit_at_once") ::_exit(0);
  if (fault == "killed") std::raise(SIGKILL);
  if (fault == "throw_in_a_thread")
    std::thread([] { throw std::runtime_error("lost its server"); }).join();
  if (fault == "crash_at_the_end") static const CrashAtTheEnd crash;
  if (fault == "quick_exit") std::quick_exit(0);
  if (fault == "exit_of_a_thread") std::thread([] { std::exit(0); }).join();
  if (fault == "crash") std::raise(SIGSEGV);
  if (fault == "write_nowhere") write_nowhere();
  if (fault == "write_nowhere_in_a_thread") std::thread(write_nowhere).join();
  if (fault == "abort") std::abort();
  cannot_throw(fault);
}
