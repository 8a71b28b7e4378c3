#include "model/chat/parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "model/chat/budget.h"
#include "model/chat/lexer.h"
#include "text/utf8.h"

namespace dbsa::jinja {
namespace {

using NodePtr = std::unique_ptr<Node>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<NodePtr> parse() {
    DBSA_ASSIGN_OR_RETURN(NodePtr body, parse_body({}));
    return body;
  }

 private:
  const Token& token() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(TokenKind kind) const { return token().kind == kind; }
  bool is_operator(std::string_view text) const {
    return is(TokenKind::kOperator) && token().text == text;
  }
  bool is_word(std::string_view text) const { return is(TokenKind::kName) && token().text == text; }
  bool take_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view text) {
    if (!is_word(text)) return false;
    ++at_;
    return true;
  }

  Error fault(const std::string& what) const { return fault_at(token().line, what); }
  std::string found() const {
    switch (token().kind) {
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kText:
      case TokenKind::kBlockEnd:
      case TokenKind::kOutputEnd:
      case TokenKind::kBlockBegin:
      case TokenKind::kOutputBegin:
        return "the end of the tag";
      case TokenKind::kString:
        return "a string";
      default:
        return "\"" + token().text + "\"";
    }
  }
  Status expect_operator(std::string_view text) {
    if (take_operator(text)) return {};
    return fault("expected \"" + std::string(text) + "\", found " + found());
  }
  Status expect_word(std::string_view text) {
    if (take_word(text)) return {};
    return fault("expected \"" + std::string(text) + "\", found " + found());
  }
  Status expect_block_end() {
    if (!is(TokenKind::kBlockEnd)) return fault("expected the end of the tag, found " + found());
    ++at_;
    return {};
  }
  Result<std::string> take_name() {
    if (!is(TokenKind::kName)) return fault("expected a name, found " + found());
    return tokens_[at_++].text;
  }

  NodePtr make(NodeKind kind, int64_t line) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = line;
    return node;
  }

  // Puts a node into another; either may be null. kConfig for trees that become too deep.
  Status put(NodePtr child, Node& parent) {
    if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
    parent.children.push_back(std::move(child));
    return check_depth(parent);
  }
  Status check_depth(const Node& node) const {
    if (node.depth <= kMaxTreeDepth) return {};
    return fault_at(node.line, too_deep());
  }
  static std::string too_deep() {
    return "nested deeper than " + std::to_string(kMaxTreeDepth) + " levels";
  }
  Status check_nesting() const {
    if (nesting_ <= kMaxTreeDepth) return {};
    return fault(too_deep());
  }

  // ---- statements -------------------------------------------------------------------------------

  // Up to a tag that begins with one of the words, whose brace is taken and whose word is not; to
  // the end of the template where there are none.
  Result<NodePtr> parse_body(std::initializer_list<std::string_view> ends) {
    const DepthCount nested(nesting_);
    DBSA_RETURN_IF_ERROR(check_nesting());
    NodePtr body = make(NodeKind::kBody, token().line);
    while (true) {
      if (is(TokenKind::kEnd)) {
        if (ends.size() == 0) return body;
        return fault("expected {% " + std::string(*(ends.end() - 1)) +
                     " %}, found the end of the template");
      }
      if (is(TokenKind::kText)) {
        NodePtr text = make(NodeKind::kText, token().line);
        text->text = token().text;
        ++at_;
        DBSA_RETURN_IF_ERROR(put(std::move(text), *body));
        continue;
      }
      if (is(TokenKind::kOutputBegin)) {
        NodePtr output = make(NodeKind::kOutput, token().line);
        ++at_;
        DBSA_ASSIGN_OR_RETURN(NodePtr expression, parse_tuple(true));
        DBSA_RETURN_IF_ERROR(put(std::move(expression), *output));
        if (!is(TokenKind::kOutputEnd)) return fault("expected \"}}\", found " + found());
        ++at_;
        DBSA_RETURN_IF_ERROR(put(std::move(output), *body));
        continue;
      }
      ++at_;  // {%
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return is_word(end); }))
        return body;
      DBSA_ASSIGN_OR_RETURN(NodePtr statement, parse_statement());
      DBSA_RETURN_IF_ERROR(put(std::move(statement), *body));
    }
  }

  Result<NodePtr> parse_statement() {
    const int64_t line = token().line;
    DBSA_ASSIGN_OR_RETURN(const std::string word, take_name());
    if (word == "if") return parse_if(line);
    if (word == "for") return parse_for(line);
    if (word == "set") return parse_set(line);
    if (word == "macro") return parse_macro(line);
    if (word == "generation") {
      DBSA_RETURN_IF_ERROR(expect_block_end());
      DBSA_ASSIGN_OR_RETURN(NodePtr body, parse_body({"endgeneration"}));
      ++at_;
      DBSA_RETURN_IF_ERROR(expect_block_end());
      return body;
    }
    if (word == "break" || word == "continue") {
      if (loops_ == 0) return fault_at(line, word + " stands outside a loop");
      DBSA_RETURN_IF_ERROR(expect_block_end());
      return make(word == "break" ? NodeKind::kBreak : NodeKind::kContinue, line);
    }
    return fault_at(line, "the statement \"" + word +
                              "\" is not among those that are known: if, for, set, macro, break, "
                              "continue, generation");
  }

  Result<NodePtr> parse_if(int64_t line) {
    NodePtr node = make(NodeKind::kIf, line);
    while (true) {
      DBSA_ASSIGN_OR_RETURN(NodePtr condition, parse_tuple(true));
      DBSA_RETURN_IF_ERROR(put(std::move(condition), *node));
      DBSA_RETURN_IF_ERROR(expect_block_end());
      DBSA_ASSIGN_OR_RETURN(NodePtr body, parse_body({"elif", "else", "endif"}));
      DBSA_RETURN_IF_ERROR(put(std::move(body), *node));
      if (take_word("elif")) continue;
      if (take_word("else")) {
        DBSA_RETURN_IF_ERROR(expect_block_end());
        DBSA_ASSIGN_OR_RETURN(NodePtr otherwise, parse_body({"endif"}));
        DBSA_RETURN_IF_ERROR(put(std::move(otherwise), *node));
      }
      DBSA_RETURN_IF_ERROR(expect_word("endif"));
      DBSA_RETURN_IF_ERROR(expect_block_end());
      return node;
    }
  }

  // "a", "a, b" or "(a, b)".
  Result<std::vector<std::string>> parse_targets() {
    std::vector<std::string> names;
    const bool closed = take_operator("(");
    do {
      DBSA_ASSIGN_OR_RETURN(names.emplace_back(), take_name());
    } while (take_operator(","));
    if (closed) DBSA_RETURN_IF_ERROR(expect_operator(")"));
    return names;
  }

  Result<NodePtr> parse_for(int64_t line) {
    NodePtr node = make(NodeKind::kFor, line);
    DBSA_ASSIGN_OR_RETURN(node->names, parse_targets());
    DBSA_RETURN_IF_ERROR(expect_word("in"));
    DBSA_ASSIGN_OR_RETURN(NodePtr list, parse_tuple(false));
    DBSA_RETURN_IF_ERROR(put(std::move(list), *node));
    NodePtr condition;
    if (take_word("if")) {
      DBSA_ASSIGN_OR_RETURN(condition, parse_expression());
    }
    DBSA_RETURN_IF_ERROR(put(std::move(condition), *node));
    if (is_word("recursive")) return fault("recursive loops are not known");
    DBSA_RETURN_IF_ERROR(expect_block_end());
    ++loops_;
    Result<NodePtr> body = parse_body({"else", "endfor"});
    --loops_;
    if (!body.ok()) return body;
    DBSA_RETURN_IF_ERROR(put(std::move(body).value(), *node));
    NodePtr otherwise;
    if (take_word("else")) {
      DBSA_RETURN_IF_ERROR(expect_block_end());
      DBSA_ASSIGN_OR_RETURN(otherwise, parse_body({"endfor"}));
    }
    DBSA_RETURN_IF_ERROR(put(std::move(otherwise), *node));
    DBSA_RETURN_IF_ERROR(expect_word("endfor"));
    DBSA_RETURN_IF_ERROR(expect_block_end());
    return node;
  }

  Result<NodePtr> parse_set(int64_t line) {
    NodePtr node = make(NodeKind::kSet, line);
    if (is(TokenKind::kName) && following().kind == TokenKind::kOperator &&
        following().text == ".") {
      node->text = token().text;
      at_ += 2;
      DBSA_ASSIGN_OR_RETURN(node->names.emplace_back(), take_name());
    } else {
      DBSA_ASSIGN_OR_RETURN(node->names, parse_targets());
    }
    if (take_operator("=")) {
      DBSA_ASSIGN_OR_RETURN(NodePtr expression, parse_tuple(true));
      DBSA_RETURN_IF_ERROR(put(std::move(expression), *node));
      DBSA_RETURN_IF_ERROR(expect_block_end());
      return node;
    }
    if (node->names.size() != 1 || !node->text.empty() || is_operator("|"))
      return fault("expected \"=\", found " + found());
    node->kind = NodeKind::kSetBlock;
    DBSA_RETURN_IF_ERROR(expect_block_end());
    DBSA_ASSIGN_OR_RETURN(NodePtr body, parse_body({"endset"}));
    ++at_;
    DBSA_RETURN_IF_ERROR(expect_block_end());
    DBSA_RETURN_IF_ERROR(put(std::move(body), *node));
    return node;
  }

  Result<NodePtr> parse_macro(int64_t line) {
    NodePtr node = make(NodeKind::kMacro, line);
    DBSA_ASSIGN_OR_RETURN(node->text, take_name());
    DBSA_RETURN_IF_ERROR(expect_operator("("));
    while (!is_operator(")")) {
      DBSA_ASSIGN_OR_RETURN(node->names.emplace_back(), take_name());
      if (take_operator("=")) {
        DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
        node->depth = std::max(node->depth, value->depth + 1);
        node->named.emplace_back(node->names.back(), std::move(value));
      }
      if (!is_operator(")")) DBSA_RETURN_IF_ERROR(expect_operator(","));
    }
    DBSA_RETURN_IF_ERROR(check_arguments(node->names.size()));
    ++at_;
    DBSA_RETURN_IF_ERROR(expect_block_end());
    const size_t loops = std::exchange(loops_, 0);
    Result<NodePtr> body = parse_body({"endmacro"});
    loops_ = loops;
    if (!body.ok()) return body;
    ++at_;
    if (is_word(node->text)) ++at_;
    DBSA_RETURN_IF_ERROR(expect_block_end());
    DBSA_RETURN_IF_ERROR(put(std::move(body).value(), *node));
    return node;
  }

  // ---- expressions ------------------------------------------------------------------------------

  // An expression, or several between commas, which are a list. conditional: `if` belongs to it.
  Result<NodePtr> parse_tuple(bool conditional) {
    const int64_t line = token().line;
    Result<NodePtr> first = conditional ? parse_expression() : parse_or();
    if (!first.ok() || !is_operator(",")) return first;
    NodePtr list = make(NodeKind::kList, line);
    DBSA_RETURN_IF_ERROR(put(std::move(first).value(), *list));
    while (take_operator(",")) {
      if (ends_tuple()) break;
      DBSA_ASSIGN_OR_RETURN(NodePtr item, conditional ? parse_expression() : parse_or());
      DBSA_RETURN_IF_ERROR(put(std::move(item), *list));
    }
    return list;
  }
  bool ends_tuple() const {
    return is(TokenKind::kOutputEnd) || is(TokenKind::kBlockEnd) || is_operator(")");
  }

  Result<NodePtr> parse_expression() {
    const DepthCount nested(nesting_);
    DBSA_RETURN_IF_ERROR(check_nesting());
    const int64_t line = token().line;
    DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_or());
    while (take_word("if")) {
      NodePtr node = make(NodeKind::kConditional, line);
      DBSA_ASSIGN_OR_RETURN(NodePtr condition, parse_or());
      DBSA_RETURN_IF_ERROR(put(std::move(condition), *node));
      DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
      NodePtr otherwise;
      if (take_word("else")) {
        DBSA_ASSIGN_OR_RETURN(otherwise, parse_expression());
      }
      DBSA_RETURN_IF_ERROR(put(std::move(otherwise), *node));
      value = std::move(node);
    }
    return value;
  }

  Result<NodePtr> parse_or() {
    DBSA_ASSIGN_OR_RETURN(NodePtr left, parse_and());
    while (is_word("or")) {
      DBSA_ASSIGN_OR_RETURN(left, parse_right(NodeKind::kOr, std::move(left), &Parser::parse_and));
    }
    return left;
  }
  Result<NodePtr> parse_and() {
    DBSA_ASSIGN_OR_RETURN(NodePtr left, parse_not());
    while (is_word("and")) {
      DBSA_ASSIGN_OR_RETURN(left, parse_right(NodeKind::kAnd, std::move(left), &Parser::parse_not));
    }
    return left;
  }
  // The operator that is here, and what is right of it.
  Result<NodePtr> parse_right(NodeKind kind, NodePtr left, Result<NodePtr> (Parser::*operand)()) {
    NodePtr node = make(kind, token().line);
    node->text = token().text;
    ++at_;
    DBSA_RETURN_IF_ERROR(put(std::move(left), *node));
    DBSA_ASSIGN_OR_RETURN(NodePtr right, (this->*operand)());
    DBSA_RETURN_IF_ERROR(put(std::move(right), *node));
    return node;
  }

  Result<NodePtr> parse_not() {
    if (!is_word("not")) return parse_comparison();
    const DepthCount nested(nesting_);
    DBSA_RETURN_IF_ERROR(check_nesting());
    NodePtr node = make(NodeKind::kNot, token().line);
    ++at_;
    DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_not());
    DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
    return node;
  }

  // The comparison that stands here, or "".
  std::string take_comparison() {
    for (const std::string_view text : {"==", "!=", "<=", ">=", "<", ">"})
      if (take_operator(text)) return std::string(text);
    if (take_word("in")) return "in";
    if (is_word("not") && following().kind == TokenKind::kName && following().text == "in") {
      at_ += 2;
      return "not in";
    }
    return "";
  }

  Result<NodePtr> parse_comparison() {
    DBSA_ASSIGN_OR_RETURN(NodePtr left, parse_sum());
    std::string text = take_comparison();
    if (text.empty()) return left;
    NodePtr node = make(NodeKind::kComparison, token().line);
    DBSA_RETURN_IF_ERROR(put(std::move(left), *node));
    for (; !text.empty(); text = take_comparison()) {
      node->names.push_back(text);
      DBSA_ASSIGN_OR_RETURN(NodePtr right, parse_sum());
      DBSA_RETURN_IF_ERROR(put(std::move(right), *node));
    }
    return node;
  }

  Result<NodePtr> parse_sum() {
    DBSA_ASSIGN_OR_RETURN(NodePtr left, parse_concat());
    while (is_operator("+") || is_operator("-")) {
      DBSA_ASSIGN_OR_RETURN(
          left, parse_right(NodeKind::kArithmetic, std::move(left), &Parser::parse_concat));
    }
    return left;
  }
  Result<NodePtr> parse_concat() {
    DBSA_ASSIGN_OR_RETURN(NodePtr first, parse_product());
    if (!is_operator("~")) return first;
    NodePtr node = make(NodeKind::kConcat, token().line);
    DBSA_RETURN_IF_ERROR(put(std::move(first), *node));
    while (take_operator("~")) {
      DBSA_ASSIGN_OR_RETURN(NodePtr next, parse_product());
      DBSA_RETURN_IF_ERROR(put(std::move(next), *node));
    }
    return node;
  }
  Result<NodePtr> parse_product() {
    DBSA_ASSIGN_OR_RETURN(NodePtr left, parse_unary_filtered());
    while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
      DBSA_ASSIGN_OR_RETURN(
          left, parse_right(NodeKind::kArithmetic, std::move(left), &Parser::parse_unary_filtered));
    }
    if (is_operator("**")) return fault("the operator ** is not known");
    return left;
  }

  Result<NodePtr> parse_unary_filtered() {
    DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_unary());
    while (true) {
      if (is_operator("|")) {
        DBSA_ASSIGN_OR_RETURN(value, parse_filter(std::move(value)));
      } else if (is_word("is")) {
        DBSA_ASSIGN_OR_RETURN(value, parse_test(std::move(value)));
      } else if (is_operator("(")) {
        DBSA_ASSIGN_OR_RETURN(value, parse_call(std::move(value)));
      } else {
        return value;
      }
    }
  }

  Result<NodePtr> parse_unary() {
    const bool minus = is_operator("-");
    if (!minus && !is_operator("+")) {
      DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_primary());
      return parse_postfix(std::move(value));
    }
    const DepthCount nested(nesting_);
    DBSA_RETURN_IF_ERROR(check_nesting());
    NodePtr node = make(NodeKind::kMinus, token().line);
    ++at_;
    DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_unary());
    if (!minus) return value;
    DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
    return node;
  }

  Result<NodePtr> parse_primary() {
    const Token here = token();
    NodePtr node = make(NodeKind::kConstant, here.line);
    switch (here.kind) {
      case TokenKind::kName:
        ++at_;
        if (here.text == "true" || here.text == "True") {
          node->value = true;
        } else if (here.text == "false" || here.text == "False") {
          node->value = false;
        } else if (here.text != "none" && here.text != "None") {
          node->kind = NodeKind::kName;
          node->text = here.text;
        }
        return node;
      case TokenKind::kString: {
        std::string text;
        while (is(TokenKind::kString)) text += tokens_[at_++].text;
        node->value = Value(std::move(text));
        return node;
      }
      case TokenKind::kInteger: {
        ++at_;
        int64_t number = 0;  // at most 18 digits
        std::from_chars(here.text.data(), here.text.data() + here.text.size(), number);
        node->value = number;
        return node;
      }
      case TokenKind::kReal: {
        ++at_;
        double number = 0;
        std::from_chars(here.text.data(), here.text.data() + here.text.size(), number);
        node->value = number;
        return node;
      }
      default:
        break;
    }
    if (take_operator("(")) return parse_parentheses(here.line);
    if (take_operator("[")) return parse_list(here.line);
    if (take_operator("{")) return parse_map(here.line);
    return fault("expected a value, found " + found());
  }

  Result<NodePtr> parse_parentheses(int64_t line) {
    if (take_operator(")")) return make(NodeKind::kList, line);
    DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_tuple(true));
    DBSA_RETURN_IF_ERROR(expect_operator(")"));
    return value;
  }

  Result<NodePtr> parse_list(int64_t line) {
    NodePtr node = make(NodeKind::kList, line);
    while (!is_operator("]")) {
      DBSA_ASSIGN_OR_RETURN(NodePtr item, parse_expression());
      DBSA_RETURN_IF_ERROR(put(std::move(item), *node));
      if (!is_operator("]")) DBSA_RETURN_IF_ERROR(expect_operator(","));
    }
    ++at_;
    return node;
  }

  Result<NodePtr> parse_map(int64_t line) {
    NodePtr node = make(NodeKind::kMap, line);
    while (!is_operator("}")) {
      DBSA_ASSIGN_OR_RETURN(NodePtr key, parse_expression());
      DBSA_RETURN_IF_ERROR(put(std::move(key), *node));
      DBSA_RETURN_IF_ERROR(expect_operator(":"));
      DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
      DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
      if (!is_operator("}")) DBSA_RETURN_IF_ERROR(expect_operator(","));
    }
    ++at_;
    return node;
  }

  Result<NodePtr> parse_postfix(NodePtr value) {
    while (true) {
      const int64_t line = token().line;
      if (take_operator(".")) {
        NodePtr node = make(NodeKind::kAttribute, line);
        if (is(TokenKind::kInteger)) return fault("write an item as [0], not as .0");
        DBSA_ASSIGN_OR_RETURN(node->text, take_name());
        DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
        value = std::move(node);
      } else if (take_operator("[")) {
        DBSA_ASSIGN_OR_RETURN(value, parse_subscript(std::move(value), line));
      } else if (is_operator("(")) {
        DBSA_ASSIGN_OR_RETURN(value, parse_call(std::move(value)));
      } else {
        return value;
      }
    }
  }

  Result<NodePtr> parse_subscript(NodePtr value, int64_t line) {
    NodePtr node = make(NodeKind::kItem, line);
    DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
    for (int part = 0; part < 3; ++part) {
      NodePtr bound;
      if (!is_operator(":") && !is_operator("]")) {
        DBSA_ASSIGN_OR_RETURN(bound, parse_expression());
      }
      DBSA_RETURN_IF_ERROR(put(std::move(bound), *node));
      if (part < 2 && take_operator(":")) {
        node->kind = NodeKind::kSlice;
        continue;
      }
      break;
    }
    DBSA_RETURN_IF_ERROR(expect_operator("]"));
    if (node->kind == NodeKind::kItem) {
      if (node->children[1] == nullptr) return fault_at(line, "expected an index in the brackets");
      return node;
    }
    while (node->children.size() < 4) node->children.push_back(nullptr);
    return node;
  }

  // Arguments between parentheses, which are here.
  Status parse_arguments(Node& node) {
    DBSA_RETURN_IF_ERROR(expect_operator("("));
    while (!is_operator(")")) {
      if (is(TokenKind::kName) && following().kind == TokenKind::kOperator &&
          following().text == "=") {
        const std::string name = token().text;
        at_ += 2;
        DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
        node.depth = std::max(node.depth, value->depth + 1);
        node.named.emplace_back(name, std::move(value));
      } else if (is_operator("*") || is_operator("**")) {
        return fault("arguments by * are not known");
      } else if (!node.named.empty()) {
        return fault("an argument without a name stands behind one with a name");
      } else {
        DBSA_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
        DBSA_RETURN_IF_ERROR(put(std::move(value), node));
      }
      if (!is_operator(")")) DBSA_RETURN_IF_ERROR(expect_operator(","));
    }
    DBSA_RETURN_IF_ERROR(check_arguments(node.children.size() + node.named.size()));
    ++at_;
    return check_depth(node);
  }
  Status check_arguments(size_t count) const {
    if (count <= kMaxArguments) return {};
    return fault("more than " + std::to_string(kMaxArguments) + " arguments");
  }

  Result<NodePtr> parse_call(NodePtr callee) {
    NodePtr node = make(NodeKind::kCall, token().line);
    DBSA_RETURN_IF_ERROR(put(std::move(callee), *node));
    DBSA_RETURN_IF_ERROR(parse_arguments(*node));
    return node;
  }

  Result<NodePtr> parse_filter(NodePtr value) {
    NodePtr node = make(NodeKind::kFilter, token().line);
    ++at_;
    DBSA_ASSIGN_OR_RETURN(node->text, take_name());
    DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
    if (is_operator("(")) DBSA_RETURN_IF_ERROR(parse_arguments(*node));
    return node;
  }

  Result<NodePtr> parse_test(NodePtr value) {
    NodePtr node = make(NodeKind::kTest, token().line);
    ++at_;
    const bool negated = take_word("not");
    DBSA_ASSIGN_OR_RETURN(node->text, take_name());
    DBSA_RETURN_IF_ERROR(put(std::move(value), *node));
    if (is_operator("(")) {
      DBSA_RETURN_IF_ERROR(parse_arguments(*node));
    } else if (takes_argument()) {
      DBSA_ASSIGN_OR_RETURN(NodePtr argument, parse_primary());
      DBSA_ASSIGN_OR_RETURN(argument, parse_postfix(std::move(argument)));
      DBSA_RETURN_IF_ERROR(put(std::move(argument), *node));
    }
    if (!negated) return node;
    NodePtr wrapped = make(NodeKind::kNot, node->line);
    DBSA_RETURN_IF_ERROR(put(std::move(node), *wrapped));
    return wrapped;
  }
  // Whether what follows a test's name is its argument.
  bool takes_argument() const {
    if (is(TokenKind::kString) || is(TokenKind::kInteger) || is(TokenKind::kReal)) return true;
    if (is_operator("[") || is_operator("{")) return true;
    constexpr std::array<std::string_view, 7> kOthers = {"else", "or", "and", "if",
                                                         "is",   "in", "not"};
    return is(TokenKind::kName) &&
           std::find(kOthers.begin(), kOthers.end(), token().text) == kOthers.end();
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  size_t nesting_ = 0;
  size_t loops_ = 0;  // around what is parsed
};

}  // namespace

Result<std::unique_ptr<Node>> parse_template(std::string_view source) {
  if (source.size() > kMaxTemplateBytes)
    return fault_at(1, "a template of " + std::to_string(source.size()) + " bytes; at most " +
                           std::to_string(kMaxTemplateBytes) + " are read");
  if (const auto bad = utf8::find_invalid(source))
    return fault_at(
        1 + std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(*bad), '\n'),
        "the template is not UTF-8");
  DBSA_ASSIGN_OR_RETURN(std::vector<Token> tokens, read_tokens(source));
  return Parser(std::move(tokens)).parse();
}

}  // namespace dbsa::jinja
