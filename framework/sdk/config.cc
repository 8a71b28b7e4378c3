// The one copy of config_inline.h for what is built here.
#define DBSA_SDK_INLINE
#include <dbsa/sdk/config_inline.h>
