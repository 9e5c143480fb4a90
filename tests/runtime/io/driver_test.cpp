#include "taskscope/runtime/io/driver.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/io/operation.h"
#include "taskscope/runtime/runtime.h"

using namespace taskscope::runtime;
using io::Driver;
using io::Registration;
using io::RegistrationHandle;

namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) throw std::system_error();
    read = io::Descriptor(ends[0]);
    write = io::Descriptor(ends[1]);
  }
  io::Descriptor read, write;
};

void put(const io::Descriptor& to, const std::string& text) {
  REQUIRE(::write(to.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}
void poll(Driver& driver, std::int64_t timeout_ns) {
  task::WakeBatch wakes;
  driver.poll(timeout_ns, wakes);
}
RegistrationHandle add(Driver& driver, io::Descriptor fd, std::uint64_t initial = 0) {
  auto added = driver.add(std::move(fd), initial);
  REQUIRE(added);
  return std::move(*added);
}

Task<std::string> read_some(Registration& from) {
  std::array<char, 64> buffer{};
  for (;;) {
    const auto ready = co_await io::readable(from);
    if (!ready) co_return ready.error().message();
    const auto count = ::read(from.fd(), buffer.data(), buffer.size());
    if (count >= 0) co_return std::string(buffer.data(), static_cast<std::size_t>(count));
    if (errno != EAGAIN) co_return "read failed";
    from.clear(*ready, io::bits_of(io::Direction::Read));
  }
}
Task<bool> is_readable(Registration& from) {
  const auto ready = co_await io::readable(from);
  co_return ready.has_value();
}
Task<bool> write_until_full(Registration& to) {
  const std::string much(1 << 16, 'x');
  for (int rounds = 0;;) {
    const auto ready = co_await io::writable(to);
    if (!ready) co_return false;
    const auto count = ::write(to.fd(), much.data(), much.size());
    if (count >= 0) continue;
    to.clear(*ready, io::bits_of(io::Direction::Write));
    if (++rounds == 2) co_return true;  // was full, became writable, is full again
  }
}
template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}

}  // namespace

TEST_CASE("driver: a task waits for a pipe until somebody writes") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Driver driver;
  Pipe pipe;
  auto reader = add(driver, std::move(pipe.read));
  CHECK(driver.registrations() == 1);
  auto text = runtime.spawn(read_some(*reader));
  put(pipe.write, "hello");
  while (!text.is_finished()) poll(driver, 1'000'000);
  CHECK(runtime.block_on(joined(std::move(text))) == "hello");
  CHECK(driver.readiness() == 1);
  reader.reset();
  CHECK(driver.registrations() == 0);
}

TEST_CASE("driver: what was not read yet is remembered, what was is forgotten") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Driver driver;
  Pipe pipe;
  auto reader = add(driver, std::move(pipe.read));
  put(pipe.write, "one");
  poll(driver, -1);
  const auto seen = reader->readiness();
  CHECK((seen & io::kReadable) != 0);
  CHECK(runtime.block_on(read_some(*reader)) == "one");
  // An event after `seen` was read: the bits stay.
  put(pipe.write, "two");
  poll(driver, -1);
  reader->clear(seen, io::kReadable);
  CHECK((reader->readiness() & io::kReadable) != 0);
  CHECK(runtime.block_on(read_some(*reader)) == "two");
  reader->clear(reader->readiness(), io::kReadable);
  CHECK((reader->readiness() & io::kReadable) == 0);
}

TEST_CASE("driver: the end of a pipe stays readable") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Driver driver;
  Pipe pipe;
  auto reader = add(driver, std::move(pipe.read));
  put(pipe.write, "last");
  pipe.write.reset();
  poll(driver, -1);
  CHECK(runtime.block_on(read_some(*reader)) == "last");
  CHECK(runtime.block_on(read_some(*reader)).empty());
  CHECK(runtime.block_on(read_some(*reader)).empty());
}

TEST_CASE("driver: a writer waits while the pipe is full") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Driver driver;
  Pipe pipe;
  auto writer = add(driver, std::move(pipe.write), io::kWritable);
  auto full = runtime.spawn(write_until_full(*writer));
  std::array<char, 4096> buffer;
  while (!full.is_finished()) {
    while (::read(pipe.read.get(), buffer.data(), buffer.size()) > 0) {
    }
    poll(driver, 1'000'000);
  }
  CHECK(runtime.block_on(joined(std::move(full))));
}

TEST_CASE("driver: every waiter of a descriptor is woken, however many") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  Driver driver;
  Pipe pipe;
  auto reader = add(driver, std::move(pipe.read));
  std::vector<JoinHandle<bool>> handles;
  for (int i = 0; i < 200; ++i) handles.push_back(runtime.spawn(is_readable(*reader)));
  while (runtime.metrics().polls < 200) std::this_thread::yield();
  put(pipe.write, "x");
  poll(driver, -1);
  int woken = 0;
  for (auto& handle : handles) woken += runtime.block_on(joined(std::move(handle))) ? 1 : 0;
  CHECK(woken == 200);
}

TEST_CASE("driver: a cancelled wait leaves nothing behind") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  Driver driver;
  Pipe pipe;
  auto reader = add(driver, std::move(pipe.read));
  for (int i = 0; i < 100; ++i) {
    auto waiting = runtime.spawn(is_readable(*reader));
    waiting.abort();
    if (i == 50) {
      put(pipe.write, "x");
      poll(driver, -1);
      while (!waiting.is_finished()) std::this_thread::yield();
      char byte = 0;
      CHECK(::read(reader->fd(), &byte, 1) == 1);
      reader->clear(reader->readiness(), io::kReadable);
    }
    while (!waiting.is_finished()) std::this_thread::yield();
  }
  reader.reset();  // asserts that nobody waits
}

TEST_CASE("driver: unpark ends the poll that runs, or the next one") {
  Driver driver;
  driver.unpark();
  driver.unpark();
  poll(driver, -1);
  std::atomic<int> polls{0};
  std::thread sleeper([&] {
    for (int i = 0; i < 100; ++i) {
      poll(driver, -1);
      polls.fetch_add(1);
      polls.notify_one();
    }
  });
  for (int i = 0; i < 100; ++i) {
    driver.unpark();
    polls.wait(i);
  }
  sleeper.join();
  CHECK(driver.readiness() == 0);
}

TEST_CASE("driver: what epoll refuses is an error, not an exception") {
  Driver driver;
  auto closed = driver.add(io::Descriptor(::dup(-1)), 0);
  REQUIRE_FALSE(closed);
  CHECK(closed.error().value() == EBADF);
  auto file = driver.add(io::Descriptor(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), 0);
  REQUIRE_FALSE(file);
  CHECK(file.error().value() == EPERM);
  CHECK(driver.registrations() == 0);
  poll(driver, 0);
}

TEST_CASE("driver: a registration outlives its driver, and waiting for it then is an error") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  auto driver = std::make_unique<Driver>();
  Pipe pipe;
  auto reader = add(*driver, std::move(pipe.read));
  auto dropped_before = add(*driver, std::move(pipe.write));
  dropped_before.reset();
  driver.reset();
  CHECK(runtime.block_on(read_some(*reader)) ==
        std::make_error_code(std::errc::operation_canceled).message());
  reader.reset();
}

TEST_CASE("driver: registrations may be dropped while their events are in flight") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Driver driver;
  std::atomic<bool> stop{false};
  std::thread poller([&] {
    while (!stop.load(std::memory_order_relaxed)) poll(driver, 1'000'000);
  });
  for (int i = 0; i < 500; ++i) {
    std::vector<RegistrationHandle> readers;
    for (int j = 0; j < 4; ++j) {
      Pipe pipe;
      readers.push_back(add(driver, std::move(pipe.read)));
      put(pipe.write, "event");
    }  // and a hang-up
    auto waiting = runtime.spawn(is_readable(*readers[0]));
    while (!waiting.is_finished()) std::this_thread::yield();
  }
  stop.store(true, std::memory_order_relaxed);
  driver.unpark();
  poller.join();
  CHECK(driver.registrations() == 0);
}
