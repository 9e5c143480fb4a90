#include "taskscope/instrumentation/threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

#include "taskscope/runtime/observe/observer.h"

namespace taskscope::instrumentation {

std::thread start_thread(const char* name, std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  // A thread inherits the mask of the one that starts it.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread([name, work = std::move(body)] {
      try {
        work();
      } catch (const std::exception& error) {
        runtime::observe::set_mask(0);
        std::fprintf(stderr, "taskscope: %s stopped: %s\n", name, error.what());
      }
    });
    pthread_setname_np(thread.native_handle(), name);
  } catch (const std::system_error&) {
    // Told by joinable().
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

std::string read_thread_file(std::int32_t tid, const char* name) {
  char path[64], text[4096];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t got = ::read(fd, text, sizeof text);
  close(fd);
  return std::string(text, got > 0 ? static_cast<std::size_t>(got) : 0);
}

}  // namespace taskscope::instrumentation
