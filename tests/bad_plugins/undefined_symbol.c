/* A plugin that calls what no library has. */
#include <dbsa/plugin.h>

int dbsa_nobody_has_this(void);
extern DBSA_EXPORT int (*const dbsa_plugin)(void);
int (*const dbsa_plugin)(void) = dbsa_nobody_has_this;
