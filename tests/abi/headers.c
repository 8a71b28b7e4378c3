/* C11. */
#include "layout.h"

int dbsa_abi_c11_value(void);
int dbsa_abi_c11_value(void) { return DBSA_ERROR_UNSUPPORTED; }
