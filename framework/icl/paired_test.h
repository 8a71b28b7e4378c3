// Whether two ways of answering the same queries differ by more than chance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "icl/intervals.h"

namespace dbsa {

// McNemar's exact test (1947, Psychometrika 12, 153-157): the probability, two-sided, of counts at
// least as unequal as `better` and `worse` if each had the same chance. The binomial distribution,
// for any counts; 1 for none. As scipy.stats.binomtest(better, better + worse).pvalue.
double mcnemar_exact(int64_t better, int64_t worse);

struct PairedTest {
  int64_t queries = 0;            // texts that both answered
  int64_t better = 0, worse = 0;  // of these, more often right, and less often
  double p = 1;                   // mcnemar_exact
  double p_holm = 1;              // beside the other comparisons with the same baseline
  int64_t comparisons = 1;        // these, itself included
};

// own, base: the same draws and queries in the same order, cells in [0, 1]. A text counts once, by
// the sum over its draws: answers to one text with several draws are not independent. With one draw
// this is McNemar's test, with more the sign test over texts. It speaks for other queries, not for
// other draws.
PairedTest paired_test(Layout own, Layout base);

// Holm's adjusted p-values (1979, Scandinavian Journal of Statistics 6, 65-70), in the order of p:
// where those below 0.05 are believed, a false one is among them in at most 5 % of studies.
std::vector<double> holm_adjusted(std::span<const double> p);

}  // namespace dbsa
