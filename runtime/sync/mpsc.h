/// Channels from many senders to one receiver.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/sync/channel.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::sync::mpsc {

enum class SendError : std::uint8_t { Closed };
enum class TrySendError : std::uint8_t { Full, Closed };
enum class TryRecvError : std::uint8_t {
  Empty,         ///< more may come
  Disconnected,  ///< closed, or without senders, and drained
};

template <class T>
class Sender;
template <class T>
class UnboundedSender;
template <class T>
class Receiver;
template <class T>
class Permit;
template <class S>
class WeakEnd;

template <class T>
class Channel final : public ChannelCore {
 public:
  Channel(std::size_t capacity, const char* type, const char* name, Site site)
      : ChannelCore(capacity, type, name, site) {
    if (*name != '\0') registered();
  }
  ~Channel() { leave(); }

  /// Moves from `message` only on success. Throws std::bad_alloc.
  Result<void, TrySendError> try_send(T&& message) {
    used_by_sender();
    task::WakeBatch batch;
    const std::lock_guard guard(lock_);
    if (closed_) return TrySendError::Closed;
    if (!has_room()) return TrySendError::Full;
    if (ring_.full()) ring_.grow();
    push(std::move(message), batch);
    return {};
  }
  /// Sends on a place reserved before. False: the receiver is gone. Throws std::bad_alloc, and
  /// keeps the place then.
  bool send_reserved(T&& message) {
    used_by_sender();
    // Destroyed after the lock is gone, when there is nobody to take it.
    std::optional<T> dropped;
    task::WakeBatch batch;
    std::unique_lock lock(lock_);
    if (receiver_gone_) {
      dropped.emplace(std::move(message));
      --reserved_;
      return false;
    }
    if (ring_.full()) ring_.grow();
    --reserved_;
    push(std::move(message), batch);
    return true;
  }
  [[nodiscard]] Result<T, TryRecvError> try_recv() noexcept {
    used_by_receiver();
    task::WakeBatch batch;
    std::unique_lock lock(lock_);
    if (free_messages() == 0) return ended() ? TryRecvError::Disconnected : TryRecvError::Empty;
    Result<T, TryRecvError> result(pop());
    freed(1, lock, batch);
    return result;
  }
  /// The receiver is gone, and with it what it has not received.
  void abandon_receiver() noexcept {
    close();
    const Ring<T> dropped = [this] {
      const std::lock_guard guard(lock_);
      receiver_gone_ = true;
      set_queued(0);
      return std::move(ring_);
    }();
  }

  /// A wait for a place: the base of send and reserve.
  class SendingBase : public WaitNodeOf<Channel> {
   public:
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return this->wait_in(this->owner().sendings_, awaiting.promise(),
                           [this] { return reserve_now(); });
    }

   protected:
    explicit SendingBase(Channel& channel) noexcept
        : WaitNodeOf<Channel>(channel, observe::WaitOp::Send) {}
    ~SendingBase() {
      if (this->is_open()) [[unlikely]]
        give_up();
    }
    void give_up() noexcept {
      if (this->withdraw()) this->owner().give_back_slot();
    }
    /// Locked. True: a place is reserved, or the channel is closed.
    [[nodiscard]] bool reserve_now() noexcept {
      if (this->owner().closed_) return true;
      this->granted_ = this->owner().has_room();
      if (this->granted_) ++this->owner().reserved_;
      return this->granted_;
    }
  };

  class [[nodiscard]] Sending final : public SendingBase {
   public:
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (this->waited()) [[unlikely]]
        return this->settled();
      Channel& channel = this->owner();
      channel.used_by_sender(task.id);
      channel.lock_.lock();
      if (channel.is_quiet_for_sender() && !channel.ring_.full()) [[likely]] {
        channel.ring_.push(std::move(*message_));
        channel.set_queued(channel.queued() + 1);
        channel.lock_.unlock();
        message_.reset();
        return true;
      }
      return send_slowly();
    }
    Result<void, SendError> await_resume() {
      if (!message_) return {};
      if (!this->granted_) {
        static_cast<void>(this->take_grant());
        return SendError::Closed;
      }
      const bool sent = this->owner().send_reserved(std::move(*message_));
      static_cast<void>(this->take_grant());
      message_.reset();
      if (!sent) return SendError::Closed;
      return {};
    }

   private:
    friend Sender<T>;
    /// Locked before; somebody waits, or there is no room, or it is closed.
    [[gnu::noinline]] bool send_slowly() noexcept {
      Channel& channel = this->owner();
      task::WakeBatch batch;
      const std::lock_guard guard(channel.lock_, std::adopt_lock);
      if (channel.closed_ || !channel.has_room() || channel.ring_.full()) {
        // Where the ring has to grow, await_resume does it: it may throw.
        return this->reserve_now();
      }
      channel.push(std::move(*message_), batch);
      message_.reset();
      return true;
    }
    Sending(Channel& channel, T&& message) noexcept
        : SendingBase(channel), message_(std::move(message)) {}
    std::optional<T> message_;  // until it is in the channel
  };

  class [[nodiscard]] Reserving final : public SendingBase {
   public:
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (this->waited()) [[unlikely]]
        return this->settled();
      this->owner().used_by_sender(task.id);
      const std::lock_guard guard(this->owner().lock_);
      return this->reserve_now();
    }
    [[nodiscard]] Permit<T> await_resume() noexcept {
      return this->take_grant() ? Permit<T>(shared_) : Permit<T>(nullptr);
    }

   private:
    friend Sender<T>;
    explicit Reserving(const std::shared_ptr<Channel>& channel) noexcept
        : SendingBase(*channel), shared_(channel) {}
    const std::shared_ptr<Channel>& shared_;  // the Sender's
  };

  /// A wait for a message: the base of recv and recv_many.
  class ReceivingBase : public WaitNodeOf<Channel> {
   public:
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      // A message that came between is only promised here: to take it may wake a sender.
      return this->wait_in(this->owner().receivings_, awaiting.promise(), [this] {
        if (this->owner().free_messages() == 0) return this->owner().ended();
        ++this->owner().promised_;
        this->granted_ = true;
        return true;
      });
    }

   protected:
    explicit ReceivingBase(Channel& channel) noexcept
        : WaitNodeOf<Channel>(channel, observe::WaitOp::Recv) {}
    ~ReceivingBase() {
      if (this->is_open()) [[unlikely]]
        give_up();
    }
    void give_up() noexcept {
      if (this->withdraw()) this->owner().give_back_message();
    }
  };

  class [[nodiscard]] Receiving final : public ReceivingBase {
   public:
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (this->waited()) [[unlikely]]
        return this->settled();
      Channel& channel = this->owner();
      channel.used_by_receiver(task.id);
      // Where nothing seems to be, await_suspend looks again, under the lock that it takes anyway.
      if (channel.queued() == 0) return false;
      channel.lock_.lock();
      return receive_quietly() || receive_slowly();
    }
    [[nodiscard]] std::optional<T> await_resume() noexcept {
      if (this->is_open()) take_promised();
      return std::move(message_);
    }

   private:
    friend Receiver<T>;
    using ReceivingBase::ReceivingBase;
    /// Locked before. False, and locked still: there is more to do than to take a message.
    [[gnu::always_inline]] inline bool receive_quietly() noexcept {
      Channel& channel = this->owner();
      if (!channel.is_quiet_for_receiver()) [[unlikely]]
        return false;
      message_.emplace(channel.pop());
      channel.lock_.unlock();
      return true;
    }
    /// Locked before; somebody waits, or nothing is there.
    [[gnu::noinline]] bool receive_slowly() noexcept {
      task::WakeBatch batch;
      std::unique_lock lock(this->owner().lock_, std::adopt_lock);
      if (!receive_now()) return this->owner().ended();
      this->owner().freed(1, lock, batch);
      return true;
    }
    [[gnu::noinline]] void take_promised() noexcept {
      if (!this->take_grant()) return;
      this->owner().lock_.lock();
      --this->owner().promised_;
      static_cast<void>(receive_quietly() || receive_slowly());
    }
    bool receive_now() noexcept {
      if (this->owner().free_messages() == 0) return false;
      message_.emplace(this->owner().pop());
      return true;
    }
    std::optional<T> message_;
  };

  class [[nodiscard]] ReceivingMany final : public ReceivingBase {
   public:
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (this->waited()) [[unlikely]]
        return this->settled();
      if (out_.empty()) return true;
      this->owner().used_by_receiver(task.id);
      return receive(false);
    }
    [[nodiscard]] std::size_t await_resume() noexcept {
      const bool promised = this->take_grant();
      if (promised) receive(promised);
      return received_;
    }

   private:
    friend Receiver<T>;
    ReceivingMany(Channel& channel, std::span<T> out) noexcept
        : ReceivingBase(channel), out_(out) {}
    /// True: took some, or the channel ended.
    bool receive(bool promised) noexcept {
      Channel& channel = this->owner();
      for (;;) {
        // To assign destroys what was in `out`, which is no business under the lock.
        std::array<std::optional<T>, 16> taken;
        std::size_t count = 0;
        bool ended = false;
        {
          task::WakeBatch batch;
          std::unique_lock lock(channel.lock_);
          if (std::exchange(promised, false)) --channel.promised_;
          while (count < taken.size() && received_ + count < out_.size() &&
                 channel.free_messages() != 0)
            taken[count++].emplace(channel.pop());
          if (count != 0) channel.freed(count, lock, batch);
          ended = channel.ended();
        }
        for (std::size_t i = 0; i < count; ++i) out_[received_++] = std::move(*taken[i]);
        if (count < taken.size() || received_ == out_.size()) return received_ != 0 || ended;
      }
    }
    std::span<T> out_;
    std::size_t received_ = 0;
  };

 private:
  /// Locked, with room in the ring.
  void push(T&& message, task::WakeBatch& batch) noexcept {
    ring_.push(std::move(message));
    pushed(batch);
  }
  /// Locked; the caller tells `freed`.
  [[nodiscard]] T pop() noexcept {
    set_queued(queued() - 1);
    return ring_.pop();
  }

  Ring<T> ring_;  // under lock_
};

/// A place in a channel, taken before there is a message for it. Given back when it dies unused.
///
/// Source   tokio::sync::mpsc::Permit; it keeps the channel's memory, as OwnedPermit does.
template <class T>
class [[nodiscard]] Permit {
 public:
  Permit(Permit&&) noexcept = default;
  Permit& operator=(Permit&& other) noexcept {
    if (this != &other) {
      const Permit before(std::move(*this));
      channel_ = std::move(other.channel_);
    }
    return *this;
  }
  ~Permit() {
    if (channel_) channel_->give_back_slot();
  }
  /// False: the channel was closed. Also after send.
  explicit operator bool() const noexcept { return channel_ != nullptr; }
  /// Sends at once; the message is dropped if the receiver is gone. Uses the permit up.
  ///
  /// Errors   std::bad_alloc; the permit is kept then.
  void send(T message) {
    static_cast<void>(channel_->send_reserved(std::move(message)));
    channel_.reset();
  }

 private:
  friend Channel<T>;
  friend Sender<T>;
  explicit Permit(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// What both kinds of senders are: a counted end of the channel.
template <class T>
class SenderEnd {
 public:
  SenderEnd(const SenderEnd& other) noexcept : channel_(other.channel_) {
    if (channel_) channel_->add_sender();
  }
  SenderEnd(SenderEnd&& other) noexcept = default;
  SenderEnd& operator=(SenderEnd other) noexcept {
    channel_.swap(other.channel_);
    return *this;
  }
  ~SenderEnd() {
    if (channel_) channel_->drop_sender();
  }

  /// True once the receiver closed the channel or is gone: nothing can be sent any more.
  [[nodiscard]] bool is_closed() const noexcept { return channel_->is_closed(); }
  /// Waits until is_closed().
  ///
  /// Cancel   safe.
  /// Source   tokio::sync::mpsc::Sender::closed
  [[nodiscard]] ChannelCore::Closing closed() const noexcept {
    return ChannelCore::Closing(*channel_);
  }
  [[nodiscard]] bool same_channel(const SenderEnd& other) const noexcept {
    return channel_ == other.channel_;
  }
  /// Senders alive, this one with them.
  [[nodiscard]] std::size_t strong_count() const noexcept { return channel_->senders(); }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 protected:
  template <class S>
  friend class WeakEnd;
  explicit SenderEnd(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// Sends into a bounded channel. Copies send into the same one; when the last is gone, the receiver
/// gets what is queued and then the end. Must outlive its waits.
template <class T>
class [[nodiscard]] Sender final : public SenderEnd<T> {
 public:
  /// Sends a message; waits while the channel is full.
  ///
  /// Shape    an empty Result when the message is in the channel. With a limit:
  ///              const auto sent = co_await time::timeout(10ms, sender.send(message));
  /// Errors   Closed: nobody will receive it. The message is dropped; reserve() keeps it.
  ///          Throws std::bad_alloc.
  /// Cancel   safe for the channel: a cancelled send has sent nothing. Its message is dropped.
  /// Order    senders that wait are served in order of arrival.
  /// Source   tokio::sync::mpsc::Sender::send
  typename Channel<T>::Sending send(T message) const noexcept {
    return typename Channel<T>::Sending(*this->channel_, std::move(message));
  }
  /// Sends a message; waits with the calling thread while the channel is full.
  ///
  /// Errors   as send(). std::logic_error on a thread that runs tasks: allowed are threads outside
  ///          of runtimes and blocking calls.
  Result<void, SendError> blocking_send(T message) const {
    return task::wait_on_thread(send(std::move(message)), "mpsc::Sender::blocking_send");
  }
  /// Sends a message if there is room, from any thread; it is moved from only on success.
  ///
  /// Errors   Full, Closed.
  Result<void, TrySendError> try_send(T&& message) const {
    return this->channel_->try_send(std::move(message));
  }
  Result<void, TrySendError> try_send(const T& message) const {
    T copy(message);
    return this->channel_->try_send(std::move(copy));
  }
  /// Waits for a place; yields a Permit, empty when the channel is closed.
  ///
  /// Cancel   safe: a cancelled call keeps no place, and passes on one it was just given.
  /// Order    as for send(), in the same line.
  /// Source   tokio::sync::mpsc::Sender::reserve
  typename Channel<T>::Reserving reserve() const noexcept {
    return typename Channel<T>::Reserving(this->channel_);
  }
  /// A place, if there is one.
  ///
  /// Errors   Full, Closed.
  Result<Permit<T>, TrySendError> try_reserve() const noexcept {
    switch (this->channel_->try_reserve()) {
      case ChannelCore::Reserved::Full:
        return TrySendError::Full;
      case ChannelCore::Reserved::Closed:
        return TrySendError::Closed;
      case ChannelCore::Reserved::Place:
        break;
    }
    return Permit<T>(this->channel_);
  }
  /// An end that doesn't keep the channel open.
  [[nodiscard]] WeakEnd<Sender> downgrade() const noexcept {
    return WeakEnd<Sender>(this->channel_);
  }
  /// Places that are neither filled nor reserved.
  [[nodiscard]] std::size_t capacity() const noexcept { return this->channel_->capacity(); }
  [[nodiscard]] std::size_t max_capacity() const noexcept { return this->channel_->max_capacity(); }

 private:
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(std::size_t, const char*, Site);
  template <class S>
  friend class WeakEnd;
  using SenderEnd<T>::SenderEnd;
};

/// Sends into a channel without limit. As Sender otherwise.
template <class T>
class [[nodiscard]] UnboundedSender final : public SenderEnd<T> {
 public:
  /// Sends at once, from any thread; the message is moved from only on success.
  Result<void, SendError> send(T&& message) const {
    if (this->channel_->try_send(std::move(message))) return {};
    return SendError::Closed;  // it is never full
  }
  Result<void, SendError> send(const T& message) const {
    T copy(message);
    return send(std::move(copy));
  }
  /// An end that doesn't keep the channel open.
  [[nodiscard]] WeakEnd<UnboundedSender> downgrade() const noexcept {
    return WeakEnd<UnboundedSender>(this->channel_);
  }

 private:
  template <class U>
  friend std::pair<UnboundedSender<U>, Receiver<U>> unbounded_channel(const char*, Site);
  template <class S>
  friend class WeakEnd;
  using SenderEnd<T>::SenderEnd;
};

/// A sender that can't send and doesn't count: the channel ends when all others are gone.
///
/// Source   tokio::sync::mpsc::WeakSender, WeakUnboundedSender
template <template <class> class S, class T>
class [[nodiscard]] WeakEnd<S<T>> final {
 public:
  /// A sender, unless there is none any more.
  [[nodiscard]] std::optional<S<T>> upgrade() const noexcept {
    if (!channel_->try_add_sender()) return std::nullopt;
    return S<T>(channel_);
  }
  [[nodiscard]] std::size_t strong_count() const noexcept { return channel_->senders(); }

 private:
  friend S<T>;
  explicit WeakEnd(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};
template <class T>
using WeakSender = WeakEnd<Sender<T>>;
template <class T>
using WeakUnboundedSender = WeakEnd<UnboundedSender<T>>;

/// The receiving end. Must outlive its waits. When it dies, the channel is closed and what is
/// queued is dropped.
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
    if (channel_) channel_->abandon_receiver();
  }

  /// Takes the oldest message; waits while there is none.
  ///
  /// Shape    empty once the channel is closed or without senders, and drained. A channel closed by
  ///          its receiver is drained only when all permits are used or given back.
  /// Errors   none.
  /// Cancel   safe: a cancelled recv has taken no message.
  /// Source   tokio::sync::mpsc::Receiver::recv
  typename Channel<T>::Receiving recv() noexcept {
    return typename Channel<T>::Receiving(*channel_);
  }
  /// Takes up to out.size() messages, oldest first; waits only while there is none.
  ///
  /// Shape    assigns to out[0, n) and leaves the rest; n >= 1, or 0 at the end as for recv(), or
  ///          when `out` is empty.
  /// Errors   none.
  /// Cancel   safe: a cancelled call has taken no message.
  /// Source   tokio::sync::mpsc::Receiver::recv_many
  typename Channel<T>::ReceivingMany recv_many(std::span<T> out) noexcept {
    return typename Channel<T>::ReceivingMany(*channel_, out);
  }
  /// The same two, which wait with the calling thread.
  ///
  /// Errors   std::logic_error on a thread that runs tasks: allowed are threads outside of runtimes
  ///          and blocking calls.
  [[nodiscard]] std::optional<T> blocking_recv() {
    return task::wait_on_thread(recv(), "mpsc::Receiver::blocking_recv");
  }
  std::size_t blocking_recv_many(std::span<T> out) {
    return task::wait_on_thread(recv_many(out), "mpsc::Receiver::blocking_recv_many");
  }
  /// Takes the oldest message if there is one, from any thread.
  ///
  /// Errors   Empty, Disconnected.
  Result<T, TryRecvError> try_recv() noexcept { return channel_->try_recv(); }
  /// Lets no more messages in; those queued, and those with a permit, can still be received.
  void close() noexcept { channel_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return channel_->is_closed(); }
  [[nodiscard]] std::size_t size() const noexcept { return channel_->length(); }
  /// Places that are neither filled nor reserved, and all there are; for bounded channels.
  [[nodiscard]] std::size_t capacity() const noexcept { return channel_->capacity(); }
  [[nodiscard]] std::size_t max_capacity() const noexcept { return channel_->max_capacity(); }
  [[nodiscard]] std::size_t sender_strong_count() const noexcept { return channel_->senders(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// What watchers know the channel by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *channel_; }

 private:
  template <class U>
  friend std::pair<Sender<U>, Receiver<U>> channel(std::size_t, const char*, Site);
  template <class U>
  friend std::pair<UnboundedSender<U>, Receiver<U>> unbounded_channel(const char*, Site);
  explicit Receiver(std::shared_ptr<Channel<T>> channel) noexcept : channel_(std::move(channel)) {}
  std::shared_ptr<Channel<T>> channel_;
};

/// A channel that holds up to `capacity` messages.
///
/// Errors   std::invalid_argument for a capacity of 0.
/// Watch    the last sending and the last receiving task are hints; `name` is shown, and must live
///          for ever: a string literal.
/// Source   tokio::sync::mpsc::channel
template <class T>
[[nodiscard]] std::pair<Sender<T>, Receiver<T>> channel(std::size_t capacity, const char* name = "",
                                                        Site site = Site::current()) {
  auto core = std::make_shared<Channel<T>>(capacity, "mpsc::channel", name, site);
  return {Sender<T>(core), Receiver<T>(core)};
}
/// A channel that takes every message at once; only memory limits it.
///
/// Source   tokio::sync::mpsc::unbounded_channel
template <class T>
[[nodiscard]] std::pair<UnboundedSender<T>, Receiver<T>> unbounded_channel(
    const char* name = "", Site site = Site::current()) {
  auto core =
      std::make_shared<Channel<T>>(ChannelCore::kUnbounded, "mpsc::unbounded_channel", name, site);
  return {UnboundedSender<T>(core), Receiver<T>(core)};
}

}  // namespace taskscope::runtime::sync::mpsc
