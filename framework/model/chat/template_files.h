// Where a model folder keeps its chat template.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "model/chat/chat_template.h"

namespace dbsa {

// chat_template.jinja of the folder, else `chat_template` of tokenizer_config.json: a text, or a
// list of named ones, of which "default" counts. kConfig where there is none or it is not known in
// all its parts, kEnvironment for a file that cannot be read.
Result<ChatTemplate> load_chat_template(const std::string& folder);

// What a model without a template is refused with. name: of the model, for messages.
Error no_chat_template(const std::string& name);

}  // namespace dbsa
