// Renders a parsed chat template.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "model/chat/parser.h"
#include "model/chat/value.h"

namespace dbsa::jinja {

// context: what the template's names stand for. Functions are namespace, range and
// raise_exception. kConfig "LINE: what" for what the template refuses, for what is not known, and
// for one that goes beyond what budget.h allows.
Result<std::string> render(const Node& root, const Map& context);

}  // namespace dbsa::jinja
