/// The state built from updates: what a window draws and what analysis asks. No window, no clock,
/// no threads: fed and read on one thread.
///
/// Events arrive by ring, and a wake in one ring may precede the poll in another although it comes
/// later. So runs of events wait in a short merge (100 ms of the stream's time) and are applied in
/// the order of their ticks. What comes later still is applied when it comes, and counted. The same
/// updates in the same order give the same model, live and from a file. Everything a target can
/// make grow has a bound here; what a bound cut off is counted.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "taskscope/console/session/clock.h"
#include "taskscope/console/session/evidence.h"
#include "taskscope/console/session/native_stacks.h"
#include "taskscope/console/session/resources.h"
#include "taskscope/console/session/tasks.h"
#include "taskscope/console/session/track.h"
#include "taskscope/console/source/source.h"

namespace taskscope::console::session {

struct Limits {
  std::size_t finished_tasks = 200'000;
  std::size_t live_tasks = 4'000'000;
  std::size_t resources = 1'000'000;
  std::size_t dropped_resources = 20'000;
  std::size_t lanes = 4096;
  std::size_t gaps_per_lane = 10'000;
  std::size_t sites = 1'000'000;
  std::size_t samples_per_worker = 20'000;
  std::size_t merge_events = 1'000'000;
  std::size_t shown_task_tracks = 4096;
  std::size_t stacks = 1'000'000;
  std::size_t native_stacks = 4096;
  std::size_t branches_per_task = 256;
  std::size_t string_bytes = 4096;  ///< each; longer ones are cut
  std::size_t fields_per_task = 64;
};

/// Recorded + lost = what happened.
struct Totals {
  std::uint64_t events = 0;
  std::uint64_t spawned = 0, finished = 0;  ///< recorded since the attach
  std::uint64_t polls_started = 0, polls_ended = 0, wakes = 0, self_wakes = 0;
  std::uint64_t parks = 0, steals = 0;
  std::uint64_t lost_events = 0, lost_chunks = 0;
  std::uint64_t lost_spawns = 0, lost_polls = 0, lost_wakes = 0;
  std::uint64_t late = 0;     ///< events that came after the merge had passed them
  std::uint64_t bogus = 0;    ///< records that contradict others: skipped
  std::uint64_t bounded = 0;  ///< things not kept because of a limit
};

/// One line of losses: by producer and cause.
struct LossTotal {
  std::uint64_t producer = 0;
  std::uint32_t lane = kNone;
  protocol::LossCause cause = protocol::LossCause::RingFull;
  std::uint64_t events = 0, chunks = 0, spawns = 0, polls = 0, wakes = 0;
  std::uint64_t from = 0, to = 0;  ///< ticks
};

enum class Layer : std::uint8_t { Polls, Parks };

/// A piece of a lane: times are session nanoseconds.
struct Slice {
  std::int64_t from_ns = 0, to_ns = 0;
  std::int64_t busy_ns = 0;     ///< of the piece, covered by polls (or parks)
  std::int64_t longest_ns = 0;  ///< the longest poll in it
  std::uint64_t task = 0;       ///< of that poll
  std::uint32_t polls = 0;      ///< 1: exactly one; more: too narrow to tell apart
  std::uint16_t wait = 0;       ///< how it ended (polls == 1): Model::wait_kinds()
  bool open = false;            ///< goes on
};

/// A piece of a task's lane.
struct StateSlice {
  std::int64_t from_ns = 0, to_ns = 0;
  protocol::TaskState state = protocol::TaskState::Idle;  ///< Finished: from its end on
  std::uint16_t wait = 0;                                 ///< Idle: what for
  std::uint32_t lane = kNone;                             ///< Running: where (of the longest poll)
  std::uint32_t polls = 0;        ///< Running: 1 exactly one, more: folded with the gaps between
  std::int64_t busy_ns = 0;       ///< of a folded piece: polled
  std::int64_t scheduled_ns = 0;  ///< of a folded piece: queued
  bool open = false;
};

/// A poll that goes on.
struct RunningPoll {
  std::uint64_t task = 0;
  std::uint64_t from = 0;  ///< ticks
  std::uint32_t lane = kNone;
  bool about = false;  ///< it began before the records of its thread: `from` is not exact
};

/// A chunk of events and where to read it again.
struct ChunkEntry {
  source::ChunkPlace place;
  std::uint32_t lane = kNone;
  std::uint32_t events = 0;
  std::uint64_t from = 0, to = 0;  ///< ticks
};

/// The latest reading of a task that came with frames.
struct Stack {
  std::uint64_t ticks = 0;
  std::vector<Wait> branches;
};

class Model {
 public:
  explicit Model(const Limits& limits = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  void apply(protocol::Update&& update, const source::ChunkPlace& place = {});
  /// Applies what the merge still holds: at the end of a file, at a goodbye, when the link is dead.
  void flush();
  /// Marks the end: by goodbye or dead link, with the reason.
  void end(bool dead, std::string reason);
  /// The spool no longer holds chunks at smaller offsets: forgets what only they explain.
  void drop_chunks_before(std::uint64_t offset);

  // What is known. References live until the next apply.
  [[nodiscard]] const std::optional<protocol::Process>& process() const noexcept {
    return process_;
  }
  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
  /// Everything up to here is in the model, as session time: the right edge when following.
  [[nodiscard]] std::int64_t now_ns() const noexcept { return clock_.ns(now_); }
  [[nodiscard]] std::uint64_t now() const noexcept { return now_; }
  /// The first record, as session time: the left edge.
  [[nodiscard]] std::int64_t begin_ns() const noexcept { return clock_.ns(begin_); }
  [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }

  [[nodiscard]] const TaskTable& tasks() const noexcept { return tasks_; }
  [[nodiscard]] std::span<const std::unique_ptr<Lane>> lanes() const noexcept { return lanes_; }
  [[nodiscard]] std::uint32_t lane_of_worker(std::uint32_t worker) const;
  [[nodiscard]] const std::unordered_map<std::uint64_t, Resource>& resources() const noexcept {
    return resources_;
  }
  [[nodiscard]] const Resource* resource(std::uint64_t id) const;
  /// Null for ids nothing defines.
  [[nodiscard]] const protocol::Site* site(std::uint32_t id) const;
  [[nodiscard]] std::span<const WaitKind> wait_kinds() const noexcept { return wait_kinds_; }
  [[nodiscard]] const Stack* stack(std::uint64_t task) const;
  [[nodiscard]] const std::unordered_map<std::uint64_t, Stack>& stacks() const noexcept {
    return stacks_;
  }
  /// Where the task's poll is, or was, that did not come back in time: the latest such poll of it.
  /// Null: none is known. Its poll may have ended since; the task's state says.
  [[nodiscard]] const NativeStack* native_stack(std::uint64_t task) const {
    return native_stacks_.of(task);
  }
  /// The newest polls that blocked, one stack each, oldest first.
  [[nodiscard]] const std::deque<NativeStack>& native_stacks() const noexcept {
    return native_stacks_.all();
  }
  [[nodiscard]] std::span<const RuntimePoint> runtime_samples(std::uint32_t runtime) const;
  [[nodiscard]] std::vector<std::uint32_t> runtimes() const;
  [[nodiscard]] std::span<const CostPoint> cost_samples() const noexcept { return cost_; }

  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  [[nodiscard]] std::span<const LossTotal> losses() const noexcept { return losses_; }
  /// Gaps of the whole stream (slow consumer, damage, cap); those of a lane are in the lane.
  [[nodiscard]] std::span<const Gap> gaps() const noexcept { return gaps_; }
  [[nodiscard]] std::uint64_t snapshots_completed() const noexcept { return snapshots_completed_; }
  /// Nothing was lost, or a walk over the living has completed that began after the last loss. Of
  /// those who lived before the attach, some may still be unknown.
  [[nodiscard]] bool complete() const noexcept { return walk_begin_ >= lost_until_; }
  /// Ticks of the end of the latest loss; 0: none.
  [[nodiscard]] std::uint64_t lost_until() const noexcept { return lost_until_; }
  /// What was new when a record came last that others of later times had overtaken; 0: never. Who
  /// reads the rings is behind then, and what the model says of now may be long over.
  [[nodiscard]] std::uint64_t behind_until() const noexcept { return behind_until_; }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool dead() const noexcept { return dead_; }
  [[nodiscard]] const std::string& end_reason() const noexcept { return end_reason_; }
  /// Grows with everything applied: equal means nothing to redraw.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

  // Questions.
  /// The lane within [from, to), folded where narrower than `resolution_ns`; `out` is appended to.
  void slices(std::uint32_t lane, Layer layer, std::int64_t from_ns, std::int64_t to_ns,
              std::int64_t resolution_ns, std::vector<Slice>& out) const;
  /// Builds the tracks of these tasks in one pass, where not built yet; kept up from then on.
  void show_tasks(std::span<const std::uint64_t> tasks);
  /// The task's lane; calls show_tasks if needed. Before its spawn and after its end: nothing, but
  /// one Finished slice when it ended within the view.
  void task_slices(std::uint64_t task, std::int64_t from_ns, std::int64_t to_ns,
                   std::int64_t resolution_ns, std::vector<StateSlice>& out);
  /// What is polled now, by lane. A worker that is blocked since before the attach records nothing:
  /// what it polls is known when two samples in a row find it in the same poll.
  [[nodiscard]] std::vector<RunningPoll> running_polls() const;
  /// What took long, came in bursts, wakes itself: of the last seconds.
  [[nodiscard]] const Evidence& evidence() const noexcept { return evidence_; }
  /// For how long the lane's thread was ready within [from, to] and had no processor, by the
  /// samples around: rather too much than too little. 0 where nothing was sampled. All in ticks.
  [[nodiscard]] std::uint64_t unscheduled(std::uint32_t lane, std::uint64_t from,
                                          std::uint64_t to) const;
  /// Tasks that wait for the resource now, at most `limit`. Walks all tasks.
  [[nodiscard]] std::vector<std::uint64_t> waiters_of(std::uint64_t resource,
                                                      std::size_t limit = 1000) const;
  /// Tasks that name `parent` as theirs, at most `limit`. Walks all tasks.
  [[nodiscard]] std::vector<std::uint64_t> children_of(std::uint64_t parent,
                                                       std::size_t limit = 1000) const;
  /// Chunks of events, oldest first.
  [[nodiscard]] const std::deque<ChunkEntry>& chunks() const noexcept { return chunks_; }

  struct Memory {
    std::size_t tracks = 0, tasks = 0, chunks = 0, others = 0;
    [[nodiscard]] std::size_t total() const noexcept { return tracks + tasks + chunks + others; }
  };
  [[nodiscard]] Memory memory() const;

 private:
  class Merge;
  struct LaneWork;
  struct TaskTrack;
  using Event = protocol::Event;

  // model.cpp: what is not an event
  void take(protocol::Process&&);
  void take(std::vector<protocol::Site>&&);
  void take(const protocol::ClockPoint&);
  void take(const protocol::Loss&);
  void take(protocol::Events&&, const source::ChunkPlace&);
  void take(protocol::Snapshot&&);
  void take(const protocol::Samples&);
  void take(const protocol::Goodbye&);
  void take(std::vector<protocol::Module>&&);
  void take(protocol::NativeStack&&);
  void take(std::vector<protocol::Symbol>&&);
  [[nodiscard]] std::uint32_t lane_for(std::uint32_t worker, std::uint64_t ring);
  std::uint32_t add_lane();
  void saw(std::uint64_t ticks);
  void add_gap(std::vector<Gap>& gaps, const Gap& gap) const;
  void drop_task(std::uint32_t slot);
  [[nodiscard]] bool is_tombstone(std::uint64_t task) const;
  void advance();
  void fetch_ahead(const std::vector<Event>& events, std::size_t next) const;
  [[nodiscard]] Resource* resource_for(std::uint64_t id, protocol::ResourceKind kind);
  [[nodiscard]] std::uint16_t wait_kind(const WaitKind& kind);

  // events.cpp: one event at a time, in the order of the merge
  void apply_event(std::uint32_t lane, const protocol::Events& chunk, const Event& event);
  void on_spawned(const protocol::Events& chunk, const Event& event);
  void on_finished(const protocol::Events& chunk, const Event& event);
  void on_poll_started(std::uint32_t lane, std::uint64_t task, std::uint64_t ticks, bool recorded);
  void on_poll_ended(std::uint32_t lane, const Event& event);
  void close_poll(std::uint32_t lane, std::uint64_t ticks, std::uint16_t wait);
  /// When a poll began whose start was not recorded: as a walk read it, else `seen`.
  [[nodiscard]] std::uint64_t began_about(std::uint64_t task, std::uint64_t seen,
                                          std::uint64_t ended) const;
  void log_wait(const Task& row, const Event& wake);
  void on_wait(std::uint32_t lane, const Event& event);
  void on_wait_cancelled(const Event& event);
  void on_woken(const Event& event);
  void on_resource(const protocol::Events& chunk, const Event& event);
  void on_acquired(const Event& event);
  void on_released(const Event& event);
  /// The task's slot; a placeholder when nothing defines it yet. kNone over the limit.
  [[nodiscard]] std::uint32_t slot_for(std::uint64_t task, std::uint64_t ticks);
  void enter(std::uint32_t slot, protocol::TaskState state, std::uint64_t ticks);
  void clear_waits(Task& row);
  void count_waits(Task& row, bool add);
  void finish_task(std::uint32_t slot, std::uint64_t ticks, protocol::Outcome outcome);

  // snapshots.cpp
  void apply_snapshot_task(std::uint64_t snapshot, bool has_waits, protocol::TaskSnapshot& entry);
  void apply_snapshot_resource(protocol::ResourceSnapshot& entry);
  void complete_snapshot(std::uint64_t snapshot, std::uint64_t begin_ticks);

  // queries.cpp
  void build_tracks(std::span<const std::uint64_t> tasks);

  Limits limits_;
  Clock clock_;
  std::optional<protocol::Process> process_;
  TaskTable tasks_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<LaneWork>> work_;  // by lane
  std::unordered_map<std::uint64_t, std::uint32_t> lane_of_ring_;
  std::unordered_map<std::uint32_t, std::uint32_t> lane_of_worker_;
  std::unordered_map<std::uint64_t, Resource> resources_;
  std::deque<std::uint64_t> dropped_resources_;
  std::unordered_map<std::uint32_t, protocol::Site> sites_;
  std::vector<WaitKind> wait_kinds_;
  std::unordered_map<std::uint64_t, std::uint16_t> wait_kind_of_;
  std::unordered_map<std::uint64_t, Stack> stacks_;
  NativeStacks native_stacks_;
  Evidence evidence_;
  std::unordered_map<std::uint32_t, std::vector<RuntimePoint>> runtime_samples_;
  std::vector<CostPoint> cost_;
  Totals totals_;
  std::vector<LossTotal> losses_;
  std::vector<Gap> gaps_;
  std::deque<ChunkEntry> chunks_;
  std::unordered_map<std::uint64_t, std::unique_ptr<TaskTrack>> shown_;
  std::unique_ptr<Merge> merge_;
  std::vector<std::uint64_t> tombstones_;  // ids dropped lately, by hash: late records of them
  std::array<std::pair<std::uint64_t, std::uint16_t>, 256> wait_kind_cache_{};
  bool waits_unsorted_ = false;
  std::uint64_t lost_until_ = 0;  // ticks: the end of the latest loss
  std::uint64_t behind_until_ = 0;
  std::uint64_t walk_begin_ = 0;  // ticks: of the last walk that completed
  std::uint64_t now_ = 0, begin_ = 0, revision_ = 0, snapshots_completed_ = 0;
  bool ended_ = false, dead_ = false;
  std::string end_reason_;
};

}  // namespace taskscope::console::session
