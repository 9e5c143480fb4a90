#include <array>
#include <optional>
#include <utility>

#include "taskscope/runtime/sync/broadcast.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/watch.h"
#include "taskscope/tests/runtime/surface/scene.h"

namespace taskscope::runtime::surface_test {

namespace {

using namespace sync;
using observe::ResourceKind;
using observe::WaitOp;

/// A channel with one place, which is taken.
struct Full : Scene {
  std::pair<mpsc::Sender<int>, mpsc::Receiver<int>> ends = mpsc::channel<int>(1);
  Task<void> prepare() override {
    const auto sent = co_await ends.first.send(0);
    if (!sent) std::abort();
  }
  void complete() override { static_cast<void>(ends.second.try_recv().has_value()); }
  task::Resource* resource() override { return &ends.first.resource(); }
};
struct MpscSend final : Full {
  Task<void> wait() override {
    const auto sent = co_await ends.first.send(1);
    if (!sent) std::abort();
  }
};
struct MpscReserve final : Full {
  Task<void> wait() override {
    const auto permit = co_await ends.first.reserve();
    if (!permit) std::abort();
  }
};
struct MpscSendClosed final : Full {
  Task<void> wait() override {
    const auto sent = co_await ends.first.send(1);
    if (sent) std::abort();
  }
  void complete() override { ends.second.close(); }
};
struct MpscClosed final : Full {
  Task<void> wait() override { co_await ends.first.closed(); }
  void complete() override { ends.second.close(); }
};

struct Empty : Scene {
  std::pair<mpsc::Sender<int>, mpsc::Receiver<int>> ends = mpsc::channel<int>(8);
  void complete() override { static_cast<void>(ends.first.try_send(1).has_value()); }
  task::Resource* resource() override { return &ends.first.resource(); }
};
struct MpscRecv final : Empty {
  Task<void> wait() override {
    const auto message = co_await ends.second.recv();
    if (!message) std::abort();
  }
};
struct MpscRecvMany final : Empty {
  Task<void> wait() override {
    std::array<int, 2> out{};
    const auto count = co_await ends.second.recv_many(out);
    if (count == 0) std::abort();
  }
};
struct MpscRecvEnd final : Scene {
  std::optional<mpsc::Sender<int>> sender;
  std::optional<mpsc::Receiver<int>> receiver;
  MpscRecvEnd() {
    auto [tx, rx] = mpsc::channel<int>(8);
    sender.emplace(std::move(tx));
    receiver.emplace(std::move(rx));
  }
  Task<void> wait() override {
    const auto message = co_await receiver->recv();
    if (message) std::abort();
  }
  void complete() override { sender.reset(); }
  task::Resource* resource() override { return &receiver->resource(); }
};
struct UnboundedRecv final : Scene {
  std::pair<mpsc::UnboundedSender<int>, mpsc::Receiver<int>> ends = mpsc::unbounded_channel<int>();
  Task<void> wait() override {
    const auto message = co_await ends.second.recv();
    if (!message) std::abort();
  }
  void complete() override { static_cast<void>(ends.first.send(1).has_value()); }
  task::Resource* resource() override { return &ends.first.resource(); }
};
struct UnboundedClosed final : Scene {
  std::pair<mpsc::UnboundedSender<int>, mpsc::Receiver<int>> ends = mpsc::unbounded_channel<int>();
  Task<void> wait() override { co_await ends.first.closed(); }
  void complete() override { ends.second.close(); }
  task::Resource* resource() override { return &ends.first.resource(); }
};

struct Oneshot : Scene {
  std::pair<oneshot::Sender<int>, oneshot::Receiver<int>> ends = oneshot::channel<int>();
  task::Resource* resource() override { return &ends.second.resource(); }
};
struct OneshotRecv final : Oneshot {
  /// Once received it is closed, which ends a wait as well.
  Task<void> wait() override {
    const auto message = co_await ends.second.recv();
    static_cast<void>(message.has_value());
  }
  void complete() override { static_cast<void>(ends.first.send(1).has_value()); }
};
struct OneshotClosed final : Oneshot {
  Task<void> wait() override { co_await ends.first.closed(); }
  void complete() override { ends.second.close(); }
};

struct BroadcastRecv final : Scene {
  std::pair<broadcast::Sender<int>, broadcast::Receiver<int>> ends = broadcast::channel<int>(8);
  Task<void> wait() override {
    const auto message = co_await ends.second.recv();
    if (!message) std::abort();
  }
  void complete() override { static_cast<void>(ends.first.send(1).has_value()); }
  task::Resource* resource() override { return &ends.first.resource(); }
};

struct BroadcastClosed final : Scene {
  std::optional<broadcast::Receiver<int>> receiver;
  std::optional<broadcast::Sender<int>> sender;
  BroadcastClosed() {
    auto [tx, rx] = broadcast::channel<int>(8);
    sender.emplace(std::move(tx));
    receiver.emplace(std::move(rx));
  }
  Task<void> wait() override { co_await sender->closed(); }
  void complete() override { receiver.reset(); }
  task::Resource* resource() override { return &sender->resource(); }
};

struct Watched : Scene {
  std::pair<watch::Sender<int>, watch::Receiver<int>> ends = watch::channel<int>(0);
  void complete() override { ends.first.send_replace(1); }
  task::Resource* resource() override { return &ends.first.resource(); }
};
struct WatchChanged final : Watched {
  Task<void> wait() override {
    const auto changed = co_await ends.second.changed();
    if (!changed) std::abort();
  }
};
struct WatchWaitFor final : Watched {
  Task<void> wait() override {
    const auto is_one = [](int value) { return value == 1; };
    const auto found = co_await ends.second.wait_for(is_one);
    if (!found) std::abort();
  }
};
struct WatchClosed final : Scene {
  std::optional<watch::Receiver<int>> receiver;
  std::optional<watch::Sender<int>> sender;
  WatchClosed() {
    auto [tx, rx] = watch::channel<int>(0);
    sender.emplace(std::move(tx));
    receiver.emplace(std::move(rx));
  }
  Task<void> wait() override { co_await sender->closed(); }
  void complete() override { receiver.reset(); }
  task::Resource* resource() override { return &sender->resource(); }
};

}  // namespace

std::vector<Row> channel_rows() {
  return {
      {"mpsc::Sender::send", make<MpscSend>, WaitOp::Send, ResourceKind::Mpsc, kHeld},
      {"mpsc::Sender::send, then close", make<MpscSendClosed>, WaitOp::Send, ResourceKind::Mpsc,
       kHeld},
      {"mpsc::Sender::reserve", make<MpscReserve>, WaitOp::Send, ResourceKind::Mpsc, kHeld},
      {"mpsc::Sender::closed", make<MpscClosed>, WaitOp::Closed, ResourceKind::Mpsc, kHeld},
      {"mpsc::Receiver::recv", make<MpscRecv>, WaitOp::Recv, ResourceKind::Mpsc, kOne | kHeld},
      {"mpsc::Receiver::recv, to the end", make<MpscRecvEnd>, WaitOp::Recv, ResourceKind::Mpsc,
       kOne | kHeld},
      {"mpsc::Receiver::recv_many", make<MpscRecvMany>, WaitOp::Recv, ResourceKind::Mpsc,
       kOne | kHeld},
      {"mpsc::Receiver::recv, unbounded", make<UnboundedRecv>, WaitOp::Recv, ResourceKind::Mpsc,
       kOne | kHeld},
      {"mpsc::UnboundedSender::closed", make<UnboundedClosed>, WaitOp::Closed, ResourceKind::Mpsc},
      {"oneshot::Receiver::recv", make<OneshotRecv>, WaitOp::Recv, ResourceKind::Oneshot,
       kOne | kHeld},
      {"oneshot::Sender::closed", make<OneshotClosed>, WaitOp::Closed, ResourceKind::Oneshot, kOne},
      {"broadcast::Receiver::recv", make<BroadcastRecv>, WaitOp::Recv, ResourceKind::Broadcast,
       kOne},
      {"broadcast::Sender::closed", make<BroadcastClosed>, WaitOp::Closed, ResourceKind::Broadcast},
      {"watch::Receiver::changed", make<WatchChanged>, WaitOp::Changed, ResourceKind::Watch, kOne},
      {"watch::Receiver::wait_for", make<WatchWaitFor>, WaitOp::Changed, ResourceKind::Watch, kOne},
      {"watch::Sender::closed", make<WatchClosed>, WaitOp::Closed, ResourceKind::Watch},
  };
}

}  // namespace taskscope::runtime::surface_test
