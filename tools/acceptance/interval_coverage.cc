// How often the 95 % intervals of reports hold the truth, on simulated studies.
//
//   interval_coverage [STUDIES [SEED]]
//
// Ends with 1 where coverage is not from 88 to 99 %, or an interval has no width, leaves its range
// or misses its own mean. Seeds 1 to 3 took part in choosing the method; use others to judge it.
#include <cstdio>
#include <cstdlib>

#include "tests/report/simulated_study.h"

int main(int count, char** words) {
  using namespace dbsa;
  const int64_t studies = count > 1 ? std::atoll(words[1]) : 2000;
  const uint64_t seed = count > 2 ? std::strtoull(words[2], nullptr, 10) : 12;
  if (studies < 1) {
    std::fprintf(stderr, "STUDIES: must be an integer >= 1, got %s\n", words[1]);
    return 2;
  }
  std::printf(
      "%lld simulated studies a row, seed %llu; share of 95 %% intervals with the truth\n\n"
      "draws  queries  accuracy  s.d. of draws   accuracy  difference  time ratio  faults\n",
      static_cast<long long>(studies), static_cast<unsigned long long>(seed));
  bool good = true;
  for (const Scenario& scenario : all_scenarios()) {
    const Coverage found = measure_coverage(scenario, studies, seed);
    std::printf("%5zu %8zu %9.2f %14.3f %9.1f %% %9.1f %% %9.1f %% %7lld\n", scenario.draws,
                scenario.queries, scenario.accuracy, scenario.deviation, 100 * found.accuracy,
                100 * found.difference, 100 * found.ratio, static_cast<long long>(found.faults));
    std::fflush(stdout);
    for (const double share : {found.accuracy, found.difference, found.ratio})
      good = good && share >= 0.88 && share <= 0.99;
    good = good && found.faults == 0;
  }
  return good ? 0 : 1;
}
