/* A library that is there when `missing_library` is linked and not when it is loaded. */
__attribute__((visibility("default"))) int dbsa_absent_function(void);
int dbsa_absent_function(void) { return 0; }
