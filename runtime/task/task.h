/// Task<T>: a lazily started coroutine, awaited by another or spawned onto a runtime.
#pragma once

#include <cassert>
#include <concepts>
#include <coroutine>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "taskscope/runtime/task/header.h"
#include "taskscope/runtime/task/waiter.h"

#if !defined(__cpp_exceptions) || !defined(__cpp_rtti)
#error "taskscope needs exceptions and RTTI: remove -fno-exceptions and -fno-rtti"
#endif

namespace taskscope::runtime {

template <class T = void>
class Task;

namespace task {

/// Waits for its arms; lives in the awaiting frame. Its arms are destroyed before it ends.
class Group : public Waiter {
 public:
  [[nodiscard]] bool ready(bool) noexcept final { return satisfied_; }
  void describe(observe::Wait& wait) const noexcept final { wait.mode = mode_; }
  /// The body of an arm ended. Called within the poll, when the arm has suspended for the last
  /// time.
  virtual void arm_done(Arm& arm) noexcept = 0;
  [[nodiscard]] const Branch* owner() const noexcept { return branch_; }

 protected:
  explicit Group(observe::BranchMode mode) noexcept : mode_(mode) {}
  ~Group() = default;

  /// Enters an arm into the task, behind its group's arm `after` or, as the first, behind `owner`,
  /// which awaits it. So the list is the tree of arms, each before what it awaits itself: of
  /// several that may go on in one poll the earlier goes first, and one that wins does so before
  /// the arms of a later one have taken what they would lose with it.
  static void link(Arm& arm, Branch& owner, Arm* after) noexcept;
  static void unlink(Arm& arm) noexcept;
  void satisfy() noexcept;

  bool satisfied_ = false;
  observe::BranchMode mode_;
};

/// What every coroutine keeps: who awaits it, its branch, and where it awaits.
class PromiseBase {
 public:
  [[nodiscard]] Branch* branch() const noexcept { return branch_; }
  [[nodiscard]] PromiseBase* awaiter() const noexcept { return awaiter_; }
  /// The await that the coroutine is suspended in, or ran last.
#if defined(TASKSCOPE_WITHOUT_STACKS)
  // To measure what it costs to keep it (tests/bench/hooks).
  [[nodiscard]] Site site() const noexcept { return {}; }
#else
  [[nodiscard]] const Site& site() const noexcept { return site_; }
#endif

  [[nodiscard]] std::coroutine_handle<> handle() noexcept {
    // The promise is at the same distance behind the frame's start for every alignment up to 16.
    return std::coroutine_handle<PromiseBase>::from_promise(*this);
  }
  void start_in(Branch* branch, PromiseBase* awaiter) noexcept {
    branch_ = branch;
    awaiter_ = awaiter;
  }
  /// The body ended: whom to go on with.
  [[nodiscard]] std::coroutine_handle<> finish() noexcept {
    if (awaiter_ != nullptr) return awaiter_->handle();
    // Who resumed the branch sees it: a task's body has ended; an arm's group has to be told.
    branch_->leaf = nullptr;
    return std::noop_coroutine();
  }

  static void* operator new(std::size_t bytes) { return allocate_body(bytes); }
  static void operator delete(void* body) noexcept { release_body(body); }

 protected:
#if defined(TASKSCOPE_WITHOUT_STACKS)
  void keep_site(Site) noexcept {}
#else
  void keep_site(Site site) noexcept { site_ = site; }
#endif

  PromiseBase* awaiter_ = nullptr;
  Branch* branch_ = nullptr;

 private:
#if !defined(TASKSCOPE_WITHOUT_STACKS)
  Site site_;
#endif
};

struct FinalAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
    return ended.promise().finish();
  }
  [[noreturn]] void await_resume() const noexcept { std::abort(); }
};

/// Ours: derives from Waiter, so that it is describable, unlinks itself, and can be cancelled.
template <class A>
concept LeafAwaitable = std::is_base_of_v<Waiter, std::remove_cvref_t<A>>;
/// Makes a leaf: `JoinHandle`, `Notified`: anything with `.awaiter()` that returns a leaf by value.
template <class A>
concept MakesLeaf = requires(A&& a) {
  { std::forward<A>(a).awaiter() } -> LeafAwaitable;
};

/// The leaf's await_ready. One that keeps who used it asks for the task, lest it look it up.
template <class Leaf>
[[gnu::always_inline]] inline bool ready_for(Leaf& leaf, const Header& task) noexcept {
  if constexpr (requires { leaf.await_ready(task); }) {
    return leaf.await_ready(task);
  } else {
    return leaf.await_ready();
  }
}

/// An await that was put off, as the poll's budget was used up: the worker begins it in a later
/// poll. Made for that time only, so that an await in time pays no memory for it.
class PutOff : public Waiter {
 public:
  virtual ~PutOff() = default;
  /// Ends the poll, so that the task is queued again.
  void end_poll() noexcept {
    Header& task = branch_->task();
    task.again |= Header::kOutOfBudget;
    // The task runs: this only names the branch and makes the worker queue the task again.
    static_cast<void>(task.notify(branch_->id));
  }
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    free_frame(memory, bytes);
  }
};

/// A leaf that takes part in the cooperative budget: a task that always finds its leaves ready is
/// made to yield before the 129th await of a poll, as in tokio. The worker, not the coroutine,
/// begins the await again. `Leaf` is a reference, or a value made in place.
template <class Leaf, class Promise>
class Budgeted {
 public:
  template <class Make>
  Budgeted(Promise& promise, Make&& make)
      : leaf_(std::forward<Make>(make)()), link_(reinterpret_cast<std::uintptr_t>(&promise)) {}
  Budgeted(const Budgeted&) = delete;
  Budgeted& operator=(const Budgeted&) = delete;
  /// The await is over, or destroyed with its frame. A leaf that lives on, because the caller of
  /// select owns it, must not wake through a branch that is gone.
  ~Budgeted() {
    if (put_off() != nullptr) [[unlikely]]
      delete put_off();
    if constexpr (requires(std::remove_reference_t<Leaf>& leaf) { leaf.abandon(); })
      leaf_.abandon();
  }

  [[nodiscard, gnu::always_inline]] bool await_ready() noexcept {
    Header& task = reinterpret_cast<Promise*>(link_)->branch()->task();
    if (task.budget == 0) [[unlikely]] {
      if (put_it_off()) return false;
    } else {
      --task.budget;
    }
    return ready_for(leaf_, task);
  }
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    if (put_off() == nullptr) [[likely]]
      return start(awaiting);
    put_off()->begin(awaiting);
    return true;
  }
  decltype(auto) await_resume() { return leaf_.await_resume(); }

 private:
  class Later final : public PutOff {
   public:
    Later(Budgeted& await, Promise& promise) noexcept : await_(await), promise_(promise) {}
    void begin(std::coroutine_handle<Promise> awaiting) noexcept {
      suspend(awaiting);
      end_poll();
    }
    [[nodiscard]] bool ready(bool woken) noexcept override {
      if (!woken) return false;
      Header& task = promise_.branch()->task();
      if (task.budget != 0) --task.budget;
      if (ready_for(await_.leaf_, task)) return true;
      return !await_.start(std::coroutine_handle<Promise>::from_promise(promise_));
    }
    void describe(observe::Wait& wait) const noexcept override { await_.leaf_.describe(wait); }

   private:
    Budgeted& await_;
    Promise& promise_;
  };

  [[nodiscard]] Later* put_off() const noexcept {
    return (link_ & kPutOff) != 0 ? reinterpret_cast<Later*>(link_ & ~kPutOff) : nullptr;
  }
  /// False: there is no memory for it, and the await goes on at once.
  [[gnu::cold, gnu::noinline]] bool put_it_off() noexcept {
    try {
      auto* later = new Later(*this, *reinterpret_cast<Promise*>(link_));
      link_ = reinterpret_cast<std::uintptr_t>(later) | kPutOff;
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  bool start(std::coroutine_handle<Promise> awaiting) noexcept {
    if constexpr (std::is_void_v<decltype(leaf_.await_suspend(awaiting))>) {
      leaf_.await_suspend(awaiting);
      return true;
    } else {
      return leaf_.await_suspend(awaiting);
    }
  }

  static constexpr std::uintptr_t kPutOff = 1;
  Leaf leaf_;
  std::uintptr_t link_;  // the Promise, or with kPutOff the Later
};

/// A leaf that pays no budget, by reference. A value of its own, because GCC 12 copies the awaiter
/// when await_transform returns a reference.
template <class Leaf>
class Direct {
 public:
  explicit Direct(Leaf& leaf) noexcept : leaf_(leaf) {}
  [[nodiscard]] bool await_ready() const noexcept { return leaf_.await_ready(); }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> awaiting) const {
    return leaf_.await_suspend(awaiting);
  }
  decltype(auto) await_resume() const { return leaf_.await_resume(); }

 private:
  Leaf& leaf_;
};

/// Awaits another Task: runs it at once, on the same branch, and goes on with its result.
template <class T>
class ChildAwaiter;

/// Awaits `leaf` on behalf of the coroutine that wrote the combinator, or called the library's
/// coroutine: the site is that of the owner's await.
template <class A>
struct Inherited {
  explicit Inherited(A&& inner) noexcept : awaitable(static_cast<A&&>(inner)) {}
  A&& awaitable;
};
template <class A>
inline constexpr bool kIsInherited = false;
template <class A>
inline constexpr bool kIsInherited<Inherited<A>> = true;

/// What has to be wrapped in adapt().
template <class A>
inline constexpr bool kForeign =
    !LeafAwaitable<A> && !MakesLeaf<A> && !kIsInherited<std::remove_cvref_t<A>>;

template <class T>
class PromiseResult {
 public:
  PromiseResult() noexcept = default;
  /// A result whose move throws becomes that exception.
  PromiseResult(PromiseResult&& other) noexcept {
    try {
      if (other.result_.index() == 1) {
        result_.template emplace<1>(std::get<1>(std::move(other.result_)));
      } else if (other.result_.index() == 2) {
        result_.template emplace<2>(std::get<2>(std::move(other.result_)));
      }
    } catch (...) {
      unhandled_exception();
    }
  }
  PromiseResult& operator=(PromiseResult&&) = delete;

  template <class U>
    requires std::convertible_to<U, T>
  void return_value(U&& value) {
    result_.template emplace<1>(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { result_.template emplace<2>(std::current_exception()); }
  /// The result, once. Rethrows what the body threw.
  [[nodiscard]] T take() {
    // Moved out: whoever catches holds the only reference, whatever thread the frame is freed on.
    if (result_.index() == 2) std::rethrow_exception(std::move(std::get<2>(result_)));
    return std::get<1>(std::move(result_));
  }
  [[nodiscard]] std::exception_ptr exception() const noexcept {
    return threw() ? std::get<2>(result_) : nullptr;
  }
  [[nodiscard]] bool threw() const noexcept { return result_.index() == 2; }

 private:
  std::variant<std::monostate, T, std::exception_ptr> result_;
};

template <>
class PromiseResult<void> {
 public:
  void return_void() noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }
  [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_; }
  [[nodiscard]] bool threw() const noexcept { return exception_ != nullptr; }

 private:
  std::exception_ptr exception_;
};

/// Aborts when the compiler lost the frame's address: GCC 12 does for some coroutines that it
/// should reject.
[[noreturn]] void miscompiled_coroutine() noexcept;

template <class T>
class Promise final : public PromiseBase, public PromiseResult<T> {
 public:
  using Result = T;
  static_assert(
      std::is_void_v<T> || alignof(std::conditional_t<std::is_void_v<T>, char, T>) <= 16,
      "the result of a Task is kept in its frame, which is 16-byte aligned: return a pointer");

  Task<T> get_return_object() noexcept;
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }

  template <LeafAwaitable A>
    requires requires { std::remove_reference_t<A>::kUnbudgeted; }
  [[nodiscard]] auto await_transform(A&& leaf, Site site = Site::current()) noexcept {
    keep_site(site);
    return Direct<std::remove_reference_t<A>>(leaf);
  }
  template <LeafAwaitable A>
    requires(!requires { std::remove_reference_t<A>::kUnbudgeted; })
  [[nodiscard]] auto await_transform(A&& leaf, Site site = Site::current()) noexcept {
    keep_site(site);
    using Leaf = std::remove_reference_t<A>;
    return Budgeted<Leaf&, Promise>(*this, [&leaf]() noexcept -> Leaf& { return leaf; });
  }
  template <MakesLeaf A>
    requires(!LeafAwaitable<A>)
  [[nodiscard]] auto await_transform(A&& maker, Site site = Site::current()) {
    keep_site(site);
    using Leaf = decltype(std::forward<A>(maker).awaiter());
    return Budgeted<Leaf, Promise>(*this, [&maker] { return std::forward<A>(maker).awaiter(); });
  }
  template <class U>
  [[nodiscard]] ChildAwaiter<U> await_transform(Task<U>&& child,
                                                Site site = Site::current()) noexcept;
  template <class U>
  void await_transform(Task<U>& child,
                       Site site = Site::current()) = delete;  // write co_await std::move(task)
  template <class A>
  [[nodiscard]] decltype(auto) await_transform(Inherited<A>& inner, Site site = Site::current()) {
    const PromiseBase* owner = awaiter_;
    if (owner == nullptr && branch_->is_arm())
      owner = static_cast<const Arm&>(*branch_).group->owner()->leaf;
    return await_transform(std::forward<A>(inner.awaitable),
                           owner != nullptr ? Site(owner->site()) : site);
  }
  template <class A>
    requires(kForeign<A>)
  void await_transform(A&&, Site = Site::current()) {
    static_assert(!kForeign<A>,
                  "a Task awaits only what belongs to this runtime, because only that can be "
                  "cancelled and shown: "
                  "wrap other awaitables as co_await taskscope::runtime::adapt(x)");
  }
};

}  // namespace task

/// A coroutine that yields one T; does nothing until it is awaited or spawned.
///
/// Shape    move-only; await it once, as an rvalue: `co_await call()`, or
///          `co_await std::move(task)`.
/// Errors   what the body throws is thrown at the await, or travels to the JoinHandle.
/// Cancel   destroying a Task that waits destroys everything on its frames, innermost first.
/// Cost     one allocation a call: 16-byte aligned, with room for the task's header.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = task::Promise<T>;
  using Result = T;

  Task(Task&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      body_ = std::exchange(other.body_, nullptr);
    }
    return *this;
  }
  ~Task() { reset(); }

  [[nodiscard]] bool valid() const noexcept { return body_ != nullptr; }
  /// Hands the frame over, to whoever starts it.
  [[nodiscard]] std::coroutine_handle<promise_type> release() noexcept {
    return std::exchange(body_, nullptr);
  }
  [[nodiscard]] promise_type& promise() const noexcept { return body_.promise(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> body) noexcept : body_(body) {}
  void reset() noexcept {
    if (body_) std::exchange(body_, nullptr).destroy();
  }

  std::coroutine_handle<promise_type> body_;
};

namespace task {

template <class T>
class [[nodiscard]] ChildAwaiter {
 public:
  ChildAwaiter(Task<T>& child, PromiseBase& awaiter) noexcept : child_(child) {
    assert(child.valid() && "this Task was awaited or spawned before");
    child.promise().start_in(awaiter.branch(), &awaiter);
  }
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
    return child_.promise().handle();
  }
  T await_resume() const { return child_.promise().take(); }

 private:
  Task<T>& child_;
};

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  auto handle = std::coroutine_handle<Promise>::from_promise(*this);
  // The promise begins two pointers behind the frame, and the frame where the header ends.
  if (handle.address() !=
      static_cast<void*>(reinterpret_cast<char*>(static_cast<PromiseBase*>(this)) -
                         2 * sizeof(void*))) {
    miscompiled_coroutine();
  }
  return Task<T>(handle);
}

template <class T>
template <class U>
ChildAwaiter<U> Promise<T>::await_transform(Task<U>&& child, Site site) noexcept {
  this->keep_site(site);
  return ChildAwaiter<U>(child, *this);
}

}  // namespace task
}  // namespace taskscope::runtime
