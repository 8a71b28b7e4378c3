// What the preload libraries here share: the function that a wrapper stands before.
#pragma once

#include <dlfcn.h>
#include <string.h>

// Stores the next definition of a function, libc's own, in *function.
static inline void resolve_next(void* function, const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  memcpy(function, &symbol, sizeof symbol);
}

// Declares `next`, which is libc's function of that name. The wrapper's first declaration.
#define NEXT(name)               \
  static __typeof__(&name) next; \
  if (next == NULL) resolve_next(&next, #name)
