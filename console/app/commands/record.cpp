#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "taskscope/console/analysis/words.h"
#include "taskscope/console/app/commands/child_process.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/console/app/commands/signals.h"
#include "taskscope/console/session/session.h"
#include "taskscope/console/source/live_source.h"
#include "taskscope/console/source/target.h"
#include "taskscope/protocol/trace_file.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::app::commands {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTurn{50};        // how late a signal or the command's end is seen
constexpr milliseconds kLastWalk{1000};  // for the stacks at a clean end
constexpr milliseconds kUnansweredWalk{5000};
constexpr milliseconds kLastBytes{5000};   // from the command's end to the end of its stream
constexpr milliseconds kConnectFor{5000};  // from the first sight of a socket
constexpr milliseconds kFirstLook{2}, kSlowestLook{50};
constexpr std::uint64_t kSpoolBytes = 256u << 20;

source::LiveOptions live_options(const std::string& output) {
  source::LiveOptions options;
  options.record_to = output;
  options.spool_cap_bytes = kSpoolBytes;  // what is taken is not read again
  return options;
}

/// Takes what comes and counts it; the source itself writes the file.
class Recording {
 public:
  explicit Recording(std::unique_ptr<source::Source> source) : source_(std::move(source)) {
    source_->request(protocol::RequestSnapshot{true, true, 0});
  }

  void turn(milliseconds at_most) {
    source_->wait(at_most);
    while (auto chunk = source_->next()) take(chunk->update);
    if (SteadyClock::now() < next_walk_) return;
    // A target without a runtime answers nothing.
    next_walk_ = SteadyClock::now() + kUnansweredWalk;
    source_->request(protocol::RequestSnapshot{true, false, 0});
  }
  [[nodiscard]] bool open() const {
    return source_->state() == source::SourceState::Open && error().empty();
  }

  /// Ends it while the target goes on: with its stacks as of now.
  void end_cleanly() {
    if (!open()) return;
    const auto walks = stack_walks_;
    source_->request(protocol::RequestSnapshot{true, true, 0});
    const auto end = SteadyClock::now() + kLastWalk;
    while (open() && stack_walks_ == walks && SteadyClock::now() < end) turn(milliseconds{10});
  }

  /// Completes the file and tells; the exit status.
  int finish(std::FILE* out, const std::string& output) {
    const bool was_open = source_->state() == source::SourceState::Open;
    const auto why = error();
    source_->stop_recording();
    const auto stats = source_->stats();
    if (!why.empty()) return fail("record", why);
    if (!was_open) std::fprintf(out, "The target ended: %s.\n", source_->end_reason().c_str());
    std::string text = "Recorded " + counted(events_, "event") + " of " + source_->title();
    const auto took = SteadyClock::now() - began_;
    text += " over " + analysis::duration_words(std::chrono::nanoseconds(took).count());
    if (stats.recorded_bytes != 0) text += ", " + bytes_words(stats.recorded_bytes);
    text += ", in " + output + ".\n";
    if (lost_events_ + lost_chunks_ != 0)
      text += "Lost: " + counted(lost_events_, "event") + ", " + counted(lost_chunks_, "chunk") +
              "; the recording says where.\n";
    std::fputs(text.c_str(), out);
    return kExitGood;
  }

 private:
  [[nodiscard]] std::string error() const { return source_->stats().recording_error; }

  void take(const protocol::Update& update) {
    if (const auto* run = std::get_if<protocol::Events>(&update)) events_ += run->events.size();
    if (const auto* loss = std::get_if<protocol::Loss>(&update)) {
      lost_events_ += loss->events;
      lost_chunks_ += loss->chunks;
    }
    if (const auto* walk = std::get_if<protocol::Snapshot>(&update)) {
      walked_ += walk->tasks.size();
      if (!walk->last) return;
      if (walk->has_stacks) ++stack_walks_;
      next_walk_ = SteadyClock::now() + session::rest_between_walks(std::exchange(walked_, 0));
    }
  }

  std::unique_ptr<source::Source> source_;
  std::uint64_t events_ = 0, lost_events_ = 0, lost_chunks_ = 0, stack_walks_ = 0, walked_ = 0;
  SteadyClock::time_point next_walk_ = SteadyClock::now() + session::rest_between_walks(0);
  const SteadyClock::time_point began_ = SteadyClock::now();
};

SteadyClock::time_point deadline_of(const RecordCommand& command) {
  if (!command.seconds) return SteadyClock::time_point::max();
  return SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                  std::chrono::duration<double>(*command.seconds));
}

milliseconds until(SteadyClock::time_point end) {
  const auto left = end - SteadyClock::now();
  if (left >= kTurn) return kTurn;
  return std::max(std::chrono::ceil<milliseconds>(left), milliseconds{0});
}

int record_target(const RecordCommand& command) {
  const auto target = source::resolve(command.target);
  if (!target) return fail("record", target.failure());
  if (target.value().kind == source::TargetKind::File)
    return fail("record", command.target + " is a file, not a live process");
  const Signals signals;
  auto source = source::connect(target.value(), live_options(command.output));
  if (!source) return fail("record", source.failure());
  Recording recording(std::move(source.value()));
  const auto end = deadline_of(command);
  while (recording.open() && !signals.came() && SteadyClock::now() < end)
    recording.turn(until(end));
  recording.end_cleanly();
  return recording.finish(stdout, command.output);
}

/// Waits until a process of the child's family listens, and connects to it. Null: the child ended
/// before, or can't be connected to, as `why` says.
std::unique_ptr<source::Source> connect_to_family(ChildProcess& child, const std::string& output,
                                                  source::Failure& why) {
  why = {
      source::FailureKind::NoTaskscope,
      "the command ended without listening; is taskscope::instrumentation::init() the first line "
      "of its main"};
  std::optional<SteadyClock::time_point> first_seen;
  for (auto look = kFirstLook;; look = std::min(look * 2, kSlowestLook)) {
    const bool ended = child.ended().has_value();
    for (const auto& candidate : source::discover(false).candidates) {
      if (candidate.stale || !child.is_ancestor_of(candidate.pid)) continue;
      if (!first_seen) first_seen = SteadyClock::now();
      source::Target target;
      target.path = candidate.path;
      target.pid = candidate.pid;
      auto source = source::connect(target, live_options(output));
      if (source) return std::move(source.value());
      why = source.failure();
      // A socket that is bound and does not answer yet is worth another try; nothing else is.
      if (why.kind != source::FailureKind::NoAnswer &&
          why.kind != source::FailureKind::NoTaskscope &&
          why.kind != source::FailureKind::NoSuchTarget)
        return nullptr;
    }
    if (ended || (first_seen && SteadyClock::now() - *first_seen > kConnectFor)) return nullptr;
    std::this_thread::sleep_for(look);
  }
}

int wait_for_end(ChildProcess& child) {
  for (;;) {
    if (const auto status = child.ended()) return *status;
    std::this_thread::sleep_for(kFirstLook);
  }
}

/// A command is not started when its recording can't be written.
protocol::Result<protocol::Done> try_output(const std::string& output) {
  auto writer = protocol::TraceWriter::create(output);
  if (!writer) return writer.error();
  auto done = writer->finish();
  if (done && std::filesystem::is_regular_file(output)) std::filesystem::remove(output);
  return done;
}

int record_command(const RecordCommand& command) {
  if (const auto output = try_output(command.output); !output)
    return fail("record", output.error());
  Signals signals;
  auto started = ChildProcess::start(command.command);
  if (!started) return fail("record", started.failure());
  ChildProcess& child = started.value();
  signals.pass_on_to(child.pid());

  source::Failure why;
  auto source = connect_to_family(child, command.output, why);
  if (!source) {
    // A command that waits for us would wait for ever.
    if (!child.ended()) ::kill(child.pid(), SIGTERM);
    wait_for_end(child);
    return fail("record", why);
  }
  Recording recording(std::move(source));
  const auto end = deadline_of(command);
  while (recording.open() && !child.ended() && SteadyClock::now() < end) recording.turn(until(end));
  if (child.ended()) {
    const auto last = SteadyClock::now() + kLastBytes;
    while (recording.open() && SteadyClock::now() < last) recording.turn(until(last));
  } else {
    recording.end_cleanly();
  }
  const int recorded = recording.finish(stderr, command.output);
  const int status = wait_for_end(child);
  signals.pass_on_to(0);
  return recorded != kExitGood ? recorded : status;
}

}  // namespace

int run(const RecordCommand& command) {
  return command.command.empty() ? record_target(command) : record_command(command);
}

}  // namespace taskscope::console::app::commands
