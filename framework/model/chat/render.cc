#include "model/chat/render.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/chat/budget.h"
#include "model/chat/builtins.h"

namespace dbsa::jinja {
namespace {

enum class Flow { kOn, kBreak, kContinue };

class Renderer {
 public:
  explicit Renderer(const Map& context) : scopes_{context, {}} {}

  Result<std::string> render(const Node& root) {
    DBSA_RETURN_IF_ERROR(execute(root));
    return std::move(out_);
  }

 private:
  using Scope = Map;
  // Scope 0 is the context, 1 the template's own names.
  static constexpr size_t kOuterScopes = 2;

  Status enter(const Node& node) {
    budget_.line = node.line;
    if (depth_ > kMaxCallDepth)
      return budget_.fault("nested deeper than " + std::to_string(kMaxCallDepth) + " levels");
    return budget_.take(1);
  }

  // ---- names ------------------------------------------------------------------------------------

  const Value* find(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (const Value* found = find_member(*scope, name)) return found;
    return nullptr;
  }

  Status assign(const std::string& name, Value value) {
    Scope& scope = scopes_.back();
    DBSA_RETURN_IF_ERROR(budget_.take(1 + scope.size() / 8));
    set_member(scope, name, std::move(value));
    return {};
  }

  static void set_member(Map& map, const std::string& name, Value value) {
    for (auto& [key, held] : map)
      if (key == name) {
        held = std::move(value);
        return;
      }
    map.emplace_back(name, std::move(value));
  }

  // One name takes the value, several the items of a list.
  Status assign_all(const std::vector<std::string>& names, const Value& value) {
    if (names.size() == 1) return assign(names.front(), value);
    DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget_));
    if (items.size() != names.size())
      return budget_.fault("expected " + std::to_string(names.size()) + " values, found " +
                           std::to_string(items.size()));
    for (size_t i = 0; i < names.size(); ++i) DBSA_RETURN_IF_ERROR(assign(names[i], items[i]));
    return {};
  }

  // ---- statements -------------------------------------------------------------------------------

  Status write(std::string_view text) {
    DBSA_RETURN_IF_ERROR(budget_.take_bytes(text.size()));
    out_ += text;
    if (out_.size() > kMaxOutputBytes) return budget_.take_bytes(out_.size());
    return {};
  }

  Result<Flow> execute(const Node& node) {
    const DepthCount deeper(depth_);
    DBSA_RETURN_IF_ERROR(enter(node));
    switch (node.kind) {
      case NodeKind::kBody:
        return execute_body(node);
      case NodeKind::kText:
        DBSA_RETURN_IF_ERROR(write(node.text));
        return Flow::kOn;
      case NodeKind::kOutput:
        return execute_output(node);
      case NodeKind::kIf:
        return execute_if(node);
      case NodeKind::kFor:
        return execute_for(node);
      case NodeKind::kSet:
        return execute_set(node);
      case NodeKind::kSetBlock:
        return execute_set_block(node);
      case NodeKind::kMacro:
        DBSA_RETURN_IF_ERROR(assign(node.text, Macro{&node}));
        return Flow::kOn;
      case NodeKind::kBreak:
        return Flow::kBreak;
      case NodeKind::kContinue:
        return Flow::kContinue;
      default:
        return budget_.fault("an expression where a statement belongs");
    }
  }

  Result<Flow> execute_body(const Node& node) {
    for (const auto& child : node.children) {
      DBSA_ASSIGN_OR_RETURN(const Flow flow, execute(*child));
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Result<Flow> execute_output(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    if (value.is_undefined()) return Flow::kOn;
    if (value.as_namespace() != nullptr || value.macro() != nullptr)
      return budget_.fault(std::string("cannot write ") + value.kind());
    DBSA_RETURN_IF_ERROR(budget_.take_value(value));
    DBSA_RETURN_IF_ERROR(write(value.to_text()));
    return Flow::kOn;
  }

  Result<Flow> execute_if(const Node& node) {
    size_t i = 0;
    for (; i + 1 < node.children.size(); i += 2) {
      DBSA_ASSIGN_OR_RETURN(const Value condition, evaluate(*node.children[i]));
      if (condition.is_true()) return execute(*node.children[i + 1]);
    }
    return i < node.children.size() ? execute(*node.children[i]) : Flow::kOn;
  }

  // The items that the loop's condition lets through.
  Result<List> looped_over(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value list, evaluate(*node.children[0]));
    DBSA_ASSIGN_OR_RETURN(List items, items_of(list, budget_));
    if (node.children[1] == nullptr) return items;
    List kept;
    for (Value& item : items) {
      scopes_.emplace_back();
      Status assigned = assign_all(node.names, item);
      Result<Value> passes =
          assigned.ok() ? evaluate(*node.children[1]) : Result<Value>(std::move(assigned).error());
      scopes_.pop_back();
      if (!passes.ok()) return std::move(passes).error();
      if (passes->is_true()) kept.push_back(std::move(item));
    }
    return kept;
  }

  static Value loop_value(const List& items, size_t index) {
    const auto at = static_cast<int64_t>(index), size = static_cast<int64_t>(items.size());
    return Value(
        Map{{"index", at + 1},
            {"index0", at},
            {"revindex", size - at},
            {"revindex0", size - at - 1},
            {"first", at == 0},
            {"last", at + 1 == size},
            {"length", size},
            {"previtem", at == 0 ? Value(Undefined{"loop.previtem"}) : items[index - 1]},
            {"nextitem", at + 1 == size ? Value(Undefined{"loop.nextitem"}) : items[index + 1]}});
  }

  Result<Flow> execute_for(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const List items, looped_over(node));
    if (items.empty()) return node.children[3] != nullptr ? execute(*node.children[3]) : Flow::kOn;
    for (size_t i = 0; i < items.size(); ++i) {
      scopes_.emplace_back();
      scopes_.back().emplace_back("loop", loop_value(items, i));
      Status assigned = assign_all(node.names, items[i]);
      Result<Flow> flow =
          assigned.ok() ? execute(*node.children[2]) : Result<Flow>(std::move(assigned).error());
      scopes_.pop_back();
      if (!flow.ok()) return flow;
      if (*flow == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  Result<Flow> execute_set(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(Value value, evaluate(*node.children[0]));
    if (node.text.empty()) {
      DBSA_RETURN_IF_ERROR(assign_all(node.names, value));
      return Flow::kOn;
    }
    const Value* target = find(node.text);
    if (target == nullptr || target->as_namespace() == nullptr)
      return budget_.fault("set " + node.text + "." + node.names[0] + ": \"" + node.text +
                           "\" is no namespace");
    if (value.as_namespace() != nullptr || value.macro() != nullptr)
      return budget_.fault(std::string("a namespace cannot hold ") + value.kind());
    Map& attributes = target->as_namespace()->attributes;
    DBSA_RETURN_IF_ERROR(budget_.take(1 + attributes.size() / 8));
    set_member(attributes, node.names[0], std::move(value));
    if (attributes.size() > kMaxMembers)
      return budget_.fault("a namespace of more than " + std::to_string(kMaxMembers) + " members");
    return Flow::kOn;
  }

  // What the body writes.
  Result<std::string> captured(const Node& body) {
    std::string outer = std::exchange(out_, "");
    Result<Flow> flow = execute(body);
    std::string inner = std::exchange(out_, std::move(outer));
    if (!flow.ok()) return std::move(flow).error();
    return inner;
  }

  Result<Flow> execute_set_block(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(std::string text, captured(*node.children[0]));
    DBSA_RETURN_IF_ERROR(assign(node.names[0], std::move(text)));
    return Flow::kOn;
  }

  // ---- expressions ------------------------------------------------------------------------------

  Result<Value> evaluate(const Node& node) {
    const DepthCount deeper(depth_);
    DBSA_RETURN_IF_ERROR(enter(node));
    switch (node.kind) {
      case NodeKind::kConstant:
        return node.value;
      case NodeKind::kName:
        return evaluate_name(node);
      case NodeKind::kList:
        return evaluate_list(node);
      case NodeKind::kMap:
        return evaluate_map(node);
      case NodeKind::kAttribute:
        return evaluate_attribute(node);
      case NodeKind::kItem:
        return evaluate_item(node);
      case NodeKind::kSlice:
        return evaluate_slice(node);
      case NodeKind::kCall:
        return evaluate_call(node);
      case NodeKind::kFilter:
        return evaluate_filter(node);
      case NodeKind::kTest:
        return evaluate_test(node);
      case NodeKind::kNot:
        return evaluate_not(node);
      case NodeKind::kMinus:
        return evaluate_minus(node);
      case NodeKind::kArithmetic:
        return evaluate_arithmetic(node);
      case NodeKind::kComparison:
        return evaluate_comparison(node);
      case NodeKind::kAnd:
      case NodeKind::kOr:
        return evaluate_logic(node);
      case NodeKind::kConcat:
        return evaluate_concat(node);
      case NodeKind::kConditional:
        return evaluate_conditional(node);
      default:
        return budget_.fault("a statement where an expression belongs");
    }
  }

  static bool is_function(const std::string& name) {
    return name == "namespace" || name == "range" || name == "raise_exception";
  }

  Result<Value> evaluate_name(const Node& node) {
    size_t known = 0;
    for (const Scope& scope : scopes_) known += scope.size();
    DBSA_RETURN_IF_ERROR(budget_.take(known / 8));
    if (const Value* found = find(node.text)) return *found;
    if (is_function(node.text)) return Value(Macro{});
    return Value(Undefined{node.text});
  }

  Result<Value> evaluate_list(const Node& node) {
    List items;
    for (const auto& child : node.children) {
      DBSA_ASSIGN_OR_RETURN(items.emplace_back(), evaluate(*child));
    }
    return checked_list(std::move(items), budget_);
  }

  Result<Value> evaluate_map(const Node& node) {
    Map map;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      DBSA_ASSIGN_OR_RETURN(const Value key, evaluate(*node.children[i]));
      if (key.text() == nullptr)
        return budget_.fault(std::string("keys of maps are strings, found ") + key.kind());
      DBSA_ASSIGN_OR_RETURN(Value value, evaluate(*node.children[i + 1]));
      DBSA_RETURN_IF_ERROR(budget_.take(1 + map.size() / 8));
      set_member(map, *key.text(), std::move(value));
    }
    return checked_map(std::move(map), budget_);
  }

  Result<Value> evaluate_attribute(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    return item_of(value, Value(node.text), budget_);
  }

  Result<Value> evaluate_item(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    DBSA_ASSIGN_OR_RETURN(const Value key, evaluate(*node.children[1]));
    return item_of(value, key, budget_);
  }

  Result<Value> evaluate_slice(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    Value bounds[3];
    for (size_t i = 0; i < 3; ++i)
      if (node.children[i + 1] != nullptr) {
        DBSA_ASSIGN_OR_RETURN(bounds[i], evaluate(*node.children[i + 1]));
      }
    return slice_of(value, bounds[0], bounds[1], bounds[2], budget_);
  }

  Result<Arguments> evaluate_arguments(const Node& node) {
    Arguments arguments;
    for (size_t i = 1; i < node.children.size(); ++i) {
      DBSA_ASSIGN_OR_RETURN(arguments.values.emplace_back(), evaluate(*node.children[i]));
    }
    for (const auto& [name, child] : node.named) {
      DBSA_ASSIGN_OR_RETURN(Value value, evaluate(*child));
      set_member(arguments.named, name, std::move(value));
    }
    return arguments;
  }

  Result<Value> evaluate_call(const Node& node) {
    const Node& callee = *node.children[0];
    if (callee.kind == NodeKind::kAttribute) {
      DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*callee.children[0]));
      DBSA_ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node));
      budget_.line = node.line;
      return call_method(value, callee.text, arguments, budget_);
    }
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(callee));
    DBSA_ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node));
    budget_.line = node.line;
    if (value.macro() == nullptr) {
      if (value.is_undefined() && callee.text == "strftime_now")
        return budget_.fault(
            "strftime_now is not given: a prompt that changes with the day could not be computed "
            "ahead");
      return value.is_undefined()
                 ? budget_.fault("the function \"" + value.undefined()->name + "\" is not known")
                 : budget_.fault(std::string("expected a function to call, found ") + value.kind());
    }
    if (value.macro()->node == nullptr) return call_function(callee.text, arguments);
    return call_macro(*value.macro()->node, arguments);
  }

  Result<Value> call_function(const std::string& name, const Arguments& arguments) {
    if (name == "raise_exception") {
      const Value* text = arguments.values.empty() ? nullptr : &arguments.values.front();
      return budget_.fault("the template refuses this conversation" +
                           (text != nullptr && text->text() != nullptr
                                ? ": " + text->text()->substr(0, 500)
                                : std::string()));
    }
    if (name == "namespace") {
      if (!arguments.values.empty())
        return budget_.fault("namespace takes arguments with names only");
      for (const auto& [key, value] : arguments.named)
        if (value.as_namespace() != nullptr || value.macro() != nullptr)
          return budget_.fault(std::string("a namespace cannot hold ") + value.kind());
      return Value::make_namespace(arguments.named);
    }
    return make_range(arguments);
  }

  Result<Value> make_range(const Arguments& arguments) {
    std::vector<int64_t> bounds;
    for (const Value& value : arguments.values) {
      const auto bound = value.as_integer();
      if (!bound || *bound > kMaxSteps || *bound < -kMaxSteps)
        return budget_.fault("range takes integers up to " + std::to_string(kMaxSteps));
      bounds.push_back(*bound);
    }
    if (bounds.empty() || bounds.size() > 3 || !arguments.named.empty())
      return budget_.fault("range takes one to three integers");
    const int64_t first = bounds.size() == 1 ? 0 : bounds[0];
    const int64_t end = bounds.size() == 1 ? bounds[0] : bounds[1];
    const int64_t step = bounds.size() == 3 ? bounds[2] : 1;
    if (step == 0) return budget_.fault("a range with a step of 0");
    List items;
    for (int64_t at = first; step > 0 ? at < end : at > end; at += step) {
      DBSA_RETURN_IF_ERROR(budget_.take(1));
      items.emplace_back(at);
    }
    return Value(std::move(items));
  }

  // What a macro writes. It sees the context, the template's own names and its arguments.
  Result<Value> call_macro(const Node& macro, const Arguments& arguments) {
    if (arguments.values.size() > macro.names.size())
      return budget_.fault("the macro \"" + macro.text + "\" takes " +
                           std::to_string(macro.names.size()) + " arguments, found " +
                           std::to_string(arguments.values.size()));
    for (const auto& [name, value] : arguments.named)
      if (std::find(macro.names.begin(), macro.names.end(), name) == macro.names.end())
        return budget_.fault("the macro \"" + macro.text + "\" has no argument \"" + name + "\"");
    std::vector<Scope> inner(std::make_move_iterator(scopes_.begin() + kOuterScopes),
                             std::make_move_iterator(scopes_.end()));
    scopes_.resize(kOuterScopes);
    scopes_.emplace_back();
    Result<std::string> text = write_macro(macro, arguments);
    scopes_.resize(kOuterScopes);
    std::move(inner.begin(), inner.end(), std::back_inserter(scopes_));
    if (!text.ok()) return std::move(text).error();
    return Value(std::move(text).value());
  }

  Result<std::string> write_macro(const Node& macro, const Arguments& arguments) {
    for (size_t i = 0; i < macro.names.size(); ++i) {
      const std::string& name = macro.names[i];
      const Value* given =
          i < arguments.values.size() ? &arguments.values[i] : find_member(arguments.named, name);
      Value value = given != nullptr ? *given : Value(Undefined{name});
      const auto otherwise = std::find_if(macro.named.begin(), macro.named.end(),
                                          [&](const auto& one) { return one.first == name; });
      if (given == nullptr && otherwise != macro.named.end()) {
        DBSA_ASSIGN_OR_RETURN(value, evaluate(*otherwise->second));
      }
      DBSA_RETURN_IF_ERROR(assign(name, std::move(value)));
    }
    return captured(*macro.children[0]);
  }

  Result<Value> evaluate_filter(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    DBSA_ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node));
    budget_.line = node.line;
    return apply_filter(node.text, value, arguments, budget_);
  }

  Result<Value> evaluate_test(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    DBSA_ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node));
    budget_.line = node.line;
    DBSA_ASSIGN_OR_RETURN(const bool passes,
                          apply_test(node.text, value, arguments.values, budget_));
    return Value(passes);
  }

  Result<Value> evaluate_not(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    return Value(!value.is_true());
  }

  Result<Value> evaluate_minus(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*node.children[0]));
    if (const double* real = value.real()) return Value(-*real);
    return arithmetic("-", Value(int64_t{0}), value, budget_);
  }

  Result<Value> evaluate_arithmetic(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value left, evaluate(*node.children[0]));
    DBSA_ASSIGN_OR_RETURN(const Value right, evaluate(*node.children[1]));
    budget_.line = node.line;
    return arithmetic(node.text, left, right, budget_);
  }

  Result<bool> compare_two(const std::string& operation, const Value& left, const Value& right) {
    if (operation == "in" || operation == "not in") {
      DBSA_ASSIGN_OR_RETURN(const bool found, contains(right, left, budget_));
      return found == (operation == "in");
    }
    if (operation == "==" || operation == "!=") {
      DBSA_ASSIGN_OR_RETURN(const bool same, compared(left, right, budget_));
      return same == (operation == "==");
    }
    DBSA_RETURN_IF_ERROR(budget_.take(std::min(left.weight(), right.weight())));
    const std::optional<int> order = compare(left, right);
    if (!order)
      return budget_.fault(std::string("cannot compare ") + left.kind() + " and " + right.kind() +
                           " by " + operation);
    return operation == "<"    ? *order < 0
           : operation == "<=" ? *order <= 0
           : operation == ">"  ? *order > 0
                               : *order >= 0;
  }

  Result<Value> evaluate_comparison(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(Value left, evaluate(*node.children[0]));
    for (size_t i = 0; i < node.names.size(); ++i) {
      DBSA_ASSIGN_OR_RETURN(Value right, evaluate(*node.children[i + 1]));
      budget_.line = node.line;
      DBSA_ASSIGN_OR_RETURN(const bool holds, compare_two(node.names[i], left, right));
      if (!holds) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }

  Result<Value> evaluate_logic(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(Value left, evaluate(*node.children[0]));
    if (left.is_true() == (node.kind == NodeKind::kOr)) return left;
    return evaluate(*node.children[1]);
  }

  Result<Value> evaluate_concat(const Node& node) {
    std::string text;
    for (const auto& child : node.children) {
      DBSA_ASSIGN_OR_RETURN(const Value value, evaluate(*child));
      if (value.as_namespace() != nullptr || value.macro() != nullptr)
        return budget_.fault(std::string("cannot write ") + value.kind());
      DBSA_RETURN_IF_ERROR(budget_.take_value(value));
      if (!value.is_undefined()) text += value.to_text();
      if (text.size() > kMaxOutputBytes) break;
    }
    DBSA_RETURN_IF_ERROR(budget_.take_bytes(text.size()));
    return Value(std::move(text));
  }

  Result<Value> evaluate_conditional(const Node& node) {
    DBSA_ASSIGN_OR_RETURN(const Value condition, evaluate(*node.children[0]));
    if (condition.is_true()) return evaluate(*node.children[1]);
    if (node.children[2] != nullptr) return evaluate(*node.children[2]);
    return Value(Undefined{"the value of an if without else"});
  }

  std::vector<Scope> scopes_;
  std::string out_;
  size_t depth_ = 0;
  Budget budget_;
};

}  // namespace

Result<std::string> render(const Node& root, const Map& context) {
  return Renderer(context).render(root);
}

}  // namespace dbsa::jinja
