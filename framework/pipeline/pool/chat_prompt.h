// Prompts that the model's own chat template writes (prompt.chat).
//
// A demonstration is a message of the user, with what stands before its label, and one of the
// assistant, with the label; a query is a message of the user, with the template's words that ask
// for an answer. Blocks are computed apart from each other, so the text of a demonstration must not
// depend on where it stands. The template is therefore asked once, with marks for contents:
//
//   conversation   what it writes
//   u a u a u      head u middle a between u middle a between u middle
//
// What stands between an answer and the next message is cut where both would be complete: what ends
// a conversation, too, ends the answer, and the rest begins the next message. That the pieces put
// together are what the template writes is checked for conversations of none to three
// demonstrations; one whose pieces differ is refused. Data are put between the pieces and are no
// part of what is rendered, so that nothing in them can become a special token, or a command of the
// template.
#pragma once

#include <dbsa/sdk/result.h>

#include "model/chat/chat_template.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// Sets what the prompt is written with. kConfig at a key of [prompt] for a template that cannot be
// read, that refuses such conversations, or whose pieces depend on where they stand. Cost: some
// renderings of short conversations.
Status apply_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer,
                           PromptSettings& prompt);

}  // namespace dbsa
