/* Ends the program when its library is loaded. */
#include "bad_table.c"

#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void end(void) { END; }
