#include "taskscope/console/analysis/critical_path.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using protocol::TaskState;
using protocol::WaitOp;
using protocol::WakeCause;
using session::kNone;
using session::Model;
using session::Task;
using session::Track;

/// A clock reading may be used again in a ring, and the model puts its records in order: a wake is
/// found this near to where the model has it.
constexpr std::uint64_t kWakeSlack = 4096;
/// A stretch in the queue is told poll by poll up to this many, else by its largest culprit.
constexpr std::size_t kToldPolls = 64;
constexpr std::uint64_t kQueueRows = 200'000;   // looked at for one stretch
constexpr std::uint64_t kBeforeRows = 400'000;  // looked at for the poll before a stretch

struct Poll {
  std::uint64_t from = 0, to = 0, queued = 0;
  std::uint32_t lane = kNone;
  std::uint16_t wait = session::kWaitUnknown;
};

struct Wake {
  std::uint64_t ticks = 0, task = 0, by = 0, value = 0;
  WakeCause cause = WakeCause::Thread;
  std::uint32_t lane = kNone;
};

struct Span {
  std::uint64_t from = 0, to = 0;
};

/// What a wait is for.
struct Reason {
  PathKind kind = PathKind::Unknown;
  std::uint64_t resource = 0;
  std::uint64_t task = 0;  // to follow
  std::uint32_t site = 0;
};

PathKind kind_of(WaitOp op) {
  switch (op) {
    case WaitOp::Sleep:
    case WaitOp::Tick:
      return PathKind::Timer;
    case WaitOp::Readable:
    case WaitOp::Writable:
    case WaitOp::Accept:
    case WaitOp::Connect:
      return PathKind::Io;
    case WaitOp::Join:
      return PathKind::Join;
    case WaitOp::Blocking:
      return PathKind::Blocking;
    default:
      return PathKind::Waiting;
  }
}

class Walk {
 public:
  Walk(session::Session& session, CriticalPath& path, const PathLimits& limits)
      : session_(session), model_(session.model()), path_(path), limits_(limits) {
    for (const auto& entry : model_.chunks())
      if (entry.from <= path.to + kWakeSlack && entry.to + kWakeSlack >= path.from)
        chunks_.push_back(entry);
    for (const auto& gap : model_.gaps()) add_loss(gap);
    for (const auto& lane : model_.lanes())
      for (const auto& gap : lane->gaps) add_loss(gap);
    std::sort(lost_.begin(), lost_.end(),
              [](const Span& a, const Span& b) { return a.from < b.from; });
  }

  void run() {
    of_task(path_.task, path_.from, path_.to);
    std::reverse(path_.segments.begin(), path_.segments.end());
  }

 private:
  // Everything below goes backwards: the newest segment is appended first.

  void of_task(std::uint64_t id, std::uint64_t from, std::uint64_t to) {
    const Task* task = model_.tasks().find(id);
    if (task == nullptr) return emit(from, to, PathKind::Unknown, id);
    if (!task->alive() && task->finished < to) {
      emit(std::max(from, task->finished), to, PathKind::Unknown, id);
      to = std::max(from, task->finished);
    }
    if (from >= to) return;
    stack_.push_back(id);
    auto polls = polls_of(id, from, to);
    std::optional<Poll> after;
    if (polls.empty() || polls.back().to < to) after = poll_after(*task, from, to);
    for (std::size_t i = polls.size(); i-- > 0;) {
      const Poll& poll = polls[i];
      const auto end = std::min(to, poll.to);
      between(*task, &poll, after ? &*after : nullptr, end, to);
      const auto begin = std::max(from, poll.from);
      emit(begin, end,
           task->kind == protocol::TaskKind::Blocking && depth() > 0 ? PathKind::Blocking
                                                                     : PathKind::Polling,
           id, {.lane = poll.lane});
      to = begin;
      after = poll;
    }
    if (from < to) {
      const auto before = poll_before(*task, from, to);
      between(*task, before ? &*before : nullptr, after ? &*after : nullptr, from, to);
    }
    stack_.pop_back();
  }

  /// A stretch between two polls, cut into what is known and what was lost.
  void between(const Task& task, const Poll* before, const Poll* after, std::uint64_t from,
               std::uint64_t to) {
    bool sees_end = true;  // nothing is lost between here and the next poll
    for (auto loss = lost_.rbegin(); loss != lost_.rend() && from < to; ++loss) {
      if (loss->from >= to || loss->to <= from) continue;
      const auto begin = std::max(from, loss->from), end = std::min(to, loss->to);
      not_polled(task, before, after, sees_end, end, to);
      emit(begin, end, PathKind::Unknown, task.id);
      to = begin;
      sees_end = false;
    }
    not_polled(task, before, after, sees_end, from, to);
  }

  void not_polled(const Task& task, const Poll* before, const Poll* after, bool sees_end,
                  std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    const auto born = task.spawned_about ? 0 : task.spawned;
    if (born > from) {
      if (born < to) not_polled(task, before, after, sees_end, born, to);
      return follow(task.parent, from, std::min(to, born), {PathKind::Unknown, 0, 0, 0}, task.id);
    }
    Reason reason = of_kind(before);
    if (!sees_end) return wait(task, reason, 0, from, to);
    // When it was woken: from there on it stood in the queue.
    std::uint64_t woken = to;
    bool has_wake = false;
    std::uint32_t lane = task.lane;
    if (after != nullptr) {
      lane = after->lane;
      const auto yielded = before != nullptr && (before->wait == session::kWaitYielded ||
                                                 before->wait == session::kWaitOutOfBudget);
      woken = after->from - std::min(after->queued, after->from);
      if (after->queued == 0 && yielded) woken = before->to;
      if (before != nullptr) woken = std::max(woken, before->to);
      has_wake = after->queued != 0;
    } else if (task.state == TaskState::Scheduled) {
      woken = task.state_since;
      has_wake = true;
    } else if (task.state == TaskState::Running) {
      // Its poll began before there were records of its thread.
      const auto begin = std::clamp(task.last_poll_from, from, to);
      emit(begin, to, PathKind::Polling, task.id, {.lane = task.lane});
      return wait(task, reason, 0, from, begin);
    } else if (task.state == TaskState::Idle) {
      return wait_open(task, from, to);
    }
    // The wait ends with the wake, also where the stretch ends before.
    const auto wake = has_wake ? wake_of(task.id, woken) : std::nullopt;
    const auto queued_from = std::clamp(woken, from, to);
    queued(task.id, lane, wake ? wake->lane : kNone, queued_from, to);
    if (from >= queued_from) return;
    if (wake) {
      reason.resource = wake->value;
      switch (wake->cause) {
        case WakeCause::Timer:
          reason.kind = PathKind::Timer;
          break;
        case WakeCause::Io:
          reason.kind = PathKind::Io;
          break;
        case WakeCause::Blocking:
          reason.kind = PathKind::Blocking;
          break;
        default:
          if (reason.kind != PathKind::Join) reason.kind = PathKind::Waiting;
      }
      reason.task = wake->by;
    }
    wait(task, reason, reason.task, from, queued_from);
  }

  /// What the task waits for now, at the right edge.
  void wait_open(const Task& task, std::uint64_t from, std::uint64_t to) {
    const session::Wait* leaf = nullptr;
    bool several = false;
    for (const auto& one : task.waits) {
      if (one.op == WaitOp::None) continue;
      several = several || leaf != nullptr;
      if (leaf == nullptr) leaf = &one;
    }
    if (leaf == nullptr) return wait(task, {}, 0, from, to);
    Reason reason{kind_of(leaf->op), leaf->other, 0, leaf->site};
    if (reason.kind == PathKind::Io) reason.resource = leaf->value;
    if (several) return wait(task, {PathKind::Waiting, leaf->other, 0, leaf->site}, 0, from, to);
    if (reason.kind == PathKind::Join || reason.kind == PathKind::Blocking) {
      reason.resource = 0;
      reason.task = leaf->other;
    } else if (const auto* resource = model_.resource(leaf->other);
               reason.kind == PathKind::Waiting && resource != nullptr) {
      const std::string_view role = leaf->op == WaitOp::Send   ? "receives"
                                    : leaf->op == WaitOp::Recv ? "sends"
                                                               : "holds";
      for (const auto& holder : resource->holders)
        if (holder.role == role && reason.task == 0 && holder.task != task.id)
          reason.task = holder.task;
    }
    wait(task, reason, reason.task, from, to);
  }

  void wait(const Task& task, const Reason& reason, std::uint64_t for_whom, std::uint64_t from,
            std::uint64_t to) {
    if (from >= to) return;
    const bool ends_here = reason.kind == PathKind::Timer || reason.kind == PathKind::Io ||
                           for_whom == 0 || for_whom == task.id;
    if (ends_here)
      return emit(from, to, reason.kind, task.id,
                  {.resource = reason.resource, .site = reason.site});
    follow(for_whom, from, to, reason, task.id);
  }

  /// What `task` waited for is what `whom` did in the same stretch.
  void follow(std::uint64_t whom, std::uint64_t from, std::uint64_t to, const Reason& reason,
              std::uint64_t task) {
    if (from >= to) return;
    const bool circle = std::find(stack_.begin(), stack_.end(), whom) != stack_.end();
    const bool over = depth() >= limits_.depth || path_.segments.size() >= limits_.segments;
    path_.cut = path_.cut || (over && !circle);
    const bool outermost = !own_.has_value();
    if (outermost) own_ = PathSegment{};
    if (outermost) {
      own_->own = reason.kind;
      own_->own_resource = reason.resource;
      own_->own_site = reason.site;
      own_->waits_for = whom;
    }
    if (circle || over || whom == 0)
      emit(from, to, reason.kind, task, {.resource = reason.resource, .site = reason.site});
    else
      of_task(whom, from, to);
    if (outermost) own_.reset();
  }

  /// The polls of the worker that polled it next; of the one that woke it, if that was busy for
  /// most of the time: it may have been stolen from there.
  void queued(std::uint64_t task, std::uint32_t lane, std::uint32_t other, std::uint64_t from,
              std::uint64_t to) {
    if (from >= to) return;
    auto polls = polls_on(lane, task, from, to);
    if (other != lane && other != kNone) {
      auto theirs = polls_on(other, task, from, to);
      if (covered(theirs) > std::max(covered(polls), (to - from) / 2)) {
        polls = std::move(theirs);
        lane = other;
      }
    }
    if (polls.size() > kToldPolls) {
      std::unordered_map<std::uint64_t, std::uint64_t> sums;
      for (const auto& [span, who] : polls) sums[who] += span.to - span.from;
      const auto most = std::max_element(sums.begin(), sums.end(), [](auto& a, auto& b) {
        return std::tie(a.second, b.first) < std::tie(b.second, a.first);
      });
      return emit(from, to, PathKind::Queued, task, {.behind = most->first, .lane = lane});
    }
    for (std::size_t i = polls.size(); i-- > 0;) {
      const auto& [span, who] = polls[i];
      emit(span.to, to, PathKind::Queued, task, {.lane = lane});
      emit(span.from, span.to, PathKind::Queued, task, {.behind = who, .lane = lane});
      to = span.from;
    }
    emit(from, to, PathKind::Queued, task, {.lane = lane});
  }

  using Behind = std::vector<std::pair<Span, std::uint64_t>>;
  static std::uint64_t covered(const Behind& polls) {
    std::uint64_t sum = 0;
    for (const auto& [span, who] : polls) sum += span.to - span.from;
    return sum;
  }

  Behind polls_on(std::uint32_t index, std::uint64_t but, std::uint64_t from, std::uint64_t to) {
    Behind found;
    if (index >= model_.lanes().size()) return found;
    const session::Lane& lane = *model_.lanes()[index];
    auto number = lane.polls.row_after(from);
    const auto end = std::min(lane.polls.end(), number + kQueueRows);
    for (; number < end; ++number) {
      const auto row = lane.polls.row(number);
      if (row.from >= to) break;
      const Span span{std::max(row.from, from), std::min(row.to, to)};
      if (span.from < span.to && row.tag != but) found.push_back({span, row.tag});
    }
    if (lane.current_task != 0 && lane.current_task != but && lane.current_from < to) {
      const Span span{std::max(lane.current_from, from), to};
      if (span.from < span.to && (found.empty() || found.back().first.to <= span.from))
        found.push_back({span, lane.current_task});
    }
    return found;
  }

  // --- what is known of polls and wakes

  /// Polls of the task that touch [from, to), oldest first.
  std::vector<Poll> polls_of(std::uint64_t task, std::uint64_t from, std::uint64_t to) {
    std::vector<Poll> polls;
    for (const auto& lane : model_.lanes()) {
      const Track& track = lane->polls;
      const auto begin = track.row_after(from);
      const auto end = std::min(track.end(), track.row_after(to) + 1);
      if (begin < end && end - begin <= limits_.rows - std::min(limits_.rows, rows_)) {
        rows_ += end - begin;
        track.scan_tags(
            begin, end, [task](std::uint64_t tag) { return tag == task; },
            [&](std::uint64_t number) {
              const auto row = track.row(number);
              if (row.from < to && row.to > from && row.from < row.to)
                polls.push_back({row.from, row.to, row.queued, lane->index, row.wait});
            });
      } else if (begin < end) {
        path_.cut = true;
      }
      if (lane->current_task == task && lane->current_from < to && model_.now() > from)
        polls.push_back({lane->current_from, std::max(model_.now(), lane->current_from + 1),
                         queued_of_open(*lane, task), lane->index, session::kWaitUnknown});
    }
    std::sort(polls.begin(), polls.end(), [](const Poll& a, const Poll& b) {
      return std::tie(a.from, a.lane) < std::tie(b.from, b.lane);
    });
    // Records that contradict each other must not make segments overlap.
    for (std::size_t i = 1; i < polls.size(); ++i)
      polls[i].from = std::min(std::max(polls[i].from, polls[i - 1].to), polls[i].to);
    std::erase_if(polls, [&](const Poll& poll) {
      return poll.from >= poll.to || poll.from >= to || poll.to <= from;
    });
    return polls;
  }

  /// Of the poll that runs, what the model has is when the task was woken last.
  std::uint64_t queued_of_open(const session::Lane& lane, std::uint64_t id) const {
    const Task* task = model_.tasks().find(id);
    if (task == nullptr) return 0;
    const auto woken = std::max(task->last_wake.ticks, task->polls == 1 ? task->spawned : 0);
    return woken != 0 && woken <= lane.current_from ? lane.current_from - woken : 0;
  }

  /// The first poll that begins at or after `to`, in widening stretches.
  std::optional<Poll> poll_after(const Task& task, std::uint64_t from, std::uint64_t to) {
    if (task.last_poll_from < to || task.lane == kNone) return std::nullopt;
    auto width = std::max<std::uint64_t>(to - from, 1'000'000);
    for (auto begin = to; begin <= task.last_poll_from && !path_.cut; begin += width, width *= 2) {
      const auto polls = polls_of(task.id, begin, begin + width);
      for (const auto& poll : polls)
        if (poll.from >= to) return poll;
    }
    return std::nullopt;
  }

  /// The last poll that ended at or before `from`: it says what was waited for. Looked for only as
  /// far back as is cheap.
  std::optional<Poll> poll_before(const Task& task, std::uint64_t from, std::uint64_t to) {
    const auto born = std::max(model_.begin(), task.spawned_about ? 0 : task.spawned);
    auto width = std::max<std::uint64_t>(to - from, 1'000'000);
    const auto rows = rows_;
    for (auto end = from; end > born && rows_ - rows < kBeforeRows;) {
      const auto begin = std::max(born, end - std::min(end, width));
      const auto polls = polls_of(task.id, begin, end);
      for (auto poll = polls.rbegin(); poll != polls.rend(); ++poll)
        if (poll->to <= from) return *poll;
      end = begin;
      width *= 4;
    }
    return std::nullopt;
  }

  Reason of_kind(const Poll* before) const {
    if (before == nullptr || before->wait <= session::kWaitOutOfBudget ||
        before->wait >= model_.wait_kinds().size())
      return {};
    const auto& kind = model_.wait_kinds()[before->wait];
    return {kind_of(kind.op), 0, 0, kind.site};
  }

  std::optional<Wake> wake_of(std::uint64_t task, std::uint64_t ticks) {
    std::optional<Wake> best;
    std::uint64_t best_distance = kWakeSlack + 1;
    for (const auto& entry : chunks_) {
      if (entry.from > ticks + kWakeSlack || entry.to + kWakeSlack < ticks) continue;
      const auto* wakes = wakes_in(entry);
      if (wakes == nullptr) continue;
      const auto low = ticks - std::min(ticks, kWakeSlack);
      auto wake = std::lower_bound(
          wakes->begin(), wakes->end(), std::pair(task, low),
          [](const Wake& a, const auto& b) { return std::pair(a.task, a.ticks) < b; });
      for (; wake != wakes->end() && wake->task == task && wake->ticks <= ticks + kWakeSlack;
           ++wake) {
        const auto distance = wake->ticks > ticks ? wake->ticks - ticks : ticks - wake->ticks;
        if (distance >= best_distance) continue;
        best = *wake;
        best_distance = distance;
      }
      if (best_distance == 0) break;
    }
    return best;
  }

  const std::vector<Wake>* wakes_in(const session::ChunkEntry& entry) {
    const auto known = wakes_.find(entry.place.offset);
    if (known != wakes_.end()) return &known->second;
    if (path_.chunks_read >= limits_.chunks) {
      path_.cut = true;
      return nullptr;
    }
    ++path_.chunks_read;
    auto& wakes = wakes_[entry.place.offset];
    const auto update = session_.source().read(entry.place);
    const auto* run = update ? std::get_if<protocol::Events>(&*update) : nullptr;
    if (run == nullptr) return &wakes;
    std::uint64_t newest = 0;  // in order as in the model
    for (const auto& event : run->events) {
      newest = std::max(newest, event.ticks);
      if (event.kind == protocol::EventKind::Woken)
        wakes.push_back({newest, event.task, event.other, event.value,
                         static_cast<WakeCause>(event.detail), entry.lane});
    }
    std::sort(wakes.begin(), wakes.end(), [](const Wake& a, const Wake& b) {
      return std::tie(a.task, a.ticks) < std::tie(b.task, b.ticks);
    });
    return &wakes;
  }

  void add_loss(const session::Gap& gap) {
    if (gap.cause == protocol::LossCause::BeforeAttach) return;
    if (gap.from < path_.to && gap.to > path_.from) lost_.push_back({gap.from, gap.to});
  }

  // --- output

  struct Detail {
    std::uint64_t behind = 0, resource = 0;
    std::uint32_t site = 0, lane = kNone;
  };
  void emit(std::uint64_t from, std::uint64_t to, PathKind kind, std::uint64_t task) {
    emit(from, to, kind, task, Detail{});
  }
  void emit(std::uint64_t from, std::uint64_t to, PathKind kind, std::uint64_t task,
            const Detail& detail) {
    if (from >= to) return;
    PathSegment segment = own_ ? *own_ : PathSegment{};
    segment.from = from;
    segment.to = to;
    segment.kind = kind;
    segment.task = task;
    segment.behind = detail.behind;
    segment.resource = detail.resource;
    segment.site = detail.site;
    segment.lane = detail.lane;
    segment.depth = static_cast<std::uint16_t>(depth());
    if (!own_) {
      segment.own = kind;
      segment.own_resource = detail.resource;
      segment.own_site = detail.site;
    }
    path_.segments.push_back(segment);
  }
  [[nodiscard]] std::size_t depth() const noexcept {
    return stack_.empty() ? 0 : stack_.size() - 1;
  }

  session::Session& session_;
  const Model& model_;
  CriticalPath& path_;
  const PathLimits& limits_;
  std::vector<session::ChunkEntry> chunks_;
  std::vector<Span> lost_;
  std::unordered_map<std::uint64_t, std::vector<Wake>> wakes_;  // by the chunk's offset
  std::vector<std::uint64_t> stack_;  // the task asked about, whom it waited for, ...
  std::optional<PathSegment> own_;    // while a wait of the task asked about is followed
  std::uint64_t rows_ = 0;
};

}  // namespace

CriticalPath critical_path(session::Session& session, std::uint64_t task, std::int64_t from_ns,
                           std::int64_t to_ns, const PathLimits& limits) {
  CriticalPath path;
  path.task = task;
  const Model& model = session.model();
  const Task* row = model.tasks().find(task);
  if (row == nullptr) return path;
  const auto born = std::max(model.begin(), row->spawned_about ? 0 : row->spawned);
  const auto end = row->alive() ? model.now() : std::min(model.now(), row->finished);
  path.from = std::max(born, from_ns <= model.begin_ns() ? born : model.clock().ticks(from_ns));
  path.to = std::min(end, to_ns >= model.now_ns() ? end : model.clock().ticks(to_ns));
  if (path.from >= path.to) {
    path.to = path.from;
    return path;
  }
  Walk(session, path, limits).run();
  return path;
}

std::vector<Blame> blame(const CriticalPath& path) {
  struct Culprit {
    std::uint64_t ticks = 0, resource = 0;
    std::uint32_t site = 0;
  };
  std::map<std::pair<PathKind, PathKind>, std::map<std::uint64_t, Culprit>> sums;
  for (const auto& segment : path.segments) {
    const auto who = segment.kind == PathKind::Queued && segment.behind != 0 ? segment.behind
                     : segment.depth != 0                                    ? segment.task
                                                                             : segment.waits_for;
    auto& culprit = sums[{segment.own, segment.kind}][who];
    culprit.ticks += segment.ticks();
    if (culprit.resource == 0) culprit.resource = segment.own_resource;
    if (culprit.site == 0) culprit.site = segment.site;
  }
  std::vector<Blame> all;
  for (const auto& [kinds, culprits] : sums) {
    Blame& one = all.emplace_back();
    one.own = kinds.first;
    one.kind = kinds.second;
    for (const auto& [who, culprit] : culprits) {
      one.ticks += culprit.ticks;
      if (culprit.ticks <= one.task_ticks) continue;
      one.task = who;
      one.task_ticks = culprit.ticks;
      one.resource = culprit.resource;
      one.site = culprit.site;
    }
  }
  std::sort(all.begin(), all.end(), [](const Blame& a, const Blame& b) {
    return std::tie(b.ticks, a.own, a.kind) < std::tie(a.ticks, b.own, b.kind);
  });
  return all;
}

std::string_view name_of(PathKind kind) {
  switch (kind) {
    case PathKind::Polling:
      return "polling";
    case PathKind::Queued:
      return "queued";
    case PathKind::Waiting:
      return "waiting";
    case PathKind::Timer:
      return "timer";
    case PathKind::Io:
      return "I/O";
    case PathKind::Blocking:
      return "blocking call";
    case PathKind::Join:
      return "join";
    case PathKind::Unknown:
      return "unknown";
  }
  return "unknown";
}

std::string path_words(const Model& model, const CriticalPath& path) {
  constexpr std::size_t kTold = 4;
  const auto whole = path.to - path.from;
  if (whole == 0) return "no time at all";
  const auto words = [&](const Blame& one) {
    std::string text;
    const auto whom = one.task != 0 ? " " + task_words(model, one.task) : std::string{};
    switch (one.own) {
      case PathKind::Polling:
        return std::string("polling");
      case PathKind::Queued:
        return "queued" + (whom.empty() ? whom : " behind" + whom);
      case PathKind::Timer:
        return std::string("until a timer was due");
      case PathKind::Io:
        return std::string("waiting for I/O");
      case PathKind::Unknown:
        return std::string("unknown");
      case PathKind::Blocking:
        text = "waiting for a blocking call";
        break;
      case PathKind::Join:
        text = "joining" + (one.kind == PathKind::Queued ? std::string(" a child") : whom);
        break;
      case PathKind::Waiting:
        text = one.resource != 0 ? "waiting for " + resource_words(model, one.resource, {})
                                 : "waiting for" + (whom.empty() ? std::string(" somebody") : whom);
    }
    if (one.kind == one.own || (one.own == PathKind::Blocking && one.kind == PathKind::Polling))
      return text;
    switch (one.kind) {
      case PathKind::Polling:
        return text + (one.own == PathKind::Waiting && one.resource != 0 && !whom.empty()
                           ? ", while" + whom + " was polling"
                           : ", which was polling");
      case PathKind::Queued:
        return text + ", queued" + (whom.empty() ? whom : " behind" + whom);
      case PathKind::Timer:
        return text + (whom.empty() ? whom : ", while" + whom) + " slept";
      case PathKind::Io:
        return text + (whom.empty() ? whom : ", while" + whom) + " did I/O";
      case PathKind::Blocking:
        return text + (whom.empty() ? whom : ", while" + whom) + " was in a blocking call";
      default:
        return text + (whom.empty() ? whom : ", of" + whom);
    }
  };
  std::string text = duration_words(model.clock().duration_ns(whole)) + ": ";
  const auto all = blame(path);
  for (std::size_t i = 0; i < all.size() && i < kTold; ++i) {
    const auto percent = 100 * static_cast<double>(all[i].ticks) / static_cast<double>(whole);
    if (i != 0) text += "; ";
    text +=
        (percent < 1 ? "under 1" : std::to_string(std::lround(percent))) + " % " + words(all[i]);
  }
  if (path.cut) text += "; not all of it could be followed";
  return text;
}

}  // namespace taskscope::console::analysis
