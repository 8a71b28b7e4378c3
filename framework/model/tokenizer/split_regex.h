// The regular expressions of tokenizer.json, matched with PCRE2 so that they mean what they mean to
// Hugging Face (Oniguruma, Ruby syntax, UTF-8).
//
// The pattern is parsed and rewritten for PCRE2 in a form that is equal in both: \s becomes the
// White_Space property (PCRE2's own \s also holds U+180E), literals become code points. What the
// two engines read differently is refused: anchors, \b, \w, back references, options other than
// (?i:...) around ASCII literals, class operations, possessive intervals, and so on. \p{...} takes
// general categories only; both libraries' tables agree on them (tests/tokenizer sweeps every code
// point).
#pragma once

#include <dbsa/sdk/result.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace dbsa {

// The equal pattern for PCRE2. Error (kConfig): what is not supported, and where in the pattern.
Result<std::string> translate_pattern(std::string_view pattern);

class SplitRegex {
 public:
  using Span = std::pair<size_t, size_t>;  // first byte, byte past the end

  // Compiles a pattern of tokenizer.json. A pattern that matches the empty string is refused.
  static Result<SplitRegex> compile(std::string_view pattern);

  using Clock = std::chrono::steady_clock;
  // The matches in `text` (valid UTF-8), in order, not overlapping, one after the other. Borrows
  // regex and text.
  class Matches {
   public:
    Matches(const SplitRegex& regex, std::string_view text,
            Clock::time_point deadline = Clock::time_point::max());
    ~Matches();
    Matches(const Matches&) = delete;
    Matches& operator=(const Matches&) = delete;

    // False at the end. Error (kConfig) when the match needs more steps or memory than the limits
    // allow, or when it is not found by the deadline: many matches may each need almost as much as
    // one is allowed.
    Result<bool> next(Span& match);

   private:
    int find();

    const SplitRegex& regex_;
    std::string_view text_;
    Clock::time_point deadline_;
    size_t at_ = 0;
    pcre2_real_match_data_8* data_;
    pcre2_real_match_context_8* context_;
    pcre2_real_jit_stack_8* stack_ = nullptr;  // made where PCRE2's own does not do
  };

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  SplitRegex(std::string pattern, pcre2_real_code_8* code);

  std::string pattern_;
  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code_;
};

}  // namespace dbsa
