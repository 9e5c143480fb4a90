/// How the parts of the runtime are checked: as written, and with each ordering weakened.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "taskscope/tests/support/interleave/weakening.h"

namespace taskscope::interleave {

inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kAcquire = std::memory_order_acquire;
inline constexpr auto kRelease = std::memory_order_release;
inline constexpr auto kAcqRel = std::memory_order_acq_rel;
inline constexpr auto kSeqCst = std::memory_order_seq_cst;

inline void report(const std::vector<std::string>& problems, const std::string& log) {
  if (std::getenv("INTERLEAVE_LOG") != nullptr) std::cerr << log;
  for (const auto& problem : problems) UNSCOPED_INFO(problem);
  CHECK(problems.empty());
}
inline void check_cases(const Part& part) {
  std::string log;
  const auto problems = run_cases(part, log);
  report(problems, log);
}
inline void check_orders(const Part& part) {
  std::string log;
  const auto problems = weaken_each(part, log);
  report(problems, log);
}

}  // namespace taskscope::interleave
