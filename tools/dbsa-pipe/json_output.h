// What --json prints: documents that name their schema, a file of schemas/, and its version. A
// command prints one on standard output, `query` one a line; where it fails before that, the error
// is the document.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>

#include "terminal/terminal.h"

namespace dbsa::cli {

// body with "schema" and "schema_version" before it; body may have its own version. schema:
// "store_list", of schemas/store_list.schema.json.
nlohmann::ordered_json as_document(const std::string& schema, nlohmann::ordered_json body);

// The faults of an error, a text each.
nlohmann::ordered_json message_lines(const Error& error);

// Prints the document; no error follows it.
void print_document(const std::string& schema, nlohmann::ordered_json body, Terminal& terminal);

// Prints the error as one line, where --json was given and no document was printed yet.
void print_error_document(const Error& error, int exit_code, Terminal& terminal);

}  // namespace dbsa::cli
