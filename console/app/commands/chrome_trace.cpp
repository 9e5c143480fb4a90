#include "taskscope/console/app/commands/chrome_trace.h"

#include <cstdio>
#include <map>
#include <unordered_set>

#include "taskscope/console/app/commands/event_names.h"
#include "taskscope/console/app/commands/merged_events.h"
#include "taskscope/console/app/json_writer.h"
#include "taskscope/console/panels/format.h"

namespace taskscope::console::app::commands {
namespace {

using protocol::Event;
using protocol::EventKind;

constexpr std::uint64_t kOtherThreads = 1'000'000;  // tracks of rings that are no worker's

class ChromeTrace {
 public:
  ChromeTrace(const Definitions& definitions, OutputFile& out)
      : known_(definitions), out_(out), pid_(std::to_string(definitions.process().pid)) {}

  void write(MergedEvents& events) {
    out_.text() += "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
    metadata("process_name", 0, known_.process().name);
    while (const auto item = events.next()) {
      event(*item);
      out_.flush_if_large();
    }
    const auto end = known_.last_ticks();
    for (auto& [ring, track] : tracks_) {
      close_poll(track, end, "goes on");
      close_park(track, end);
    }
    for (auto& [id, task] : tasks_) {
      close_wait(id, task, end);
      async('e', id, task.title, end);
    }
    for (const auto& loss : known_.losses()) lost(loss);
    out_.text() += "\n]}\n";
  }

 private:
  struct Track {
    std::uint64_t tid = 0;
    std::uint64_t task = 0, poll_from = 0;  // the open poll; 0: none
    std::uint64_t flow = 0;                 // the wake that led to it
    std::uint64_t parked_from = 0;
  };
  struct TaskRow {
    std::string title;
    std::string wait;        // open wait's name; empty: none
    std::uint64_t flow = 0;  // the first wake since its last poll
  };

  /// A record up to its own fields: {"ph":"X","pid":1,"tid":2,"ts":3.004
  std::string& begin(char phase, std::uint64_t tid, std::uint64_t ticks) {
    std::string& text = out_.text();
    text += first_ ? "{\"ph\":\"" : ",\n{\"ph\":\"";
    first_ = false;
    text += phase;
    text += "\",\"pid\":" + pid_ + ",\"tid\":" + std::to_string(tid) + ",\"ts\":";
    append_us(known_.ns(ticks));
    return text;
  }
  void append_us(std::uint64_t ns) {
    char number[32];
    std::snprintf(number, sizeof number, "%llu.%03llu", static_cast<unsigned long long>(ns / 1000),
                  static_cast<unsigned long long>(ns % 1000));
    out_.text() += number;
  }
  void member(std::string_view name, std::string_view value) {
    std::string& text = out_.text();
    text += ",\"";
    text += name;
    text += "\":";
    append_json_string(text, value);
  }

  void metadata(std::string_view what, std::uint64_t tid, std::string_view name) {
    std::string& text = begin('M', tid, 0);
    member("name", what);
    text += ",\"args\":{\"name\":";
    append_json_string(text, name);
    text += "}}";
  }

  Track& track_of(const protocol::Events& run) {
    const auto [at, added] =
        tracks_.try_emplace(run.worker != 0 ? run.worker : kOtherThreads + run.ring);
    if (added) {
      at->second.tid = at->first;
      metadata("thread_name", at->first,
               !run.thread_name.empty() ? run.thread_name
               : run.worker != 0        ? "worker " + std::to_string(run.worker)
                                        : "thread " + std::to_string(run.tid));
    }
    return at->second;
  }

  TaskRow& task_of(std::uint64_t id, std::uint64_t ticks) {
    const auto [at, added] = tasks_.try_emplace(id);
    if (added) {
      const auto* known = known_.task(id);
      const auto* site = known != nullptr ? known_.site(known->site) : nullptr;
      open_task(id, at->second, known != nullptr ? std::string_view(known->name) : "", site, ticks,
                known != nullptr ? known->parent : 0);
    }
    return at->second;
  }

  void open_task(std::uint64_t id, TaskRow& row, std::string_view name, const protocol::Site* site,
                 std::uint64_t ticks, std::uint64_t parent) {
    row.title = name.empty() && site != nullptr ? panels::short_function(site->function)
                                                : std::string(name);
    row.title += (row.title.empty() ? "#" : " #") + std::to_string(id);
    std::string& text = begin('b', 0, ticks);
    finish_async(id, row.title);
    text += ",\"args\":{\"task\":" + std::to_string(id) + ",\"parent\":" + std::to_string(parent);
    if (site != nullptr) {
      text += ",\"spawned_at\":";
      append_json_string(text, site->file + ":" + std::to_string(site->line));
    }
    text += "}}";
  }
  void finish_async(std::uint64_t id, std::string_view name) {
    member("cat", "task");
    member("id", std::to_string(id));
    member("name", name);
  }
  void async(char phase, std::uint64_t id, std::string_view name, std::uint64_t ticks) {
    std::string& text = begin(phase, 0, ticks);
    finish_async(id, name);
    text += "}";
  }

  void slice(const Track& track, std::string_view category, std::string_view name,
             std::uint64_t from, std::uint64_t to) {
    begin('X', track.tid, from);
    out_.text() += ",\"dur\":";
    const auto begin_ns = known_.ns(from), end_ns = known_.ns(to);
    append_us(end_ns > begin_ns ? end_ns - begin_ns : 0);
    member("cat", category);
    member("name", name);
  }

  void close_poll(Track& track, std::uint64_t ticks, std::string_view how) {
    if (track.poll_from == 0) return;
    slice(track, "poll", task_of(track.task, track.poll_from).title, track.poll_from, ticks);
    std::string& text = out_.text();
    text += ",\"args\":{\"task\":" + std::to_string(track.task) + ",\"ended\":";
    append_json_string(text, how);
    text += "}}";
    if (track.flow != 0) flow('f', track.flow, track.tid, track.poll_from);
    track.poll_from = track.task = track.flow = 0;
  }
  void close_park(Track& track, std::uint64_t ticks) {
    if (track.parked_from == 0) return;
    slice(track, "park", "parked", track.parked_from, ticks);
    out_.text() += "}";
    track.parked_from = 0;
  }
  void close_wait(std::uint64_t id, TaskRow& row, std::uint64_t ticks) {
    if (row.wait.empty()) return;
    async('e', id, row.wait, ticks);
    row.wait.clear();
  }

  void flow(char phase, std::uint64_t id, std::uint64_t tid, std::uint64_t ticks) {
    begin(phase, tid, ticks);
    member("cat", "wake");
    member("name", "wake");
    member("id", std::to_string(id));
    out_.text() += phase == 'f' ? ",\"bp\":\"e\"}" : "}";
  }

  void event(const MergedEvents::Item& item) {
    const Event& event = *item.event;
    Track& track = track_of(*item.run);
    switch (event.kind) {
      case EventKind::TaskSpawned: {
        const auto [at, added] = tasks_.try_emplace(event.task);
        if (added)
          open_task(event.task, at->second, item.text(), known_.site(event.site), event.ticks,
                    event.other);
        break;
      }
      case EventKind::TaskFinished: {
        TaskRow& row = task_of(event.task, event.ticks);
        // The last poll of a task ends after it has finished: it is drawn with the task's title.
        if (track.task == event.task) close_poll(track, event.ticks, detail_name(event));
        close_wait(event.task, row, event.ticks);
        async('e', event.task, row.title, event.ticks);
        tasks_.erase(event.task);
        finished_.insert(event.task);
        break;
      }
      case EventKind::PollStarted: {
        close_poll(track, event.ticks, "its end was lost");
        close_park(track, event.ticks);
        TaskRow& row = task_of(event.task, event.ticks);
        close_wait(event.task, row, event.ticks);
        track.task = event.task;
        track.poll_from = event.ticks;
        track.flow = row.flow;
        row.flow = 0;
        break;
      }
      case EventKind::PollEnded:
        if (track.task == event.task) close_poll(track, event.ticks, detail_name(event));
        break;
      case EventKind::Wait:
        wait(event);
        break;
      case EventKind::Woken:
        woken(track, event);
        break;
      case EventKind::WorkerParked:
        close_poll(track, event.ticks, "its end was lost");
        close_park(track, event.ticks);
        track.parked_from = event.ticks;
        break;
      case EventKind::WorkerUnparked:
        close_park(track, event.ticks);
        break;
      default:
        break;
    }
  }

  void wait(const Event& event) {
    TaskRow& row = task_of(event.task, event.ticks);
    if (!row.wait.empty()) return;  // a branch: the first one names the whole
    const auto what = resource_kind_name(static_cast<protocol::ResourceKind>(event.resource_kind));
    if (event.mode == static_cast<std::uint8_t>(protocol::BranchMode::Any)) {
      row.wait = "waits: any of";
    } else if (event.mode == static_cast<std::uint8_t>(protocol::BranchMode::All)) {
      row.wait = "waits: all of";
    } else {
      row.wait = "waits: " + std::string(detail_name(event)) + " " + std::string(what);
    }
    std::string& text = begin('b', 0, event.ticks);
    finish_async(event.task, row.wait);
    text += ",\"args\":{\"resource\":" + std::to_string(event.other) + ",\"at\":";
    append_json_string(text, known_.place(event.site));
    text += "}}";
  }

  void woken(const Track& track, const Event& event) {
    if (finished_.contains(event.task)) return;  // a waker that outlived its task
    TaskRow& row = task_of(event.task, event.ticks);
    if (row.flow != 0) return;  // woken already: the next poll is due to the first wake
    row.flow = ++flows_;
    if (track.poll_from == 0) {  // an arrow needs a slice to leave from
      slice(track, "wake", "wake by " + std::string(detail_name(event)), event.ticks, event.ticks);
      out_.text() += "}";
    }
    flow('s', row.flow, track.tid, event.ticks);
  }

  void lost(const protocol::Loss& loss) {
    std::string& text = begin('i', 0, loss.from_ticks);
    text += ",\"s\":\"g\"";
    member("cat", "loss");
    member("name", std::to_string(loss.events) + " events lost");
    text += "}";
  }

  const Definitions& known_;
  OutputFile& out_;
  const std::string pid_;
  std::map<std::uint64_t, Track> tracks_;
  std::map<std::uint64_t, TaskRow> tasks_;
  std::unordered_set<std::uint64_t> finished_;
  std::uint64_t flows_ = 0;
  bool first_ = true;
};

}  // namespace

void write_chrome_trace(const protocol::TraceReader& reader, const Definitions& definitions,
                        OutputFile& out) {
  MergedEvents events(reader);
  ChromeTrace(definitions, out).write(events);
}

}  // namespace taskscope::console::app::commands
