/// A channel for one message.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::sync::oneshot {

enum class SendError : std::uint8_t { Closed };  ///< the receiver is gone or closed the channel
enum class RecvError : std::uint8_t { Closed };  ///< the sender is gone and has sent nothing
enum class TryRecvError : std::uint8_t {
  Empty,   ///< it may still come
  Closed,  ///< the sender is gone, or the message was taken
};

template <class T>
class Sender;
template <class T>
class Receiver;

/// A oneshot channel without its message. Members that say nothing else want the lock held.
class ChannelCore : public Waitable {
 public:
  // Without the lock:
  void drop_sender() noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_closed() noexcept;
  // A hint for watchers: publishes nothing.
  void used_by_receiver(TaskId task = task::current_task_id()) noexcept {
    last_receiver_.store(task, std::memory_order_relaxed);
  }
  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) final;

  /// Waits until the receiver wants no message any more.
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
  ChannelCore(const char* name, Site site) noexcept
      : Waitable(observe::ResourceKind::Oneshot, "oneshot::channel", site, name) {}
  ~ChannelCore() = default;

  bool sender_gone_ = false;  // it sent its message or died
  bool sent_ = false;         // a message is here or was taken
  bool closed_ = false;       // by the receiver
  WaitList receivings_, closings_;

 private:
  std::atomic<TaskId> last_receiver_{TaskId::None};
};

template <class T>
class Channel final : public ChannelCore {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a message is moved under a lock, where it must not throw");

 public:
  Channel(const char* name, Site site) noexcept : ChannelCore(name, site) {
    if (*name != '\0') registered();
  }
  ~Channel() { leave(); }

  /// Moves from `message` only on success.
  [[nodiscard]] bool send(T&& message) noexcept {
    task::WakeBatch batch;
    std::unique_lock lock(lock_);
    if (closed_) return false;
    message_.emplace(std::move(message));
    sent_ = sender_gone_ = true;
    receivings_.wake_all(lock, batch);
    return true;
  }
  [[nodiscard]] Result<T, TryRecvError> try_recv() noexcept {
    used_by_receiver();
    std::optional<T> message;
    const std::lock_guard guard(lock_);
    if (!take(message)) return sender_gone_ || closed_ ? TryRecvError::Closed : TryRecvError::Empty;
    return std::move(*message);
  }
  [[nodiscard]] bool empty() noexcept {
    const std::lock_guard guard(lock_);
    return !message_;
  }
  void drop_receiver() noexcept {
    close();
    std::optional<T> dropped;  // destroyed after the lock is gone
    const std::lock_guard guard(lock_);
    static_cast<void>(take(dropped));
  }

  class [[nodiscard]] Receiving final : public WaitNodeOf<Channel> {
   public:
    ~Receiving() { static_cast<void>(this->withdraw()); }
    /// `task`: the one that awaits.
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (this->waited()) [[unlikely]]
        return this->settled();
      this->owner().used_by_receiver(task.id);
      const std::lock_guard guard(this->owner().lock_);
      return this->owner().take(message_) || this->owner().settled();
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return this->wait_in(this->owner().receivings_, awaiting.promise(), [this] {
        return this->owner().take(message_) || this->owner().settled();
      });
    }
    [[nodiscard]] Result<T, RecvError> await_resume() noexcept {
      // Woken to look: the message stays in the channel until here, so that a cancelled wait loses
      // nothing.
      static_cast<void>(this->take_grant());
      if (!message_) {
        const std::lock_guard guard(this->owner().lock_);
        static_cast<void>(this->owner().take(message_));
      }
      if (!message_) return RecvError::Closed;
      return std::move(*message_);
    }

   private:
    friend Receiver<T>;
    explicit Receiving(Channel& channel) noexcept
        : WaitNodeOf<Channel>(channel, observe::WaitOp::Recv) {}
    std::optional<T> message_;
  };

 private:
  bool take(std::optional<T>& to) noexcept {
    if (!message_) return false;
    to.emplace(std::move(*message_));
    message_.reset();
    return true;
  }
  [[nodiscard]] bool settled() const noexcept { return sender_gone_ || closed_; }

  std::optional<T> message_;  // under lock_
};

/// Sends the one message, from any thread. Must outlive its waits.
template <class T>
class [[nodiscard]] Sender final {
 public:
  Sender(Sender&&) noexcept = default;
  Sender& operator=(Sender&& other) noexcept {
    if (this != &other) {
      const Sender before(std::move(*this));
      channel_ = std::move(other.channel_);
    }
    return *this;
  }
  ~Sender() {
    if (channel_) channel_->drop_sender();
  }

  /// Sends at once; never waits.
  ///
  /// Errors   Closed: the receiver is gone or wants none, or this sender has sent before. Then the
  ///          message is not moved from.
  /// Source   tokio::sync::oneshot::Sender::send
  Result<void, SendError> send(T&& message) noexcept {
    if (channel_ == nullptr || !channel_->send(std::move(message))) return SendError::Closed;
    channel_.reset();
    return {};
  }
  Result<void, SendError> send(const T& message) {
    T copy(message);
    return send(std::move(copy));
  }
  /// True once nobody will take the message; also after send.
  [[nodiscard]] bool is_closed() const noexcept {
    return channel_ == nullptr || channel_->is_closed();
  }
  /// Waits until the receiver is gone or closed the channel. Only before send.
  ///
  /// Cancel   safe.
  /// Source   tokio::sync::oneshot::Sender::closed
  [[nodiscard]] ChannelCore::Closing closed() noexcept { return ChannelCore::Closing(*channel_); }
  /// What watchers know the channel by. Only before send.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 private:
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(const char*, Site);
  explicit Sender(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// Takes the one message. Must outlive its waits.
template <class T>
class [[nodiscard]] Receiver final {
 public:
  Receiver(Receiver&&) noexcept = default;
  Receiver& operator=(Receiver&& other) noexcept {
    if (this != &other) {
      const Receiver before(std::move(*this));
      channel_ = std::move(other.channel_);
    }
    return *this;
  }
  ~Receiver() {
    if (channel_) channel_->drop_receiver();
  }

  /// Waits for the message.
  ///
  /// Errors   Closed: the sender died without sending, or the message was taken before.
  /// Cancel   safe: the message of a cancelled wait stays in the channel.
  /// Source   tokio::sync::oneshot::Receiver
  typename Channel<T>::Receiving recv() noexcept {
    return typename Channel<T>::Receiving(*channel_);
  }
  /// Waits for the message with the calling thread.
  ///
  /// Errors   as recv(). std::logic_error on a thread that runs tasks: allowed are threads outside
  ///          of runtimes and blocking calls.
  Result<T, RecvError> blocking_recv() {
    return task::wait_on_thread(recv(), "oneshot::Receiver::blocking_recv");
  }
  /// The message, if it is there. Any thread.
  ///
  /// Errors   Empty, Closed.
  Result<T, TryRecvError> try_recv() noexcept { return channel_->try_recv(); }
  /// No message is there now.
  [[nodiscard]] bool empty() const noexcept { return channel_->empty(); }
  /// Wants no message any more. One sent before can still be received.
  void close() noexcept { channel_->close(); }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 private:
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(const char*, Site);
  explicit Receiver(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// A channel for one message. `name` is shown to watchers and must live for ever: a string literal.
///
/// Source   tokio::sync::oneshot::channel
template <class T>
[[nodiscard]] std::pair<Sender<T>, Receiver<T>> channel(const char* name = "",
                                                        Site site = Site::current()) {
  auto core = std::make_shared<Channel<T>>(name, site);
  return {Sender<T>(core), Receiver<T>(core)};
}

}  // namespace taskscope::runtime::sync::oneshot
