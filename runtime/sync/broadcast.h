/// A channel in which every receiver gets every message; who is too slow misses the oldest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/result.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::sync::broadcast {

enum class SendError : std::uint8_t { Closed };  ///< there is no receiver

/// Why recv gave no message.
struct RecvError {
  enum class Kind : std::uint8_t {
    Lagged,  ///< messages were overwritten before they were received; the oldest left comes next
    Closed,  ///< there is no sender any more, and all was received
    Empty,   ///< try_recv: it may still come
  } kind = Kind::Closed;
  std::uint64_t missed = 0;  ///< Lagged: how many
};

template <class T>
class Sender;
template <class T>
class WeakSender;
template <class T>
class Receiver;

/// A broadcast channel without the type of its messages. They are kept behind shared pointers, so
/// that no code of the user's runs under the lock.
class ChannelCore final : public Waitable {
 public:
  using Message = std::shared_ptr<const void>;

  /// Errors   std::invalid_argument for a capacity of 0.
  ChannelCore(std::size_t capacity, const char* name, Site site);
  ~ChannelCore() { leave(); }

  void add_sender() noexcept { senders_.fetch_add(1, std::memory_order_relaxed); }
  /// False: there is no sender any more, and there will be none.
  [[nodiscard]] bool try_add_sender() noexcept;
  void drop_sender() noexcept;
  [[nodiscard]] std::size_t senders() const noexcept {
    // Acquire: pairs with drop_sender's release; what all sent before they went is seen.
    return senders_.load(std::memory_order_acquire);
  }
  /// Returns where the new receiver begins: behind what was sent.
  [[nodiscard]] std::uint64_t add_receiver() noexcept;
  void drop_receiver(std::uint64_t position) noexcept;
  /// The number of receivers that will get it; 0, and nothing is sent, if there is none.
  [[nodiscard]] std::size_t send(Message message) noexcept;
  [[nodiscard]] Result<Message, RecvError> try_receive(std::uint64_t& position) noexcept;
  [[nodiscard]] std::size_t receivers() noexcept;
  /// Messages that are there for a receiver at `position`.
  [[nodiscard]] std::size_t length(std::uint64_t position) noexcept;
  /// Messages that some receiver has not received yet.
  [[nodiscard]] std::size_t queued() noexcept;
  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

  class Receiving : public WaitNodeOf<ChannelCore> {
   public:
    [[nodiscard]] bool await_ready() noexcept;
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().line_, awaiting.promise(), [this] { return is_over_or_enter(); });
    }

   protected:
    Receiving(ChannelCore& core, std::uint64_t& position) noexcept
        : WaitNodeOf(core, observe::WaitOp::Recv), position_(position) {}
    ~Receiving() { static_cast<void>(withdraw()); }
    /// Woken to look: a cancelled wait has taken nothing.
    [[nodiscard]] Result<Message, RecvError> finish() noexcept {
      static_cast<void>(take_grant());
      return owner().try_receive(position_);
    }

   private:
    friend ChannelCore;
    // Locked, both:
    [[nodiscard]] bool is_over() const noexcept;
    [[nodiscard]] bool is_over_or_enter() noexcept;
    std::uint64_t& position_;       // the receiver's
    std::uint64_t entered_at_ = 0;  // where the channel was then; locked
  };

  /// Waits until there is no receiver.
  class [[nodiscard]] Closing final : public WaitNodeOf<ChannelCore> {
   public:
    explicit Closing(ChannelCore& core) noexcept : WaitNodeOf(core, observe::WaitOp::Closed) {}
    ~Closing() { static_cast<void>(withdraw()); }
    [[nodiscard]] bool await_ready() noexcept {
      return waited() ? settled() : owner().receivers() == 0;
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().closings_, awaiting.promise(),
                     [this] { return owner().receivers_ == 0; });
    }
    void await_resume() noexcept { static_cast<void>(take_grant()); }
  };

 private:
  struct Slot {
    Message message;
    std::size_t unread = 0;  // receivers that have it before them
  };
  [[nodiscard]] Slot& slot(std::uint64_t position) noexcept {
    return slots_[position % slots_.size()];
  }
  [[nodiscard]] std::uint64_t oldest() const noexcept {
    return next_ > slots_.size() ? next_ - slots_.size() : 0;
  }

  Atomic<std::size_t> senders_{1};
  std::atomic<TaskId> last_sender_{TaskId::None};
  std::vector<Slot> slots_;  // all of these: under lock_
  std::uint64_t next_ = 0;   // position of the next message
  std::size_t receivers_ = 0;
  WaitList line_, closings_;
};

/// Sends to all receivers, from any thread. Copies send into the same channel.
template <class T>
class [[nodiscard]] Sender {
 public:
  Sender(const Sender& other) noexcept : core_(other.core_) {
    if (core_) core_->add_sender();
  }
  Sender(Sender&& other) noexcept = default;
  Sender& operator=(Sender other) noexcept {
    core_.swap(other.core_);
    return *this;
  }
  ~Sender() {
    if (core_) core_->drop_sender();
  }

  /// Sends at once; overwrites the oldest message when the channel is full.
  ///
  /// Shape    how many receivers there are; each may still lag behind or end before it gets it.
  /// Errors   Closed: there is no receiver now; the message is dropped. Throws std::bad_alloc.
  /// Source   tokio::sync::broadcast::Sender::send
  Result<std::size_t, SendError> send(T message) const {
    const std::size_t receivers = core_->send(std::make_shared<const T>(std::move(message)));
    if (receivers == 0) return SendError::Closed;
    return receivers;
  }
  /// A receiver of what is sent from now on.
  [[nodiscard]] Receiver<T> subscribe() const noexcept { return Receiver<T>(core_); }
  [[nodiscard]] std::size_t receiver_count() const noexcept { return core_->receivers(); }
  /// Messages that some receiver has not received yet.
  [[nodiscard]] std::size_t size() const noexcept { return core_->queued(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// Waits until there is no receiver.
  ///
  /// Cancel   safe.
  [[nodiscard]] ChannelCore::Closing closed() const noexcept {
    return ChannelCore::Closing(*core_);
  }
  /// A sender that doesn't keep the channel open.
  [[nodiscard]] WeakSender<T> downgrade() const noexcept { return WeakSender<T>(core_); }
  /// Senders alive, this one with them.
  [[nodiscard]] std::size_t strong_count() const noexcept { return core_->senders(); }
  [[nodiscard]] bool same_channel(const Sender& other) const noexcept {
    return core_ == other.core_;
  }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *core_; }

 private:
  friend WeakSender<T>;
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(std::size_t, const char*, Site);
  explicit Sender(std::shared_ptr<ChannelCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<ChannelCore> core_;
};

/// A sender that can't send and doesn't count: the channel ends when all others are gone.
///
/// Source   tokio::sync::broadcast::WeakSender
template <class T>
class [[nodiscard]] WeakSender {
 public:
  /// A sender, unless there is none any more.
  [[nodiscard]] std::optional<Sender<T>> upgrade() const noexcept {
    if (!core_->try_add_sender()) return std::nullopt;
    return Sender<T>(core_);
  }
  [[nodiscard]] std::size_t strong_count() const noexcept { return core_->senders(); }

 private:
  friend Sender<T>;
  explicit WeakSender(std::shared_ptr<ChannelCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<ChannelCore> core_;
};

/// Receives a copy of every message. Must outlive its waits; one task at a time.
template <class T>
class [[nodiscard]] Receiver {
 public:
  Receiver(Receiver&& other) noexcept : core_(std::move(other.core_)), position_(other.position_) {}
  Receiver& operator=(Receiver&& other) noexcept {
    if (this != &other) {
      const Receiver before(std::move(*this));
      core_ = std::move(other.core_);
      position_ = other.position_;
    }
    return *this;
  }
  ~Receiver() {
    if (core_) core_->drop_receiver(position_);
  }

  class [[nodiscard]] Receiving final : public ChannelCore::Receiving {
   public:
    Result<T, RecvError> await_resume() { return copy_of(this->finish()); }

   private:
    friend Receiver;
    using ChannelCore::Receiving::Receiving;
  };

  /// Waits for the next message; yields a copy of it.
  ///
  /// Errors   Lagged: this receiver was too slow, and goes on with the oldest message there is;
  ///          Closed. Throws what copying a T throws; the message counts as received then.
  /// Cancel   safe: a cancelled recv has taken no message.
  /// Source   tokio::sync::broadcast::Receiver::recv
  Receiving recv() noexcept { return Receiving(*core_, position_); }
  /// Waits for the next message with the calling thread.
  ///
  /// Errors   as recv(). std::logic_error on a thread that runs tasks: allowed are threads outside
  ///          of runtimes and blocking calls.
  Result<T, RecvError> blocking_recv() {
    return task::wait_on_thread(recv(), "broadcast::Receiver::blocking_recv");
  }
  /// The next message, if it is there.
  ///
  /// Errors   as recv(), and Empty.
  Result<T, RecvError> try_recv() { return copy_of(core_->try_receive(position_)); }
  /// A receiver of what is sent from now on.
  [[nodiscard]] Receiver resubscribe() const noexcept { return Receiver(core_); }
  /// Messages that were sent and not received; more than the capacity when this one lags.
  [[nodiscard]] std::size_t size() const noexcept { return core_->length(position_); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// There is no sender any more; what was sent can still be received.
  [[nodiscard]] bool is_closed() const noexcept { return sender_strong_count() == 0; }
  [[nodiscard]] std::size_t sender_strong_count() const noexcept { return core_->senders(); }
  [[nodiscard]] bool same_channel(const Receiver& other) const noexcept {
    return core_ == other.core_;
  }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *core_; }

 private:
  friend Sender<T>;
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(std::size_t, const char*, Site);
  explicit Receiver(std::shared_ptr<ChannelCore> core) noexcept
      : core_(std::move(core)), position_(core_->add_receiver()) {}
  static Result<T, RecvError> copy_of(const Result<ChannelCore::Message, RecvError>& received) {
    if (!received) return received.error();
    return T(*static_cast<const T*>(received->get()));
  }

  std::shared_ptr<ChannelCore> core_;
  std::uint64_t position_;  // of the next message
};

/// A channel that keeps the last `capacity` messages for those who have not received them. (tokio
/// rounds the capacity up to a power of two.)
///
/// Errors   std::invalid_argument for a capacity of 0; std::bad_alloc.
/// Watch    the last sending task is a hint; `name` is shown, and must live for ever: a string
///          literal.
/// Source   tokio::sync::broadcast::channel
template <class T>
[[nodiscard]] std::pair<Sender<T>, Receiver<T>> channel(std::size_t capacity, const char* name = "",
                                                        Site site = Site::current()) {
  auto core = std::make_shared<ChannelCore>(capacity, name, site);
  return {Sender<T>(core), Receiver<T>(core)};
}

}  // namespace taskscope::runtime::sync::broadcast
