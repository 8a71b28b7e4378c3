// The objects behind the handles of the ABI, except dbsa_weight (linear.h) and dbsa_plan (plan.h).
#pragma once

#include "kv_layout.h"
#include "memory.h"

#include <dbsa/attention_backend.h>

#include <vector>

struct dbsa_buffer {
  int64_t rows = 0;
  int64_t width = 0;
  uint64_t content = 0;  // unique to what is in it; 0: none yet
  dbsa::cpu::Memory memory;

  float* row(int64_t r) { return static_cast<float*>(memory.data()) + r * width; }
  const float* row(int64_t r) const { return static_cast<const float*>(memory.data()) + r * width; }
};

struct dbsa_kv {
  int64_t tokens = 0;
  dbsa::cpu::KvLayout layout;
  std::vector<const void*> planes;  // [layers]
  dbsa::cpu::Memory memory;         // what the planes are part of; empty where they are imported
  bool live = false;
};
