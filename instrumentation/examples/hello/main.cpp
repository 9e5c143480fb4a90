/// The smallest program to attach to. `taskscope record -o hello.taskscope -- taskscope-hello`.
#include <chrono>
#include <cstdio>

#include "taskscope/instrumentation/init.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/sleep.h"

using namespace taskscope::runtime;

Task<int> answer() {
  co_await time::sleep(std::chrono::milliseconds(100));
  co_return 42;
}

int main() {
  taskscope::instrumentation::init();
  Runtime runtime;
  std::printf("%d\n", runtime.block_on(answer()));
}
