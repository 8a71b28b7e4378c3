// Plots by gnuplot, run as a child process.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa {

// What gnuplot prints for a script on its standard input; no file, no shell and no setting of the
// user's (~/.gnuplot, GNUTERM, GNUPLOT_LIB) takes part. The
// script must set its terminal. kEnvironment where gnuplot is not installed (the message names the
// package) or ends with an error. program: looked up in PATH.
Result<std::string> run_gnuplot(const std::string& script, const std::string& program = "gnuplot");

// An SVG of gnuplot's made part of a page: scaled by its viewBox, read out as `label`, and with ids
// that begin with `prefix`, since several on one page would share theirs.
std::string inline_svg(const std::string& svg, const std::string& prefix, const std::string& label);

}  // namespace dbsa
