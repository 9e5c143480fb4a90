/// A channel that holds one value, its latest: receivers see that it changed, not every change.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/result.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::sync::watch {

enum class SendError : std::uint8_t { Closed };  ///< there is no receiver
enum class RecvError : std::uint8_t { Closed };  ///< there is no sender any more

template <class T>
class Sender;
template <class T>
class Receiver;

/// A watch channel without its value.
class ChannelCore : public Waitable {
 public:
  // All without the lock:
  void add_sender() noexcept { senders_.fetch_add(1, std::memory_order_relaxed); }
  void drop_sender() noexcept;
  void add_receiver() noexcept { receivers_.fetch_add(1, std::memory_order_relaxed); }
  void drop_receiver() noexcept;
  /// Acquire, these four: pair with the releases of what they count.
  [[nodiscard]] bool has_senders() const noexcept {
    return senders_.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] std::size_t senders() const noexcept {
    return senders_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t receivers() const noexcept {
    return receivers_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  /// The value was changed; called by who still keeps others from it.
  void count_change() noexcept;
  /// Wakes who waits for a change that was counted.
  void tell_change() noexcept;
  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) final;

  class Changing : public WaitNodeOf<ChannelCore> {
   public:
    [[nodiscard]] bool await_ready() noexcept { return waited() ? settled() : is_over(); }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().changes_, awaiting.promise(), [this] { return is_over(); });
    }

   protected:
    Changing(ChannelCore& core, std::uint64_t seen) noexcept
        : WaitNodeOf(core, observe::WaitOp::Changed), seen_(seen) {}
    ~Changing() { static_cast<void>(withdraw()); }
    /// The wait is over: the new version, or the one seen before if there are no senders.
    [[nodiscard]] std::uint64_t finish() noexcept {
      static_cast<void>(take_grant());
      return owner().version();
    }
    const std::uint64_t seen_;

   private:
    friend ChannelCore;
    [[nodiscard]] bool is_over() const noexcept {
      // In this order: a last change comes before the last sender's end.
      return !owner().has_senders() || owner().version() != seen_;
    }
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
                     [this] { return owner().receivers() == 0; });
    }
    void await_resume() noexcept { static_cast<void>(take_grant()); }
  };

 protected:
  ChannelCore(const char* name, Site site) noexcept
      : Waitable(observe::ResourceKind::Watch, "watch::channel", site, name) {}
  ~ChannelCore() = default;

 private:
  Atomic<std::size_t> senders_{1}, receivers_{1};
  Atomic<std::uint64_t> version_{0};  // written under lock_
  std::atomic<TaskId> last_sender_{TaskId::None};
  WaitList changes_, closings_;
};

template <class T>
class Channel final : public ChannelCore {
 public:
  Channel(T value, const char* name, Site site)
      : ChannelCore(name, site), value_(std::move(value)) {
    if (*name != '\0') registered();
  }
  ~Channel() { leave(); }

  /// `change(T&)` says whether it changed the value.
  template <class F>
  bool modify(F&& change) {
    {
      const std::unique_lock guard(value_mutex_);
      if (!std::invoke(std::forward<F>(change), value_)) return false;
      count_change();
    }
    tell_change();
    return true;
  }

  ThreadSharedMutex value_mutex_;
  T value_;  // under value_mutex_
};

/// The value, held still: senders block until it dies. Short, and never across an await.
template <class T>
class [[nodiscard]] Ref {
 public:
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  [[nodiscard]] const T& operator*() const noexcept { return value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }
  /// Had the receiver not seen this value when it was borrowed? False where a sender borrowed it.
  [[nodiscard]] bool has_changed() const noexcept { return has_changed_; }

 private:
  friend Sender<T>;
  friend Receiver<T>;
  explicit Ref(Channel<T>& channel) : lock_(channel.value_mutex_), value_(channel.value_) {}
  // With the lock held no newer version comes, in both.
  Ref(Channel<T>& channel, const std::uint64_t& seen) : Ref(channel) {
    has_changed_ = seen != channel.version();
  }
  Ref(Channel<T>& channel, std::uint64_t& seen) : Ref(channel, std::as_const(seen)) {
    seen = channel.version();
  }
  std::shared_lock<ThreadSharedMutex> lock_;
  const T& value_;
  bool has_changed_ = false;
};

/// Sees the latest value, and when there is a newer one than it saw last. Copies have seen the
/// same. Must outlive its waits; one task at a time.
template <class T>
class [[nodiscard]] Receiver {
 public:
  Receiver(const Receiver& other) noexcept : channel_(other.channel_), seen_(other.seen_) {
    if (channel_) channel_->add_receiver();
  }
  Receiver(Receiver&& other) noexcept = default;
  Receiver& operator=(Receiver other) noexcept {
    channel_.swap(other.channel_);
    std::swap(seen_, other.seen_);
    return *this;
  }
  ~Receiver() {
    if (channel_) channel_->drop_receiver();
  }

  /// The latest value; it stays as seen or unseen as it was.
  Ref<T> borrow() const { return Ref<T>(*channel_, seen_); }
  /// The latest value, seen from now on.
  Ref<T> borrow_and_update() { return Ref<T>(*channel_, seen_); }
  /// A copy of the latest value, seen from now on.
  [[nodiscard]] T get_and_update() {
    const Ref<T> value(*channel_, seen_);
    return *value;
  }
  /// Is there a value that was not seen?
  ///
  /// Errors   Closed: there is no sender any more, and the last value was seen. (tokio says so also
  ///          while it was not.)
  [[nodiscard]] Result<bool, RecvError> has_changed() const noexcept {
    const bool closed = !channel_->has_senders();
    if (channel_->version() != seen_) return true;
    if (closed) return RecvError::Closed;
    return false;
  }
  /// Takes the latest value for seen, or for unseen.
  void mark_unchanged() noexcept { seen_ = channel_->version(); }
  void mark_changed() noexcept { seen_ = channel_->version() - 1; }

  class [[nodiscard]] Changed final : public ChannelCore::Changing {
   public:
    Result<void, RecvError> await_resume() noexcept {
      const auto version = this->finish();
      if (version == this->seen_) return RecvError::Closed;
      receiver_.seen_ = version;
      return {};
    }

   private:
    friend Receiver;
    explicit Changed(Receiver& receiver) noexcept
        : Changing(*receiver.channel_, receiver.seen_), receiver_(receiver) {}
    Receiver& receiver_;
  };

  /// Waits for a value that was not seen, and takes it for seen.
  ///
  /// Errors   Closed: there is no sender any more, and the last value was seen.
  /// Cancel   safe: a cancelled wait has seen nothing.
  /// Source   tokio::sync::watch::Receiver::changed
  Changed changed() noexcept { return Changed(*this); }
  /// Waits until `holds(const T&)`, first of the value that is there; values it is asked of are
  /// seen.
  ///
  /// Shape    no Ref, as in tokio: a lock must not be held across an await. Borrow afterwards.
  /// Errors   Closed: there is no sender any more, and the last value is not as asked. Throws what
  ///          `holds` throws.
  /// Cancel   safe.
  /// Source   tokio::sync::watch::Receiver::wait_for
  template <class F>
  [[nodiscard]] Task<Result<void, RecvError>> wait_for(F holds) {
    for (;;) {
      const bool closed = !channel_->has_senders();
      if (check(holds)) co_return Result<void, RecvError>();
      if (closed) co_return RecvError::Closed;
      auto waiting = changed();
      task::Inherited<Changed&> at_caller(waiting);
      const auto changed_or_closed = co_await at_caller;
      static_cast<void>(changed_or_closed.has_value());  // both: look again
    }
  }
  [[nodiscard]] bool same_channel(const Receiver& other) const noexcept {
    return channel_ == other.channel_;
  }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 private:
  friend Sender<T>;
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(U, const char*, Site);
  explicit Receiver(std::shared_ptr<Channel<T>> channel, std::uint64_t seen) noexcept
      : channel_(std::move(channel)), seen_(seen) {}
  // No coroutine: a Ref must not live across an await.
  template <class F>
  bool check(F& holds) {
    const Ref<T> value(*channel_, seen_);
    return std::invoke(holds, *value);
  }

  std::shared_ptr<Channel<T>> channel_;
  std::uint64_t seen_;
};

/// Sets the value, from any thread. Copies set the same one. Must outlive its waits.
template <class T>
class [[nodiscard]] Sender {
 public:
  Sender(const Sender& other) noexcept : channel_(other.channel_) {
    if (channel_) channel_->add_sender();
  }
  Sender(Sender&& other) noexcept = default;
  Sender& operator=(Sender other) noexcept {
    channel_.swap(other.channel_);
    return *this;
  }
  ~Sender() {
    if (channel_) channel_->drop_sender();
  }

  /// Sets the value, and wakes who waits for a change.
  ///
  /// Errors   Closed: there is no receiver. The value stays as it was, and `value` is not moved
  ///          from.
  /// Source   tokio::sync::watch::Sender::send
  Result<void, SendError> send(T&& value) const {
    if (is_closed()) return SendError::Closed;
    channel_->modify([&value](T& at) {
      at = std::move(value);
      return true;
    });
    return {};
  }
  Result<void, SendError> send(const T& value) const {
    T copy(value);
    return send(std::move(copy));
  }
  /// Sets the value also when nobody receives; gives the one before.
  T send_replace(T value) const {
    channel_->modify([&value](T& at) {
      std::swap(at, value);
      return true;
    });
    return value;
  }
  /// `change(T&)` changes the value in place, also when nobody receives.
  template <class F>
  void send_modify(F&& change) const {
    channel_->modify([&change](T& at) {
      std::invoke(change, at);
      return true;
    });
  }
  /// `change(T&)` says whether it changed the value; if not, nobody is told.
  template <class F>
  bool send_if_modified(F&& change) const {
    return channel_->modify(std::forward<F>(change));
  }
  /// The value, held still; see Ref.
  Ref<T> borrow() const { return Ref<T>(*channel_); }
  /// A receiver that has seen the present value.
  [[nodiscard]] Receiver<T> subscribe() const noexcept {
    channel_->add_receiver();
    return Receiver<T>(channel_, channel_->version());
  }
  [[nodiscard]] std::size_t receiver_count() const noexcept { return channel_->receivers(); }
  [[nodiscard]] std::size_t sender_count() const noexcept { return channel_->senders(); }
  [[nodiscard]] bool same_channel(const Sender& other) const noexcept {
    return channel_ == other.channel_;
  }
  [[nodiscard]] bool is_closed() const noexcept { return receiver_count() == 0; }
  /// Waits until there is no receiver.
  ///
  /// Cancel   safe.
  /// Source   tokio::sync::watch::Sender::closed
  [[nodiscard]] ChannelCore::Closing closed() const noexcept {
    return ChannelCore::Closing(*channel_);
  }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 private:
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(U, const char*, Site);
  explicit Sender(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// A channel that holds `value` until another is sent. The receiver has seen the first one.
///
/// Watch    the last sending task is a hint; `name` is shown, and must live for ever: a string
///          literal.
/// Source   tokio::sync::watch::channel
template <class T>
[[nodiscard]] std::pair<Sender<T>, Receiver<T>> channel(T value, const char* name = "",
                                                        Site site = Site::current()) {
  auto core = std::make_shared<Channel<T>>(std::move(value), name, site);
  return {Sender<T>(core), Receiver<T>(core, core->version())};
}

}  // namespace taskscope::runtime::sync::watch
