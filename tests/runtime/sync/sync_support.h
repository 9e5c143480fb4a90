/// What the tests of sync share: a look at a resource as a watcher sees it, and small tasks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/runtime.h"

namespace taskscope::runtime::sync_test {

struct SeenHolder {
  observe::TaskId task;
  bool certain;
  std::uint32_t permits;
  std::string role;
};

/// A resource as the Inspector describes it, copied.
struct Seen {
  observe::ResourceId id = observe::ResourceId::None;
  observe::ResourceKind kind = observe::ResourceKind::Other;
  std::string type;
  std::uint32_t waiters = 0;
  std::vector<SeenHolder> holders;
  std::map<std::string, std::uint64_t> attributes;
};

/// The registered resource of that name; nothing if there is none.
inline std::optional<Seen> see(Runtime& runtime, std::string_view name) {
  struct Find final : observe::ResourceVisitor {
    explicit Find(std::string_view text) : wanted(text) {}
    void visit(const observe::ResourceView& view) override {
      if (view.info.name != wanted) return;
      Seen seen;
      seen.id = view.info.id;
      seen.kind = view.info.kind;
      seen.type = view.info.concrete_type;
      seen.waiters = view.waiters;
      for (const auto& holder : view.holders)
        seen.holders.push_back(
            {holder.task, holder.certain, holder.permits, std::string(holder.role)});
      for (const auto& attribute : view.attributes)
        seen.attributes[std::string(attribute.name)] = attribute.value;
      found = std::move(seen);
    }
    std::string_view wanted;
    std::optional<Seen> found;
  };
  Find find(name);
  runtime.inspector().visit_resources(find);
  return find.found;
}

/// The waits of a task that is idle; none while it runs or is queued.
inline std::vector<observe::Wait> waits_of(Runtime& runtime, observe::TaskId task) {
  struct Copy final : observe::TaskVisitor {
    void visit(const observe::TaskView& view) override {
      for (const auto& branch : view.branches) waits.push_back(branch.wait);
    }
    std::vector<observe::Wait> waits;
  };
  Copy copy;
  runtime.inspector().visit_task(task, observe::Detail::Waits, copy);
  return copy.waits;
}

inline Runtime runtime_with(unsigned workers) {
  return Builder::multi_thread().worker_threads(workers).build();
}

/// Runs `inner` on a worker instead of the thread of block_on: with one worker nothing runs beside
/// it.
template <class T>
Task<T> on_worker(Task<T> inner) {
  auto handle = spawn(std::move(inner));
  co_return co_await handle;
}

inline Task<void> at_once() { co_return; }
inline Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
}
/// Lets others run until `waiters` tasks wait for the named resource.
inline Task<void> until_waiting(Runtime& runtime, std::string_view name, std::uint32_t waiters) {
  for (;;) {
    const auto seen = see(runtime, name);
    if (seen && seen->waiters == waiters) co_return;
    co_await yield_now();
  }
}

/// Numbers that differ by seed and are the same in every run.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  /// In [0, bound).
  int below(int bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<int>(state_ % static_cast<std::uint64_t>(bound));
  }

 private:
  std::uint64_t state_;
};

}  // namespace taskscope::runtime::sync_test
