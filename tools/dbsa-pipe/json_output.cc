#include "json_output.h"

#include <algorithm>

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

const char* error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kConfig:
      return "config";
    case ErrorCode::kPlugin:
      return "plugin";
    case ErrorCode::kEnvironment:
      return "environment";
    case ErrorCode::kRun:
      return "run";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kUnsupported:
      return "unsupported";
  }
  return "run";
}

}  // namespace

ordered_json message_lines(const Error& error) {
  const std::string& text = error.message;
  ordered_json lines = ordered_json::array();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

ordered_json as_document(const std::string& schema, ordered_json body) {
  ordered_json document = {{"schema", schema}, {"schema_version", 1}};
  document.update(body);
  return document;
}

void print_document(const std::string& schema, ordered_json body, Terminal& terminal) {
  // A name of a file may be no UTF-8.
  terminal.out(as_document(schema, std::move(body))
                   .dump(1, ' ', false, ordered_json::error_handler_t::replace));
  terminal.document_given();
}

void print_error_document(const Error& error, int exit_code, Terminal& terminal) {
  if (!terminal.lacks_document()) return;
  terminal.out(as_document("error", {{"error",
                                      {{"code", error_name(error.code)},
                                       {"exit_code", exit_code},
                                       {"messages", message_lines(error)}}}})
                   .dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  terminal.document_given();
}

}  // namespace dbsa::cli
