/// The tasks of a session, and their groups by call site and by await site.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "taskscope/console/session/histogram.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::session {

constexpr std::uint32_t kNone = UINT32_MAX;  ///< no slot, no group, no lane

/// What a poll ended with, as one number: how it ended and, where it waits, for what kind of thing
/// and where. Index into Model::wait_kinds(); the first ones are fixed.
struct WaitKind {
  protocol::PollEnd end = protocol::PollEnd::Pending;
  protocol::WaitOp op = protocol::WaitOp::None;
  protocol::ResourceKind resource_kind = protocol::ResourceKind::Other;
  std::uint32_t site = 0;  ///< the await
  bool operator==(const WaitKind&) const = default;
};
constexpr std::uint16_t kWaitUnknown = 0, kWaitReady = 1, kWaitYielded = 2, kWaitOutOfBudget = 3;

/// One branch of a suspended task, root first. `frames` is the await stack where one was asked for.
using Wait = protocol::BranchState;

struct LastWake {
  std::uint64_t ticks = 0;  ///< 0: never seen
  protocol::WakeCause cause = protocol::WakeCause::Thread;
  std::uint16_t branch = 0;
  std::uint64_t by = 0;     ///< the waking task
  std::uint64_t value = 0;  ///< Io: fd; else the resource
};

/// Histograms in ticks; only tasks that were polled more than once have them.
struct TaskHistograms {
  LogHistogram polls, scheduled;
};

struct TaskText {
  std::string name, error;
  std::vector<std::string> fields;  ///< "key=value"
};

/// What is known of a task. Times are ticks; Clock converts.
struct Task {
  // What every record of a task touches comes first.
  std::uint64_t id = 0;
  protocol::TaskState state = protocol::TaskState::Idle;
  protocol::TaskKind kind = protocol::TaskKind::Task;
  protocol::Outcome outcome = protocol::Outcome::Done;
  bool placeholder = false;        ///< events name it, nothing defines it
  bool spawned_about = false;      ///< spawned before the attach: time to the millisecond, count of
                                   ///< polls complete, durations from the attach on
  bool vanished = false;           ///< finished without a record: a completed walk did not find it
  bool counts_incomplete = false;  ///< records of it were lost
  bool granted = false;            ///< while Idle: has what it waits for; its wake is to come

 private:
  friend class TaskTable;
  friend class Model;
  bool sure_ = false;           // the poll count was ever sure
  bool shown_ = false;          // its track is kept
  bool waits_counted_ = false;  // its waits are in the counts of their resources
  bool in_lists_ = false;       // it is in the lists of waiting tasks

 public:
  std::uint32_t lane = kNone;  ///< of the last poll
  std::uint32_t histograms = kNone;
  std::uint32_t call_group = kNone, await_group = kNone;
  std::uint64_t finished = 0;  ///< 0: lives
  std::uint64_t state_since = 0;
  std::uint64_t last_poll_from = 0, last_poll_to = 0;  ///< to < from: it runs now

 private:
  std::uint64_t wake_pending_ = 0;  // the first wake since the last poll began
  std::uint64_t last_event_ = 0;    // ticks of the newest record that names it

 public:
  std::uint64_t polls = 0, wakes = 0, self_wakes = 0;
  std::uint64_t busy = 0;       ///< without the poll that runs now
  std::uint64_t scheduled = 0;  ///< without the wait in the queue that goes on now
  std::uint64_t max_poll = 0, max_poll_from = 0;
  std::vector<Wait> waits;  ///< while Idle: what for; empty: unknown
  LastWake last_wake;

  std::uint64_t parent = 0;
  std::uint64_t spawned = 0;  ///< 0: unknown
  std::uint64_t observed_from = 0;
  std::uint32_t site = 0;  ///< spawn call; Model::site
  std::uint32_t runtime = 0, frame_bytes = 0;
  std::uint32_t wakers = 0;     ///< owned ones alive, as read at `wakers_at`
  std::uint64_t wakers_at = 0;  ///< 0: never read
  std::unique_ptr<TaskText> text;

  [[nodiscard]] bool alive() const noexcept { return finished == 0; }
  [[nodiscard]] std::string_view name() const noexcept {
    return text ? std::string_view{text->name} : std::string_view{};
  }
  [[nodiscard]] std::string_view error() const noexcept {
    return text ? std::string_view{text->error} : std::string_view{};
  }
  [[nodiscard]] std::span<const std::string> fields() const noexcept {
    return text ? std::span<const std::string>{text->fields} : std::span<const std::string>{};
  }
  /// Since the spawn (or the first record, where that is unknown) until `now` or its end.
  [[nodiscard]] std::uint64_t total(std::uint64_t now) const noexcept;
  [[nodiscard]] std::uint64_t busy_until(std::uint64_t now) const noexcept;
  [[nodiscard]] std::uint64_t scheduled_until(std::uint64_t now) const noexcept;
  [[nodiscard]] std::uint64_t idle(std::uint64_t now) const noexcept;

 private:
  std::uint64_t snapshot_ = 0;  // the walk that named it last
  std::uint64_t sure_at_ = 0;   // when the poll count was last sure
};

/// Tasks spawned at one place. Sums cover finished tasks that are no longer kept.
struct CallGroup {
  std::uint32_t site = 0;
  protocol::TaskKind kind = protocol::TaskKind::Task;
  std::array<std::uint64_t, 4> by_state{};    ///< by protocol::TaskState; Finished counts all ever
  std::uint64_t panicked = 0, cancelled = 0;  ///< of the finished: by exception, cancelled
  std::uint64_t polls = 0, wakes = 0, self_wakes = 0, busy = 0, scheduled = 0;
  std::uint64_t max_poll = 0, max_poll_task = 0;
  std::uint32_t max_frame = 0;  ///< bytes, of all ever
  LogHistogram poll_times, scheduled_times;
  std::uint32_t first_member = kNone, last_member = kNone;      ///< of the kept, oldest first
  std::uint32_t longest_waiting = kNone, last_waiting = kNone;  ///< slots; the longest wait first
  [[nodiscard]] std::uint64_t live() const noexcept {
    return by_state[0] + by_state[1] + by_state[2];
  }
};

/// Tasks that wait at one place for one kind of thing.
struct AwaitGroup {
  std::uint16_t wait = 0;  ///< Model::wait_kinds()
  std::uint64_t waiting = 0, ever = 0;
  std::uint64_t waited = 0;  ///< ticks of the waits that ended
  LogHistogram wait_times;
  std::uint32_t longest_waiting = kNone, last_waiting = kNone;  ///< slots, the longest wait first
};

/// Rows by slot. A slot stays with its task until that is dropped, and a pointer to a task as long.
/// All that live are kept; of the finished the newest `keep_finished`.
class TaskTable {
 public:
  explicit TaskTable(std::size_t keep_finished) : keep_finished_(keep_finished) {}

  [[nodiscard]] const Task* find(std::uint64_t id) const;
  [[nodiscard]] std::uint32_t slot_of(std::uint64_t id) const;
  /// Slots [0, slots()); null where free.
  [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
  [[nodiscard]] const Task* at(std::uint32_t slot) const noexcept {
    const Task& task = (*blocks_[slot / kBlock])[slot % kBlock];
    return task.id != 0 ? &task : nullptr;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t live() const noexcept { return live_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
  [[nodiscard]] const TaskHistograms* histograms(const Task& task) const;

  [[nodiscard]] std::span<const CallGroup> call_groups() const noexcept { return call_groups_; }
  [[nodiscard]] std::span<const AwaitGroup> await_groups() const noexcept { return await_groups_; }
  /// The next slot in the list that the group's member names begin; kNone at the end.
  [[nodiscard]] std::uint32_t next_member(std::uint32_t slot) const;
  [[nodiscard]] std::uint32_t next_waiting_of_call(std::uint32_t slot) const;
  [[nodiscard]] std::uint32_t next_waiting_of_await(std::uint32_t slot) const;

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  friend class Model;
  static constexpr std::uint32_t kBlock = 4096;
  using Block = std::array<Task, kBlock>;

  /// Ids to slots: open addressing, one allocation, half full at most.
  class Index {
   public:
    [[nodiscard]] std::uint32_t find(std::uint64_t id) const noexcept;
    void prefetch(std::uint64_t id) const noexcept {
      if (!entries_.empty()) __builtin_prefetch(&entries_[home(id)]);
    }
    void insert(std::uint64_t id, std::uint32_t slot);
    void erase(std::uint64_t id);
    [[nodiscard]] std::size_t memory_bytes() const noexcept {
      return entries_.size() * sizeof(Entry);
    }

   private:
    struct Entry {
      std::uint64_t id = 0;
      std::uint32_t slot = kNone;
    };
    [[nodiscard]] std::size_t home(std::uint64_t id) const noexcept;
    void grow();
    std::vector<Entry> entries_;
    std::size_t used_ = 0;
  };

  /// A task's neighbours in a list of its group. Apart from the rows, because records of one task
  /// touch the links of others: so they stay near.
  struct Links {
    std::uint32_t before = kNone, after = kNone;
  };
  using List = std::vector<Links>;  // by slot

  /// Brings near what records of these tasks will touch soon.
  void prefetch_index(std::uint64_t id) const noexcept { index_.prefetch(id); }
  void prefetch_row(std::uint64_t id) const noexcept {
    const auto slot = index_.find(id);
    if (slot == kNone) return;
    const char* row = reinterpret_cast<const char*>(&task(slot));
    for (std::size_t line = 0; line < 4; ++line) __builtin_prefetch(row + 64 * line, 1);
    __builtin_prefetch(&in_call_waits_[slot], 1);
    __builtin_prefetch(&in_await_group_[slot], 1);
  }
  /// The second step, once the row itself is near.
  void prefetch_beside(std::uint64_t id) const noexcept {
    const auto slot = index_.find(id);
    if (slot == kNone) return;
    const Task& row = task(slot);
    __builtin_prefetch(row.waits.data(), 1);
    if (row.histograms == kNone) return;
    const auto& times = histograms_at(row.histograms);
    __builtin_prefetch(times.polls.near(row.last_poll_to - row.last_poll_from), 1);
    __builtin_prefetch(times.scheduled.near(row.last_poll_from - row.last_wake.ticks), 1);
  }
  [[nodiscard]] const TaskHistograms& histograms_at(std::uint32_t number) const noexcept {
    return (*histograms_[number / kHistogramBlock])[number % kHistogramBlock];
  }
  [[nodiscard]] Task& task(std::uint32_t slot) noexcept {
    return (*blocks_[slot / kBlock])[slot % kBlock];
  }
  [[nodiscard]] const Task& task(std::uint32_t slot) const noexcept {
    return (*blocks_[slot / kBlock])[slot % kBlock];
  }
  /// Makes a row; call_group and state are set through the functions below.
  std::uint32_t add(std::uint64_t id);
  [[nodiscard]] CallGroup& call_group(const Task& row) { return call_groups_[row.call_group]; }
  void place(std::uint32_t slot, std::uint32_t site, protocol::TaskKind kind);
  void set_state(std::uint32_t slot, protocol::TaskState state, std::uint64_t ticks);
  void set_await_group(std::uint32_t slot, std::uint16_t wait);
  void leave_await_group(std::uint32_t slot, std::uint64_t now);
  void finish(std::uint32_t slot, std::uint64_t ticks, protocol::Outcome outcome);
  TaskHistograms& histograms_of(std::uint32_t slot);
  /// Puts the lists of waiting tasks in order of their waits again, after rows came in another.
  void sort_waiting();
  /// The oldest finished row, if there are more than are kept.
  [[nodiscard]] std::uint32_t surplus();
  void drop(std::uint32_t slot);

  static void link(List& list, std::uint32_t& first, std::uint32_t& last, std::uint32_t slot);
  static void unlink(List& list, std::uint32_t& first, std::uint32_t& last, std::uint32_t slot);

  std::size_t keep_finished_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::uint32_t slots_ = 0;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
  std::uint64_t live_ = 0, dropped_ = 0;
  std::deque<std::uint64_t> finished_;  // ids in the order they finished
  Index index_;
  List in_call_group_, in_call_waits_, in_await_group_;
  static constexpr std::uint32_t kHistogramBlock = 256;
  std::vector<std::unique_ptr<std::array<TaskHistograms, kHistogramBlock>>> histograms_;
  std::uint32_t histograms_used_ = 0;
  std::vector<std::uint32_t> free_histograms_;
  std::vector<CallGroup> call_groups_;
  std::unordered_map<std::uint64_t, std::uint32_t> call_group_of_;
  std::vector<AwaitGroup> await_groups_;
  std::vector<std::uint32_t> await_group_of_;  // by wait kind
};

}  // namespace taskscope::console::session
