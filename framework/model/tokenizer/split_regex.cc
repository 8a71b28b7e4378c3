#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer/split_regex.h"
#include "model/tokenizer/make_error.h"

#include <pcre2.h>

namespace dbsa {
namespace {

constexpr uint32_t kMatchLimit = 50'000'000;
constexpr uint32_t kHeapLimitKib = 256 * 1024;
constexpr size_t kJitStackStart = 64 * 1024;
constexpr size_t kJitStackLimit = 64 * 1024 * 1024;

std::string pcre2_message(int code) {
  PCRE2_UCHAR8 buffer[256];
  pcre2_get_error_message_8(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* p) const { Free(p); }
};
using MatchData =
    std::unique_ptr<pcre2_match_data_8, Freer<pcre2_match_data_8, pcre2_match_data_free_8>>;
using MatchContext = std::unique_ptr<pcre2_match_context_8,
                                     Freer<pcre2_match_context_8, pcre2_match_context_free_8>>;
using JitStack =
    std::unique_ptr<pcre2_jit_stack_8, Freer<pcre2_jit_stack_8, pcre2_jit_stack_free_8>>;

}  // namespace

void SplitRegex::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free_8(code); }

SplitRegex::SplitRegex(std::string pattern, pcre2_real_code_8* code)
    : pattern_(std::move(pattern)), code_(code) {}

Result<SplitRegex> SplitRegex::compile(std::string_view pattern) {
  DBSA_ASSIGN_OR_RETURN(const std::string translated, translate_pattern(pattern));
  std::unique_ptr<pcre2_compile_context_8,
                  Freer<pcre2_compile_context_8, pcre2_compile_context_free_8>>
      context(pcre2_compile_context_create_8(nullptr));
  pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code_8* code = pcre2_compile_8(
      reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context.get());
  if (code == nullptr) {
    return make_error(ErrorCode::kConfig, "the regular expression \"" + std::string(pattern) +
                                              "\" does not compile: " + pcre2_message(error));
  }
  SplitRegex regex(std::string(pattern), code);
  uint32_t matches_empty = 0;
  pcre2_pattern_info_8(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) {
    return make_error(ErrorCode::kConfig,
                      "the regular expression \"" + std::string(pattern) +
                          "\" can match the empty string, which is not supported");
  }
  // Without JIT (a build of PCRE2 may lack it) pcre2_match interprets: slower, same matches.
  pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);
  return regex;
}

Status SplitRegex::find_all(std::string_view text, std::vector<Span>& matches,
                            Clock::time_point deadline) const {
  const MatchData data(pcre2_match_data_create_from_pattern_8(code_.get(), nullptr));
  const MatchContext context(pcre2_match_context_create_8(nullptr));
  pcre2_set_match_limit_8(context.get(), kMatchLimit);
  pcre2_set_heap_limit_8(context.get(), kHeapLimitKib);
  JitStack stack;
  for (size_t pos = 0; pos < text.size();) {
    if (Clock::now() > deadline)
      return make_error(ErrorCode::kConfig,
                        "the regular expression \"" + pattern_ +
                            "\" takes too long: it got as far as byte " + std::to_string(pos) +
                            " of a piece of text in the 30 s that a text may take; fetch the "
                            "tokenizer again");
    const auto match = [&] {
      return pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(),
                           pos, PCRE2_NO_UTF_CHECK, data.get(), context.get());
    };
    int found = match();
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack.reset(pcre2_jit_stack_create_8(kJitStackStart, kJitStackLimit, nullptr));
      pcre2_jit_stack_assign_8(context.get(), nullptr, stack.get());
      found = match();
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return make_error(ErrorCode::kConfig,
                        "the regular expression \"" + pattern_ + "\" cannot be matched at byte " +
                            std::to_string(pos) + " of a piece of text: " + pcre2_message(found));
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer_8(data.get());
    // A lookahead may report an end before the start; compile() refused empty matches.
    if (span[1] <= span[0]) break;
    matches.emplace_back(span[0], span[1]);
    pos = span[1];
  }
  return {};
}

}  // namespace dbsa
