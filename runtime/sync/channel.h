/// What the channels share: the counts of an mpsc channel and who waits for them, and a ring of
/// messages.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/sync/wait_list.h"

namespace taskscope::runtime::sync {

/// Messages in order. Grows by doubling and never shrinks.
template <class T>
class Ring {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a message is moved under a lock, where it must not throw");

 public:
  Ring() noexcept = default;
  Ring(Ring&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)),
        head_(std::exchange(other.head_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Ring& operator=(Ring&&) = delete;
  ~Ring() {
    while (size_ != 0) static_cast<void>(pop());
    if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
  }

  [[nodiscard]] bool full() const noexcept { return size_ == capacity_; }
  /// Throws std::bad_alloc, and changes nothing then.
  void grow() {
    const std::size_t larger = capacity_ == 0 ? 4 : 2 * capacity_;
    T* slots = std::allocator<T>().allocate(larger);
    for (std::size_t i = 0; i < size_; ++i) {
      T& message = slots_[(head_ + i) & (capacity_ - 1)];
      std::construct_at(&slots[i], std::move(message));
      std::destroy_at(&message);
    }
    if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
    slots_ = slots;
    capacity_ = larger;
    head_ = 0;
  }
  void push(T&& message) noexcept {
    assert(!full());
    std::construct_at(&slots_[(head_ + size_) & (capacity_ - 1)], std::move(message));
    ++size_;
  }
  [[nodiscard]] T pop() noexcept {
    assert(size_ != 0);
    T& slot = slots_[head_];
    T message = std::move(slot);
    std::destroy_at(&slot);
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return message;
  }

 private:
  T* slots_ = nullptr;
  std::size_t capacity_ = 0;  // a power of two, or 0
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

/// An mpsc channel without its messages.
///
/// A place in the channel belongs to a queued message, or is reserved: by a Permit, or by a sender
/// that was woken for it and has not run yet. A queued message is free, or promised to a receiver
/// that was woken for it. So neither can be taken by a latecomer, and cancelling gives either to
/// the next in line. Members that say nothing else want the lock held.
class ChannelCore : public Waitable {
 public:
  static constexpr std::size_t kUnbounded = SIZE_MAX;

  [[nodiscard]] std::size_t max_capacity() const noexcept { return capacity_; }

  // Any thread, without the lock:
  void add_sender() noexcept {
    // Relaxed: made from one that exists.
    senders_.fetch_add(1, std::memory_order_relaxed);
  }
  /// False: there is no sender any more, and there will be none.
  [[nodiscard]] bool try_add_sender() noexcept {
    auto senders = senders_.load(std::memory_order_relaxed);
    do {
      if (senders == 0) return false;
      // Relaxed: as add_sender; that there was one is all it needs.
    } while (!senders_.compare_exchange_weak(senders, senders + 1, std::memory_order_relaxed));
    return true;
  }
  [[nodiscard]] std::size_t senders() const noexcept {
    return senders_.load(std::memory_order_relaxed);
  }
  void drop_sender() noexcept;
  void close() noexcept;
  enum class Reserved : std::uint8_t { Place, Full, Closed };
  [[nodiscard]] Reserved try_reserve() noexcept;
  void give_back_slot() noexcept;
  [[nodiscard]] bool is_closed() noexcept;
  [[nodiscard]] std::size_t capacity() noexcept;
  [[nodiscard]] std::size_t length() noexcept;
  // Hints for watchers: publish nothing.
  void used_by_sender(TaskId task = task::current_task_id()) noexcept {
    last_sender_.store(task, std::memory_order_relaxed);
  }
  void used_by_receiver(TaskId task = task::current_task_id()) noexcept {
    last_receiver_.store(task, std::memory_order_relaxed);
  }

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) final;

  /// Waits until no message will be taken any more.
  class [[nodiscard]] Closing final : public WaitNodeOf<ChannelCore> {
   public:
    explicit Closing(ChannelCore& core) noexcept : WaitNodeOf(core, observe::WaitOp::Closed) {}
    ~Closing() { static_cast<void>(withdraw()); }
    [[nodiscard]] bool await_ready() noexcept { return waited() ? settled() : owner().is_closed(); }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().closings_, awaiting.promise(), [this] { return owner().closed_; });
    }
    void await_resume() noexcept { static_cast<void>(take_grant()); }
  };

 protected:
  ChannelCore(std::size_t capacity, const char* type, const char* name, Site site);
  ~ChannelCore() = default;

  [[nodiscard]] std::size_t queued() const noexcept {
    return queued_.load(std::memory_order_relaxed);
  }
  void set_queued(std::size_t count) noexcept { queued_.store(count, std::memory_order_relaxed); }
  [[nodiscard]] bool has_room() const noexcept { return queued() + reserved_ < capacity_; }
  /// A message can be sent, or received, and that is all there is to do: nobody waits for it.
  [[nodiscard]] bool is_quiet_for_sender() const noexcept {
    return receivings_.empty() && has_room() && !closed_;
  }
  [[nodiscard]] bool is_quiet_for_receiver() const noexcept {
    return free_messages() != 0 && sendings_.empty() && receivings_.empty();
  }
  [[nodiscard]] std::size_t free_messages() const noexcept { return queued() - promised_; }
  /// Nothing comes any more; what is promised is not here for the asker.
  [[nodiscard]] bool ended() const noexcept {
    return free_messages() == 0 && reserved_ == 0 &&
           (closed_ || senders_.load(std::memory_order_acquire) == 0);
  }
  /// A message was queued.
  void pushed(task::WakeBatch& batch) noexcept;
  /// `count` places became free, or reservations were given back.
  void freed(std::size_t count, std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;
  /// A promise was not kept up: the receiver was cancelled.
  void give_back_message() noexcept;

  const std::size_t capacity_;
  Atomic<std::size_t> queued_{0};  // written with the lock held; read without it as an estimate
  std::size_t reserved_ = 0;
  std::size_t promised_ = 0;
  bool closed_ = false;         // by the receiver
  bool receiver_gone_ = false;  // what is sent on reserved places goes nowhere
  WaitList sendings_, receivings_, closings_;

 private:
  void tell_if_ended(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;

  Atomic<std::size_t> senders_{1};  // written by Senders
  std::atomic<TaskId> last_sender_{TaskId::None}, last_receiver_{TaskId::None};
};

}  // namespace taskscope::runtime::sync
