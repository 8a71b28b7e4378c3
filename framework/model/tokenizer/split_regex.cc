#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer/split_regex.h"
#include "model/tokenizer/make_error.h"

#include <pcre2.h>

#include <new>

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

// PCRE2 says with these codes, not by throwing, that malloc() returned null.
void throw_if_out_of_memory(int code) {
  if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc();
}

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* p) const { Free(p); }
};

}  // namespace

void SplitRegex::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free_8(code); }

SplitRegex::SplitRegex(std::string pattern, pcre2_real_code_8* code)
    : pattern_(std::move(pattern)), code_(code) {}

Result<SplitRegex> SplitRegex::compile(std::string_view pattern) {
  DBSA_ASSIGN_OR_RETURN(const std::string translated, translate_pattern(pattern));
  std::unique_ptr<pcre2_compile_context_8,
                  Freer<pcre2_compile_context_8, pcre2_compile_context_free_8>>
      context(pcre2_compile_context_create_8(nullptr));
  if (context == nullptr) throw std::bad_alloc();
  pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code_8* code = pcre2_compile_8(
      reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context.get());
  if (code == nullptr) {
    throw_if_out_of_memory(error);
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

SplitRegex::Matches::Matches(const SplitRegex& regex, std::string_view text,
                             Clock::time_point deadline)
    : regex_(regex),
      text_(text),
      deadline_(deadline),
      data_(pcre2_match_data_create_from_pattern_8(regex.code_.get(), nullptr)),
      context_(pcre2_match_context_create_8(nullptr)) {
  if (data_ == nullptr || context_ == nullptr) {
    pcre2_match_data_free_8(data_);
    pcre2_match_context_free_8(context_);
    throw std::bad_alloc();
  }
  pcre2_set_match_limit_8(context_, kMatchLimit);
  pcre2_set_heap_limit_8(context_, kHeapLimitKib);
}

SplitRegex::Matches::~Matches() {
  pcre2_match_data_free_8(data_);
  pcre2_match_context_free_8(context_);
  if (stack_ != nullptr) pcre2_jit_stack_free_8(stack_);
}

int SplitRegex::Matches::find() {
  return pcre2_match_8(regex_.code_.get(), reinterpret_cast<PCRE2_SPTR8>(text_.data()),
                       text_.size(), at_, PCRE2_NO_UTF_CHECK, data_, context_);
}

Result<bool> SplitRegex::Matches::next(Span& match) {
  if (at_ >= text_.size()) return false;
  if (Clock::now() > deadline_)
    return make_error(ErrorCode::kConfig,
                      "the regular expression \"" + regex_.pattern_ +
                          "\" takes too long: it got as far as byte " + std::to_string(at_) +
                          " of a piece of text in the 30 s that a text may take; fetch the "
                          "tokenizer again");
  int found = find();
  if (found == PCRE2_ERROR_JIT_STACKLIMIT && stack_ == nullptr) {
    stack_ = pcre2_jit_stack_create_8(kJitStackStart, kJitStackLimit, nullptr);
    if (stack_ == nullptr) throw std::bad_alloc();
    pcre2_jit_stack_assign_8(context_, nullptr, stack_);
    found = find();
  }
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
    throw_if_out_of_memory(found);
    return make_error(ErrorCode::kConfig, "the regular expression \"" + regex_.pattern_ +
                                              "\" cannot be matched at byte " +
                                              std::to_string(at_) +
                                              " of a piece of text: " + pcre2_message(found));
  }
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer_8(data_);
  // A lookahead may report an end before the start; compile() refused empty matches.
  if (found < 0 || span[1] <= span[0]) {
    at_ = text_.size();
    return false;
  }
  match = {span[0], span[1]};
  at_ = span[1];
  return true;
}

}  // namespace dbsa
