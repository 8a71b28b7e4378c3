/* A library that is no plugin. */
extern const int dbsa_plugin_of_another_name;
const int dbsa_plugin_of_another_name = 1;
