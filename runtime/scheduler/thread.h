/// A thread with a stack size, which std::thread lacks.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

namespace taskscope::runtime::scheduler {

class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  /// `stack_bytes` 0: the system's default. The kernel keeps 15 bytes of the name. Throws
  /// std::system_error.
  void start(std::size_t stack_bytes, const std::string& name, void* (*run)(void*) noexcept,
             void* argument) {
    pthread_attr_t attributes;
    int error = ::pthread_attr_init(&attributes);
    if (error == 0) {
      if (stack_bytes != 0) error = ::pthread_attr_setstacksize(&attributes, stack_bytes);
      if (error == 0) error = ::pthread_create(&thread_, &attributes, run, argument);
      ::pthread_attr_destroy(&attributes);
    }
    if (error != 0) throw std::system_error(error, std::generic_category(), "starting a thread");
    joinable_ = true;
    ::pthread_setname_np(thread_, name.substr(0, 15).c_str());
  }
  void join() noexcept {
    if (std::exchange(joinable_, false)) ::pthread_join(thread_, nullptr);
  }

 private:
  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace taskscope::runtime::scheduler
