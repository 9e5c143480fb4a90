/// Waiting for signals of the process.
///
/// The first listener of a signal installs a handler (SA_RESTART) in the place of whatever was
/// there, and it stays for the life of the process: afterwards the signal no longer does what it
/// did before, also when nobody listens. The handler counts and writes to an eventfd; nothing else
/// happens in it.
#pragma once

#include <cstdint>
#include <system_error>
#include <utility>

#include "taskscope/runtime/io/operation.h"
#include "taskscope/runtime/result.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::signal {

class Signal;

class [[nodiscard]] Recv final : public io::Operation<Recv> {
 public:
  explicit Recv(Signal& signal) noexcept;
  Result<void, std::error_code> await_resume() noexcept;

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept;
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  Signal& signal_;
  std::uint64_t count_ = 0;
  std::error_code error_;
};

/// A listener; made by listen(). Every listener of a signal gets it.
class Signal {
 public:
  /// Waits until the signal came since listen() or since the last recv(). Several that come before
  /// anybody looks count as one, as with the kernel.
  ///
  /// Errors   operation_canceled when the runtime is gone.
  /// Cancel   safe: a cancelled recv has taken nothing.
  [[nodiscard]] Recv recv() noexcept { return Recv(*this); }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  friend class Recv;
  friend Result<Signal, std::error_code> listen(int number);
  Signal(io::RegistrationHandle event, int number, std::uint64_t seen) noexcept
      : event_(std::move(event)), number_(number), seen_(seen) {}

  io::RegistrationHandle event_;
  int number_;
  std::uint64_t seen_;
};

/// Listens from now on.
///
/// Errors   invalid_argument for what can't be caught (SIGKILL, SIGSTOP) or must not be waited for
///          (SIGSEGV, SIGILL, SIGFPE, SIGBUS); too_many_files_open. Outside a runtime it throws
///          std::logic_error.
/// Source   tokio::signal::unix::signal
[[nodiscard]] Result<Signal, std::error_code> listen(int number);

/// Waits for the next SIGINT (Ctrl-C) or SIGTERM after the first poll. To miss none between two
/// waits, keep a listener.
///
/// Errors   as listen() and recv().
[[nodiscard]] Task<Result<void, std::error_code>> ctrl_c();
[[nodiscard]] Task<Result<void, std::error_code>> terminate();

}  // namespace taskscope::runtime::signal
