// A chat template as a tree.
//
// The subset of Jinja that chat templates are written in. Statements: for (with an if clause, else,
// break and continue), if, set (of names, of a namespace's attribute, of a block), macro, and
// transformers' generation, which is its body. Expressions: literals, lists, tuples, maps, names,
// attributes, items, slices, calls, filters, tests, arithmetic, ~, comparisons, in, and, or, not,
// and `a if b else c`. Anything else is refused by name.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/chat/value.h"

namespace dbsa::jinja {

inline constexpr size_t kMaxTemplateBytes = size_t{128} << 10;
inline constexpr size_t kMaxTreeDepth = 100;  // of nodes within nodes
inline constexpr size_t kMaxArguments = 32;   // of a macro, and of a call

enum class NodeKind {
  // Statements.
  kBody,      // children
  kText,      // text
  kOutput,    // children: the expression
  kIf,        // children: condition, body, condition, body ..., perhaps a last body
  kFor,       // names; children: list, condition or null, body, else body or null
  kSet,       // names; children: the expression. text: the namespace whose attribute names[0] is
  kSetBlock,  // names[0]; children: the body
  kMacro,     // text: its name; names; named: defaults; children: the body
  kBreak,
  kContinue,
  // Expressions.
  kConstant,   // value
  kName,       // text
  kList,       // children
  kMap,        // children: key, value, key, value ...
  kAttribute,  // text; children: of what
  kItem,       // children: of what, which
  kSlice,      // children: of what, begin, end, step; each of these may be null
  kCall,       // children: what, arguments ...; named
  kFilter,     // text; children: of what, arguments ...; named
  kTest,       // text; children: of what, arguments ...
  kNot,
  kMinus,
  kArithmetic,   // text: the operator; children: two
  kComparison,   // names: operators; children: one more than those
  kAnd,          // children: two
  kOr,           // children: two
  kConcat,       // children: two or more
  kConditional,  // children: condition, then, else or null
};

struct Node {
  NodeKind kind = NodeKind::kBody;
  int64_t line = 0;
  std::string text;
  Value value;
  std::vector<std::unique_ptr<Node>> children;
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::unique_ptr<Node>>> named;
  size_t depth = 1;  // of the tree
};

// kConfig "LINE: what".
Result<std::unique_ptr<Node>> parse_template(std::string_view source);

}  // namespace dbsa::jinja
