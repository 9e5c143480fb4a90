#include "taskscope/tests/runtime/faults/inject.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>

// What a sanitizer put in the place of the system's function, if one did: it has to see the calls.
#define SANITIZERS(name) ___interceptor_##name
#define DECLARE_SANITIZERS(name) extern "C" decltype(::name) SANITIZERS(name) __attribute__((weak))
#define NEXT(name)                                  \
  (&SANITIZERS(name) != nullptr ? &SANITIZERS(name) \
                                : reinterpret_cast<decltype(&::name)>(faults::next(#name)))

DECLARE_SANITIZERS(accept4);
DECLARE_SANITIZERS(recv);
DECLARE_SANITIZERS(send);
DECLARE_SANITIZERS(connect);
DECLARE_SANITIZERS(epoll_wait);
DECLARE_SANITIZERS(epoll_pwait2);
DECLARE_SANITIZERS(pthread_create);
DECLARE_SANITIZERS(mmap);

namespace faults {
namespace {

struct Plan {
  std::atomic<int> skip{0}, left{0}, error{0}, hits{0};
};
constinit std::array<Plan, static_cast<std::size_t>(Call::kCount)> plans;
constinit std::atomic<std::int64_t> living{0};

constexpr std::int64_t kNever = -1;
thread_local constinit std::int64_t until_failure = kNever;
thread_local constinit bool has_failed = false;
thread_local constinit std::uint64_t yield_count = 0;

Plan& plan_of(Call call) noexcept { return plans[static_cast<std::size_t>(call)]; }

bool take(std::atomic<int>& from) noexcept {
  int count = from.load();
  while (count > 0 && !from.compare_exchange_weak(count, count - 1)) {
  }
  return count > 0;
}

/// The error to fail with, 0 for none.
int failure_of(Call call) noexcept {
  Plan& plan = plan_of(call);
  if (plan.left.load() == 0 || take(plan.skip) || !take(plan.left)) return 0;
  plan.hits.fetch_add(1);
  return plan.error.load();
}
bool fails(Call call) noexcept {
  const int error = failure_of(call);
  if (error != 0) errno = error;
  return error != 0;
}

bool allocation_fails() noexcept {
  if (until_failure == kNever) return false;
  if (until_failure-- != 0) return false;  // to kNever, if it is the one
  has_failed = true;
  return true;
}

void* next(const char* name) noexcept {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return found;
}

[[maybe_unused]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (allocation_fails()) return nullptr;
  void* const memory =
      alignment == 0
          ? std::malloc(bytes != 0 ? bytes : 1)
          : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory != nullptr) living.fetch_add(1, std::memory_order_relaxed);
  return memory;
}
[[maybe_unused]] void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  void* const memory = allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[maybe_unused]] void release(void* memory) noexcept {
  if (memory != nullptr) living.fetch_sub(1, std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

Failing::Failing(Call call, int error, int times, int skip) noexcept : call_(call) {
  Plan& plan = plan_of(call);
  plan.hits = 0;
  plan.error = error;
  plan.skip = skip;
  plan.left = times;
}
Failing::~Failing() { plan_of(call_).left = 0; }
int Failing::hits() const noexcept { return plan_of(call_).hits.load(); }

std::uint64_t yields() noexcept { return yield_count; }
std::int64_t live_allocations() noexcept { return living.load(); }

FailingAllocation::FailingAllocation(std::uint32_t nth) noexcept {
  has_failed = false;
  until_failure = nth;
}
FailingAllocation::~FailingAllocation() { until_failure = kNever; }
bool FailingAllocation::hit() const noexcept { return has_failed; }

}  // namespace faults

using faults::Call;

extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return faults::fails(Call::Accept) ? -1 : NEXT(accept4)(fd, address, size, flags);
}
ssize_t recv(int fd, void* to, size_t size, int flags) {
  return faults::fails(Call::Receive) ? -1 : NEXT(recv)(fd, to, size, flags);
}
ssize_t send(int fd, const void* from, size_t size, int flags) {
  return faults::fails(Call::Send) ? -1 : NEXT(send)(fd, from, size, flags);
}
int connect(int fd, const sockaddr* address, socklen_t size) {
  const int made = NEXT(connect)(fd, address, size);
  return faults::fails(Call::Connect) ? -1 : made;
}
int epoll_wait(int fd, epoll_event* events, int size, int timeout_ms) {
  return faults::fails(Call::EpollWait) ? -1 : NEXT(epoll_wait)(fd, events, size, timeout_ms);
}
int epoll_pwait2(int fd, epoll_event* events, int size, const timespec* timeout,
                 const sigset_t* mask) {
  return faults::fails(Call::EpollPwait2) || faults::fails(Call::EpollWait)
             ? -1
             : NEXT(epoll_pwait2)(fd, events, size, timeout, mask);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) {
  const int error = faults::failure_of(Call::CreateThread);
  return error != 0 ? error : NEXT(pthread_create)(thread, attributes, run, argument);
}
int sched_yield() {
  ++faults::yield_count;
  return static_cast<int>(::syscall(SYS_sched_yield));
}
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (faults::allocation_fails()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  // Not through dlsym: it may come before that works.
  if (&SANITIZERS(mmap) != nullptr)
    return SANITIZERS(mmap)(at, size, protection, flags, fd, offset);
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

}  // extern "C"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TASKSCOPE_KEEPS_NEW  // it can't be replaced
#endif
#endif
#if !defined(TASKSCOPE_KEEPS_NEW)
void* operator new(std::size_t bytes) { return faults::allocate_or_throw(bytes, 0); }
void* operator new[](std::size_t bytes) { return faults::allocate_or_throw(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return faults::allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return faults::allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return faults::allocate(bytes, 0);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return faults::allocate(bytes, 0);
}
void operator delete(void* memory) noexcept { faults::release(memory); }
void operator delete[](void* memory) noexcept { faults::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { faults::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { faults::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { faults::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { faults::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  faults::release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  faults::release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { faults::release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { faults::release(memory); }
#endif
