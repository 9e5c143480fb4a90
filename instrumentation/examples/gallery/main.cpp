// taskscope-gallery: a program with troubles, and what only looks like troubles.

#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <exception>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/init.h"

namespace {

using namespace taskscope;

constexpr int kUsageError = 2, kUnusable = 3;

/// Before there is a second thread: the curator alone takes the signals that end the program.
void block_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
}

}  // namespace

int main(int count, char** arguments) {
  block_signals();
  taskscope::instrumentation::init();
  std::string wrong;
  const auto options =
      gallery::parse({arguments + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)}, wrong);
  if (!options) {
    std::fprintf(stderr, "taskscope-gallery: %s\n", wrong.c_str());
    return kUsageError;
  }
  if (options->help) {
    std::fputs(gallery::usage().c_str(), stdout);
    return 0;
  }
  try {
    gallery::Curator curator(*options);
    try {
      curator.plant_all();
      curator.open();
    } catch (const gallery::Interrupted&) {
      // Asked to end before all was planted; that is an end, too.
    }
    curator.close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskscope-gallery: %s\n", error.what());
    return kUnusable;
  }
}
