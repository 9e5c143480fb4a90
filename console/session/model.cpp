#include "taskscope/console/session/model.h"

#include <algorithm>
#include <chrono>

#include "taskscope/console/session/merge.h"

namespace taskscope::console::session {
namespace {

/// How far rings may be apart. A collector passes over all of them at least every 50 ms, so what a
/// ring has for this moment is here by then; a lane that was silent tells nothing, so there is no
/// shortcut when all have moved on.
constexpr std::int64_t kLateNs = 100'000'000;
/// Before two clock points came: the same on a fast time stamp counter.
constexpr std::uint64_t kLateTicksUncalibrated = 500'000'000;
constexpr std::size_t kTombstones = std::size_t{1} << 18;
constexpr std::size_t kLossLines = 10'000;
constexpr std::size_t kRuntimes = 1024;
constexpr std::size_t kCostSamples = 20'000;

/// Keeps a series bounded: every other old point goes, so that the whole span stays covered.
template <class Point>
void thin_out(std::vector<Point>& points, std::size_t limit) {
  if (points.size() < limit) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < points.size(); i += 2) {
    if (kept != i) points[kept] = std::move(points[i]);
    ++kept;
  }
  points.resize(kept);
}

void cut(std::string& text, std::size_t limit) {
  if (text.size() > limit) text.resize(limit);
}

std::size_t tombstone_of(std::uint64_t task) noexcept {
  return static_cast<std::size_t>((task * 0x9e3779b97f4a7c15u) >> 20) & (kTombstones - 1);
}

}  // namespace

// --- merge

void Model::Merge::push(Head head) {
  heads.push_back(head);
  std::push_heap(heads.begin(), heads.end(),
                 [](const Head& a, const Head& b) { return a.ticks > b.ticks; });
}

void Model::Merge::pop() {
  std::pop_heap(heads.begin(), heads.end(),
                [](const Head& a, const Head& b) { return a.ticks > b.ticks; });
  heads.pop_back();
}

void Model::Merge::sink_front() {
  const Head head = heads.front();
  std::size_t hole = 0;
  for (;;) {
    std::size_t child = 2 * hole + 1;
    if (child >= heads.size()) break;
    if (child + 1 < heads.size() && heads[child + 1].ticks < heads[child].ticks) ++child;
    if (heads[child].ticks >= head.ticks) break;
    heads[hole] = heads[child];
    hole = child;
  }
  heads[hole] = head;
}

std::uint64_t Model::Merge::second() const noexcept {
  std::uint64_t smallest = UINT64_MAX;
  if (heads.size() > 1) smallest = heads[1].ticks;
  if (heads.size() > 2) smallest = std::min(smallest, heads[2].ticks);
  return smallest;
}

// --- model

Model::Model(const Limits& limits)
    : limits_(limits),
      tasks_(limits.finished_tasks),
      native_stacks_(limits.native_stacks),
      merge_(std::make_unique<Merge>()) {
  wait_kinds_.push_back({});
  wait_kinds_.push_back({protocol::PollEnd::Ready, {}, {}, 0});
  wait_kinds_.push_back({protocol::PollEnd::Yielded, {}, {}, 0});
  wait_kinds_.push_back({protocol::PollEnd::OutOfBudget, {}, {}, 0});
}

Model::~Model() = default;

void Model::apply(protocol::Update&& update, const source::ChunkPlace& place) {
  ++revision_;
  std::visit(
      [&](auto&& part) {
        using Part = std::decay_t<decltype(part)>;
        if constexpr (std::is_same_v<Part, protocol::Events>)
          take(std::move(part), place);
        else
          take(std::move(part));
      },
      std::move(update));
}

void Model::flush() {
  merge_->everything = true;
  advance();
  merge_->everything = false;
  now_ = std::max({now_, merge_->seen, merge_->applied});
  ++revision_;
}

void Model::end(bool dead, std::string reason) {
  flush();
  ended_ = true;
  dead_ = dead;
  end_reason_ = std::move(reason);
}

void Model::saw(std::uint64_t ticks) {
  if (ticks == 0) return;
  merge_->seen = std::max(merge_->seen, ticks);
  if (begin_ == 0 || ticks < begin_) begin_ = ticks;
}

void Model::take(protocol::Process&& process) {
  for (auto* text : {&process.name, &process.command_line, &process.executable, &process.build_id,
                     &process.host, &process.taskscope_version})
    cut(*text, limits_.string_bytes);
  clock_.set_ticks_are_tsc(process.ticks_are_tsc);
  process_ = std::move(process);
}

void Model::take(std::vector<protocol::Site>&& sites) {
  for (auto& site : sites) {
    if (site.id == 0) continue;
    if (sites_.size() >= limits_.sites && !sites_.contains(site.id)) {
      ++totals_.bounded;
      continue;
    }
    cut(site.file, limits_.string_bytes);
    cut(site.function, limits_.string_bytes);
    const auto id = site.id;
    sites_.insert_or_assign(id, std::move(site));
  }
}

void Model::take(const protocol::ClockPoint& point) {
  clock_.add(point);
  saw(point.ticks);
  advance();
}

void Model::take(const protocol::Loss& loss) {
  const auto ring = lane_of_ring_.find(loss.producer);
  const auto lane =
      loss.producer != 0 && ring != lane_of_ring_.end() ? ring->second : std::uint32_t{kNone};
  auto line = std::find_if(losses_.begin(), losses_.end(), [&](const LossTotal& total) {
    return total.producer == loss.producer && total.cause == loss.cause;
  });
  if (line == losses_.end()) {
    if (losses_.size() >= kLossLines) {
      ++totals_.bounded;
      line = losses_.end() - 1;
    } else {
      losses_.push_back({loss.producer, lane, loss.cause, 0, 0, 0, 0, 0, loss.from_ticks, 0});
      line = losses_.end() - 1;
    }
  }
  line->events += loss.events;
  line->chunks += loss.chunks;
  line->spawns += loss.spawns;
  line->polls += loss.polls;
  line->wakes += loss.wakes;
  line->from = std::min(line->from, loss.from_ticks);
  line->to = std::max(line->to, loss.to_ticks);
  if (line->lane == kNone) line->lane = lane;
  if (loss.cause == protocol::LossCause::BeforeAttach) return;
  totals_.lost_events += loss.events;
  totals_.lost_chunks += loss.chunks;
  totals_.lost_spawns += loss.spawns;
  totals_.lost_polls += loss.polls;
  totals_.lost_wakes += loss.wakes;
  const auto until = std::max(loss.from_ticks, loss.to_ticks);
  lost_until_ = std::max(lost_until_, until != 0 ? until : merge_->seen);
  const Gap gap{loss.from_ticks, std::max(loss.from_ticks, loss.to_ticks), loss.cause, loss.events,
                loss.chunks};
  add_gap(lane == kNone ? gaps_ : lanes_[lane]->gaps, gap);
}

void Model::add_gap(std::vector<Gap>& gaps, const Gap& gap) const {
  const bool touches = !gaps.empty() && gap.from <= gaps.back().to && gap.to >= gaps.back().from &&
                       gap.cause == gaps.back().cause;
  if (!touches && gaps.size() < limits_.gaps_per_lane) {
    const auto place =
        std::upper_bound(gaps.begin(), gaps.end(), gap.from,
                         [](std::uint64_t from, const Gap& other) { return from < other.from; });
    gaps.insert(place, gap);
    return;
  }
  if (gaps.empty()) return;
  auto& last = gaps.back();
  last.from = std::min(last.from, gap.from);
  last.to = std::max(last.to, gap.to);
  last.events += gap.events;
  last.chunks += gap.chunks;
}

std::uint32_t Model::add_lane() {
  if (lanes_.size() >= limits_.lanes) {
    ++totals_.bounded;
    return kNone;
  }
  const auto index = static_cast<std::uint32_t>(lanes_.size());
  lanes_.push_back(std::make_unique<Lane>());
  lanes_.back()->index = index;
  work_.push_back(std::make_unique<LaneWork>());
  return index;
}

std::uint32_t Model::lane_for(std::uint32_t worker, std::uint64_t ring) {
  if (worker != 0) {
    auto found = lane_of_worker_.find(worker);
    if (found == lane_of_worker_.end()) {
      const auto index = add_lane();
      if (index == kNone) return kNone;
      lanes_[index]->worker = worker;
      found = lane_of_worker_.emplace(worker, index).first;
    }
    if (ring != 0 && lanes_[found->second]->ring != ring) {
      if (lane_of_ring_.size() < 16 * limits_.lanes) lane_of_ring_[ring] = found->second;
      lanes_[found->second]->ring = ring;
    }
    return found->second;
  }
  const auto found = lane_of_ring_.find(ring);
  if (found != lane_of_ring_.end()) return found->second;
  const auto index = add_lane();
  if (index == kNone) return kNone;
  lanes_[index]->ring = ring;
  lane_of_ring_.emplace(ring, index);
  return index;
}

std::uint32_t Model::lane_of_worker(std::uint32_t worker) const {
  const auto found = lane_of_worker_.find(worker);
  return found == lane_of_worker_.end() ? std::uint32_t{kNone} : found->second;
}

void Model::take(protocol::Events&& chunk, const source::ChunkPlace& place) {
  if (chunk.events.empty()) return;
  const auto index = lane_for(chunk.worker, chunk.ring);
  if (index == kNone) return;
  Lane& lane = *lanes_[index];
  LaneWork& work = *work_[index];
  if (chunk.tid != 0) lane.tid = chunk.tid;
  if (!chunk.thread_name.empty() && chunk.thread_name != lane.name) {
    lane.name = chunk.thread_name;
    cut(lane.name, limits_.string_bytes);
  }
  evidence_.set_rate(clock_);
  // A ring is in order up to the few nanoseconds for which a clock reading is used again.
  for (auto& event : chunk.events)
    work.received = event.ticks = std::max(event.ticks, work.received);
  const auto from = chunk.events.front().ticks;
  saw(from);
  saw(work.received);
  lane.last_ticks = work.received;
  chunks_.push_back(
      {place, index, static_cast<std::uint32_t>(chunk.events.size()), from, work.received});
  merge_->buffered += chunk.events.size();
  const bool was_empty = work.runs.empty();
  work.runs.push_back({std::move(chunk), 0});
  if (was_empty) merge_->push({from, index});
  advance();
}

void Model::take(protocol::Snapshot&& piece) {
  for (const auto& task : piece.tasks) saw(task.ticks);
  for (const auto& resource : piece.resources) saw(resource.ticks);
  saw(piece.begin_ticks);
  merge_->buffered += piece.tasks.size() + piece.resources.size();
  merge_->walks.push_back({std::move(piece), 0});
  advance();
}

/// Tasks are many and their rows far apart: brings near what the records to come will touch, in
/// steps, each of which needs what the one before brought.
void Model::fetch_ahead(const std::vector<Event>& events, std::size_t next) const {
  constexpr std::size_t kRecord = 48, kIndex = 24, kRow = 16, kBeside = 8;  // records ahead
  // With many lanes there are more streams of records than the processor follows by itself.
  if (next + kRecord < events.size()) {
    const char* record = reinterpret_cast<const char*>(&events[next + kRecord]);
    __builtin_prefetch(record);
    __builtin_prefetch(record + sizeof(Event) - 1);
  }
  const auto begins = [&](std::size_t ahead) {
    if (next + ahead >= events.size()) return std::uint64_t{0};
    const auto& event = events[next + ahead];
    const bool other =
        event.kind != protocol::EventKind::Woken && event.kind != protocol::EventKind::PollStarted;
    return other ? 0 : event.task;
  };
  if (const auto task = begins(kIndex)) tasks_.prefetch_index(task);
  if (const auto task = begins(kRow)) tasks_.prefetch_row(task);
  if (const auto task = begins(kBeside)) tasks_.prefetch_beside(task);
}

void Model::advance() {
  Merge& merge = *merge_;
  const auto late = clock_.calibrated() && !clock_.empty() ? clock_.duration_ticks(kLateNs)
                                                           : kLateTicksUncalibrated;
  const auto sure = merge.everything ? UINT64_MAX : merge.seen > late ? merge.seen - late : 0;
  // Too much waits: the oldest goes first, sure or not.
  const bool forced = merge.buffered > limits_.merge_events;
  const auto leave = forced ? limits_.merge_events / 2 : SIZE_MAX;
  for (;;) {
    const auto head = merge.heads.empty() ? UINT64_MAX : merge.heads.front().ticks;
    const bool walk_is_first = !merge.walks.empty() && merge.walks.front().ticks() <= head;
    const auto first = walk_is_first ? merge.walks.front().ticks() : head;
    if (merge.heads.empty() && merge.walks.empty()) break;
    if (first > sure && merge.buffered <= leave) break;
    if (walk_is_first) {
      auto& walk = merge.walks.front();
      if (walk.resource_is_next()) {
        apply_snapshot_resource(walk.piece.resources[walk.next_resource++]);
        --merge.buffered;
        continue;
      }
      if (walk.next < walk.piece.tasks.size()) {
        apply_snapshot_task(walk.piece.id, walk.piece.has_waits, walk.piece.tasks[walk.next++]);
        --merge.buffered;
        continue;
      }
      if (walk.piece.last) complete_snapshot(walk.piece.id, walk.piece.begin_ticks);
      merge.walks.pop_front();
      continue;
    }
    const auto index = merge.heads.front().lane;
    LaneWork& work = *work_[index];
    auto& run = work.runs.front();
    const auto& events = run.chunk.events;
    auto limit = std::min(merge.second(), std::max(sure, head));
    if (!merge.walks.empty()) limit = std::min(limit, merge.walks.front().ticks());
    const auto begin = run.next;
    do {
      fetch_ahead(events, run.next);
      apply_event(index, run.chunk, events[run.next]);
    } while (++run.next < events.size() && events[run.next].ticks <= limit);
    merge.buffered -= run.next - begin;
    merge.applied = std::max(merge.applied, work.applied);
    if (run.next < events.size()) {
      merge.heads.front().ticks = events[run.next].ticks;
      merge.sink_front();
      continue;
    }
    if (merge.spare.size() < 16) merge.spare.push_back(std::move(run.chunk.events));
    work.runs.pop_front();
    if (work.runs.empty()) {
      merge.pop();
    } else {
      merge.heads.front().ticks = work.runs.front().chunk.events.front().ticks;
      merge.sink_front();
    }
  }
  now_ = std::max(now_, merge.everything ? merge.applied : std::max(sure, merge.applied));
}

void Model::take(const protocol::Samples& samples) {
  saw(samples.ticks);
  for (const auto& sample : samples.workers) {
    const auto index = lane_for(sample.worker, 0);
    if (sample.worker == 0 || index == kNone) continue;
    Lane& lane = *lanes_[index];
    if (lane.tid == 0) lane.tid = sample.tid;
    thin_out(lane.samples, limits_.samples_per_worker);
    lane.samples.push_back({samples.ticks, sample});
  }
  for (const auto& sample : samples.runtimes) {
    if (runtime_samples_.size() >= kRuntimes && !runtime_samples_.contains(sample.runtime))
      continue;
    auto& points = runtime_samples_[sample.runtime];
    thin_out(points, limits_.samples_per_worker);
    points.push_back({samples.ticks, sample});
  }
  if (samples.cost) {
    thin_out(cost_, kCostSamples);
    cost_.push_back({samples.ticks, *samples.cost});
  }
  advance();
}

void Model::take(const protocol::Goodbye& goodbye) { end(false, goodbye.reason); }

void Model::take(std::vector<protocol::Module>&& modules) {
  native_stacks_.add(std::move(modules));
}

void Model::take(protocol::NativeStack&& stack) {
  saw(stack.ticks);
  native_stacks_.add(std::move(stack));
  advance();
}

void Model::take(std::vector<protocol::Symbol>&& symbols) {
  native_stacks_.add(std::move(symbols));
}

void Model::drop_chunks_before(std::uint64_t offset) {
  std::uint64_t dropped = 0, events = 0;
  while (!chunks_.empty() && chunks_.front().place.offset < offset) {
    ++dropped;
    events += chunks_.front().events;
    chunks_.pop_front();
  }
  if (dropped == 0) return;
  ++revision_;
  const auto horizon = chunks_.empty() ? now_ : chunks_.front().from;
  for (auto& lane : lanes_) {
    lane->polls.drop_before(horizon);
    lane->parks.drop_before(horizon);
  }
  for (auto& [task, track] : shown_) track->polls.drop_before(horizon);
  auto line = std::find_if(losses_.begin(), losses_.end(), [](const LossTotal& total) {
    return total.cause == protocol::LossCause::SpoolCapped && total.producer == 0;
  });
  if (line == losses_.end()) {
    losses_.push_back({0, kNone, protocol::LossCause::SpoolCapped, 0, 0, 0, 0, 0, begin_, 0});
    line = losses_.end() - 1;
  }
  line->chunks += dropped;
  line->events += events;  // they were seen and counted: not among the lost of the totals
  line->to = horizon;
  begin_ = std::max(begin_, horizon);
}

void Model::drop_task(std::uint32_t slot) {
  const Task& row = tasks_.task(slot);
  if (tombstones_.empty()) tombstones_.resize(kTombstones);
  tombstones_[tombstone_of(row.id)] = row.id;
  if (row.shown_) shown_.erase(row.id);
  if (!stacks_.empty()) stacks_.erase(row.id);
  tasks_.drop(slot);
}

bool Model::is_tombstone(std::uint64_t task) const {
  return !tombstones_.empty() && tombstones_[tombstone_of(task)] == task;
}

Resource* Model::resource_for(std::uint64_t id, protocol::ResourceKind kind) {
  if (id == 0) return nullptr;
  const auto found = resources_.find(id);
  if (found != resources_.end()) return &found->second;
  if (resources_.size() >= limits_.resources + limits_.dropped_resources) {
    ++totals_.bounded;
    return nullptr;
  }
  Resource& fresh = resources_[id];
  fresh.id = id;
  fresh.kind = kind;
  fresh.placeholder = true;
  return &fresh;
}

std::uint16_t Model::wait_kind(const WaitKind& kind) {
  const auto key = (std::uint64_t{kind.site} << 24) | (static_cast<std::uint64_t>(kind.op) << 16) |
                   (static_cast<std::uint64_t>(kind.resource_kind) << 8) | 1u;
  auto& cached = wait_kind_cache_[static_cast<std::size_t>((key * 0x9e3779b97f4a7c15u) >> 56)];
  if (cached.first == key) return cached.second;
  auto found = wait_kind_of_.find(key);
  if (found == wait_kind_of_.end()) {
    if (wait_kinds_.size() > UINT16_MAX) {
      ++totals_.bounded;
      return kWaitUnknown;
    }
    found = wait_kind_of_.emplace(key, static_cast<std::uint16_t>(wait_kinds_.size())).first;
    wait_kinds_.push_back(kind);
  }
  cached = {key, found->second};
  return found->second;
}

const Resource* Model::resource(std::uint64_t id) const {
  const auto found = resources_.find(id);
  return found == resources_.end() ? nullptr : &found->second;
}

const protocol::Site* Model::site(std::uint32_t id) const {
  const auto found = sites_.find(id);
  return found == sites_.end() ? nullptr : &found->second;
}

const Stack* Model::stack(std::uint64_t task) const {
  const auto found = stacks_.find(task);
  return found == stacks_.end() ? nullptr : &found->second;
}

std::span<const RuntimePoint> Model::runtime_samples(std::uint32_t runtime) const {
  const auto found = runtime_samples_.find(runtime);
  if (found == runtime_samples_.end()) return {};
  return found->second;
}

std::vector<std::uint32_t> Model::runtimes() const {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, points] : runtime_samples_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace taskscope::console::session
