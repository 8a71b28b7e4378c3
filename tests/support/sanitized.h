// Sanitizers make everything several times slower. What is long only because it is much of the same
// is less of it there; the optimised build has it whole.
#pragma once

namespace dbsa {

#ifdef DBSA_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace dbsa
