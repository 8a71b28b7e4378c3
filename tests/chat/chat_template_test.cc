#include "model/chat/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::vector<ChatMessage> kMessages = {
    {"system", "Be brief."}, {"user", "one two"}, {"assistant", "yes"}, {"user", "three"}};

std::string render(const std::string& source, const ChatContext& context = {"<s>", "</s>", true}) {
  const auto chat = ChatTemplate::parse(source, "t");
  if (!chat.ok()) return "error " + chat.error().message;
  const auto text = chat->render(kMessages, context);
  return text.ok() ? *text : "error " + text.error().message;
}

TEST(ChatTemplate, AConversation) {
  EXPECT_EQ(render("{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m.content }}"
                   "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"),
            "<s><system>Be brief.<user>one two<assistant>yes<user>three<assistant>");
  EXPECT_EQ(render("{{ bos_token is defined }} {{ tools is none }}", {{}, {}, false}),
            "False True");
}

// Jinja's own rules, with trim_blocks and lstrip_blocks.
TEST(ChatTemplate, WhiteSpace) {
  EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(render("a\n  {{ 1 }}\n  {#- c -#}  \n d"), "a\n  1d");
  EXPECT_EQ(render("a {%- if true -%}\n b {%- endif %} c"), "ab c");
  EXPECT_EQ(render("a\n  {%+ if true +%}\nb{% endif %}\n"), "a\n  \nb");
  EXPECT_EQ(render("x {% if true %}y{% endif %}\r\nz"), "x yz");
}

TEST(ChatTemplate, Expressions) {
  const std::pair<const char*, const char*> rows[] = {
      {"{{ 1 + 2 * 3 - 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "4 -4 2 3.5"},
      {"{{ 'a' ~ 1 ~ none ~ true }} {{ 'ab' 'cd' }}", "a1NoneTrue abcd"},
      {"{{ 1 < 2 <= 2 and not 3 == 4 }} {{ 'b' in 'abc' }} {{ 5 not in [1, 2] }}",
       "True True True"},
      {"{{ 'x' if messages | length > 9 else 'y' }}{{ 'z' if false }}", "y"},
      {"{{ messages[-1].content[1:3] }} {{ [1, 2, 3][::-1] }} {{ 'abc'[:-1] }}", "hr [3, 2, 1] ab"},
      {"{{ 'h\\u00e9'[1] }} {{ 'h\\u00e9' | length }}", "\xC3\xA9 2"},
      {"{{ {'a': [1, 2.0, 'x\\'y', none]} }}", "{'a': [1, 2.0, \"x'y\", None]}"},
      {"{{ {'a': ['\\n\\u00e9']} | tojson }}", "{\"a\": [\"\\n\xC3\xA9\"]}"},
      {"{{ {'a': [1], 'b': {}} | tojson(indent=2) }}",
       "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"},
      {"{{ ' a b ' | trim }}|{{ ' a '.lstrip() }}|{{ 'xxay'.strip('xy') }}", "a b|a |a"},
      {"{{ 'a, b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1)[1] }}",
       "['a', ' b', 'c'] ['a', 'b'] b c"},
      {"{{ messages | map(attribute='role') | join('+') }}", "system+user+assistant+user"},
      {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "2"},
      {"{{ messages | rejectattr('role', '==', 'user') | map(attribute='content') | join }}",
       "Be brief.yes"},
      {"{{ missing | default('d') }} {{ '' | default('e', true) }} {{ missing }}!", "d e !"},
      {"{% set a, b = 1, 2 %}{{ a }}{{ b }} {{ (1, 2) | length }} {{ () | length }}", "12 2 0"},
      {"{{ 'Ab' | lower }}{{ 'Ab'.upper() }} {{ 'aXbX' | replace('X', '') }}", "abAB ab"},
      {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }}", "True True"},
      {"{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}{{ {'a': 1}.get('b', 2) }}",
       "a=12"},
      {"{{ range(3) | list }} {{ 5 is odd }} {{ 'a' is string }} {{ [] is iterable }}",
       "[0, 1, 2] True True True"},
      {"{{ 'a\nb' | indent(2) }} {{ '12' | int + 1 }} {{ [3, 4] | first }}{{ 'xy' | last }}",
       "a\n  b 13 3y"},
  };
  for (const auto& [source, expected] : rows) EXPECT_EQ(render(source), expected) << source;
}

TEST(ChatTemplate, Statements) {
  EXPECT_EQ(render("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
                   "{{ loop.index }}{{ loop.last }} {% if m.role == 'assistant' %}{% break %}"
                   "{% endif %}{% else %}none{% endfor %}"),
            "2False 3False ");
  EXPECT_EQ(render("{% for m in messages if m.role == 'x' %}{% else %}none{% endfor %}"), "none");
  // A loop's names end with it; a namespace's attributes stay.
  EXPECT_EQ(render("{% set x = 1 %}{% set ns = namespace(y=1) %}{% for m in messages %}"
                   "{% set x = 2 %}{% set ns.y = ns.y + 1 %}{% endfor %}{{ x }}{{ ns.y }}"),
            "15");
  EXPECT_EQ(render("{% macro m(a, b='-') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}"
                   "{{ m(2, b='+') | upper }}"),
            "[1-][2+]");
  EXPECT_EQ(render("{% set t %}a{{ 1 }}{% endset %}{{ t | length }}"
                   "{% generation %}g{% endgeneration %}"),
            "2g");
  EXPECT_EQ(render("{% if false %}a{% elif messages %}b{% else %}c{% endif %}"), "b");
}

TEST(ChatTemplate, WhatIsNotKnownIsRefusedByName) {
  const std::pair<const char*, const char*> rows[] = {
      {"\n{% include 'x' %}",
       "error t:2: the statement \"include\" is not among those that are known: if, for, set, "
       "macro, break, continue, generation"},
      {"{{ 1 | sort }}", "error t:1: the filter \"sort\" is not known"},
      {"{{ 1 is callable }}", "error t:1: the test \"callable\" is not known"},
      {"{{ 'a'.format(1) }}", "error t:1: the method \"format\" of a string is not known"},
      {"{{ lipsum() }}", "error t:1: the function \"lipsum\" is not known"},
      {"{{ strftime_now('%Y') }}",
       "error t:1: strftime_now is not given: a prompt that changes with the day could not be "
       "computed ahead"},
      {"{{ a.b }}", "error t:1: \"a\" is not defined, so it has no item 'b'"},
      {"{{ 'a' + 1 }}", "error t:1: the operator + does not take a string and an integer"},
      {"{{ raise_exception('Only users!') }}",
       "error t:1: the template refuses this conversation: Only users!"},
      {"a\n{{ 1 }", "error t:2: \"}\" closes nothing"},
      {"{% if 1 %}", "error t:1: expected {% endif %}, found the end of the template"},
      {"{{ 'a", "error t:1: the string is not closed"},
      {"{# a", "error t:1: the comment is not closed; write #}"},
      {"\xFF", "error t:1: the template is not UTF-8"},
      {"{% break %}", "error t:1: break stands outside a loop"},
      {"{{ 1 // 0 }}", "error t:1: a division by 0"},
      {"{{ 'a' < 1 }}", "error t:1: cannot compare a string and an integer by <"},
      {"{% set a.b = 1 %}", "error t:1: set a.b: \"a\" is no namespace"},
  };
  for (const auto& [source, expected] : rows) EXPECT_EQ(render(source), expected) << source;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string members(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += "'" + std::to_string(i) + "': 1, ";
  return all;
}

std::string members_set(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += "{%set x" + std::to_string(i) + "=1%}";
  return all.substr(0, all.rfind("{%", 120000));
}

// Each ends with an error, within a second.
TEST(ChatTemplate, HostileTemplatesEnd) {
  const std::string loops = "{% for a in range(1000) %}";
  const std::string doubling =
      "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x";
  const std::pair<std::string, const char*> rows[] = {
      {repeated(loops, 5) + "x" + repeated("{% endfor %}", 5), "takes more than 500000 steps"},
      {doubling + " + ns.x %}{% endfor %}", "more than"},
      {doubling + " ~ ns.x ~ ns.x %}{% endfor %}", "more than"},
      {doubling + " | replace('a', 'aaaaaaaaaaaaaaaa') %}{% endfor %}", "more than"},
      {doubling + ".split('a') | join('aaaaaa') %}{% endfor %}", "more than"},
      {"{% set a = 'a' * 1000000 %}{{ a.strip('b' * 1000000 ~ 'a') }}",
       "takes more than 500000 steps"},
      {"{% set a = 'a' * 1000000 %}{{ (a ~ 'b') in a }}", "takes more than 500000 steps"},
      {"{% set a = 'a' * 1000000 %}{{ a.split(a[:999] ~ 'b') }}", "takes more than 500000 steps"},
      {"{% set m = {" + members(101) + "} %}", "a map of more than 100 members"},
      {members_set(9000) + "{% for a in range(400000) %}{{ x1 }}{% endfor %}",
       "takes more than 500000 steps"},
      {"{{ 'aaaaaaaa' * 999999999 }}", "makes a text of more than 4194304 bytes"},
      {"{{ range(499999) | list | tojson(indent=16) }}", "takes more than 500000 steps"},
      {"{{ range(999999999999) }}", "range takes integers up to 500000"},
      {"{% set ns = namespace(x=[1]) %}{% for i in range(45) %}{% set ns.x = [ns.x, ns.x] %}"
       "{% endfor %}{{ ns.x }}",
       "takes more than 500000 steps"},
      {"{% set ns = namespace(x=[1]) %}{% for i in range(45) %}{% set ns.x = [ns.x, ns.x] %}"
       "{% endfor %}{{ ns.x == [ns.x[0], ns.x[1]] }}",
       "takes more than 500000 steps"},
      {"{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}"
       "{% endfor %}",
       "a list nested deeper than 50 levels"},
      {"{% set ns = namespace() %}{% set ns.x = ns %}", "a namespace cannot hold a namespace"},
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper than 300 levels"},
      {"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper than 300 levels"},
      {"{{ " + repeated("(", 9999) + "1" + repeated(")", 9999) + " }}",
       "nested deeper than 100 levels"},
      {"{{ " + repeated("[", 9999) + "1" + repeated("]", 9999) + " }}",
       "nested deeper than 100 levels"},
      {"{{ " + repeated("[", 9999) + " }}", "the tag is not closed"},
      {"{{ 1" + repeated(" + 1", 9999) + " }}", "nested deeper than 100 levels"},
      {"{{ 'a'" + repeated(" | trim", 9999) + " }}", "nested deeper than 100 levels"},
      {"{{ messages" + repeated("[0]", 9999) + " }}", "nested deeper than 100 levels"},
      {"{{ " + repeated("not ", 9999) + "1 }}", "nested deeper than 100 levels"},
      {"{{ " + repeated("-", 9999) + "1 }}", "nested deeper than 100 levels"},
      {repeated("{% if 1 %}", 9999), "nested deeper than 100 levels"},
      {"{{ 1 if " + repeated("1 if ", 9999) + "1 }}", "nested deeper than 100 levels"},
      {repeated("x", 1 << 18), "a template of 262144 bytes; at most 131072 are read"},
      {repeated("{{ messages | tojson }}", 5000) + repeated(loops, 4) + repeated("{% endfor %}", 4),
       "takes more than 500000 steps"},
  };
  for (const auto& [source, expected] : rows) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(render(source), testing::AllOf(StartsWith("error t:1: "), HasSubstr(expected)))
        << source.substr(0, 200);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), kSanitized ? 20 : 1) << source.substr(0, 200);
  }
}

}  // namespace
}  // namespace dbsa
