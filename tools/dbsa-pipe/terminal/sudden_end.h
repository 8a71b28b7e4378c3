// What is said when the program does not end by itself: a plugin or a library calls exit or _exit,
// or crashes, or memory or threads run out where no exception can be caught. It never ends with 0
// then.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa::cli {

// Installs the handlers: of exit, of std::terminate, of signals of a crash. First thing in main.
void watch_for_sudden_ends();
// Last thing in main: an exit from now on is its own, with this code.
void expect_end(int code);

// The result that is complete, to be named by what ends the program later.
void note_record(const std::string& path);

// What the program is at, for "out of memory while ...". A literal: "encoding the pool".
void set_phase(const char* doing);

// The exception that is being handled, as an error. kEnvironment where memory or threads ran out.
Error describe_exception();

}  // namespace dbsa::cli
