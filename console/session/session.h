/// A session: a source, the model built from it, and questions that read chunks again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/console/session/model.h"
#include "taskscope/console/session/resource_history.h"
#include "taskscope/console/source/source.h"

namespace taskscope::console::session {

/// An event of interest with the names that its chunk knew.
struct NamedEvent {
  protocol::Event event;
  std::uint32_t lane = kNone;
  std::string text;
};

/// A wake: an arrow from the waking poll to the woken task's next one.
struct WakeArrow {
  std::int64_t at_ns = 0;
  std::uint64_t task = 0;      ///< woken
  std::uint64_t by = 0;        ///< waking task; 0: none
  std::uint32_t lane = kNone;  ///< where the wake was recorded
  protocol::WakeCause cause = protocol::WakeCause::Thread;
  std::uint64_t value = 0;  ///< Io: fd; else resource
};

/// How long to rest between walks over so many living tasks. Who holds or uses what is partly told
/// by walks only; the target pays for them, so the more there are the rarer.
[[nodiscard]] constexpr std::chrono::milliseconds rest_between_walks(std::uint64_t living) {
  return std::chrono::seconds(living < 5'000 ? 1 : living < 50'000 ? 5 : 30);
}

class Session {
 public:
  explicit Session(std::unique_ptr<source::Source> source, const Limits& limits = {});
  ~Session();

  /// Takes chunks from the source for about as long as `budget`; true when more is there already.
  bool pump(std::chrono::nanoseconds budget);
  /// Blocks until there is something to pump, the end, or the time is over.
  void wait(std::chrono::milliseconds at_most) { source_->wait(at_most); }
  /// Pumps to the end of the source, or as long as `at_most` for one that goes on.
  void pump_to_end(std::chrono::milliseconds at_most);

  /// Called with the model after each chunk and at the end, by whoever pumps.
  void after_each_chunk(std::function<void(const Model&)> call) { after_each_ = std::move(call); }

  /// Everything the source had is in the model, and no more will come.
  [[nodiscard]] bool finished() const noexcept { return finished_; }

  [[nodiscard]] Model& model() noexcept { return model_; }
  [[nodiscard]] const Model& model() const noexcept { return model_; }
  [[nodiscard]] source::Source& source() noexcept { return *source_; }
  [[nodiscard]] const source::Source& source() const noexcept { return *source_; }
  [[nodiscard]] bool live() const { return source_->live() && !model_.ended(); }

  /// Live: asks for a walk; task 0 means all.
  void request_snapshot(bool stacks, std::uint64_t task = 0);
  [[nodiscard]] source::Result<source::Nothing> start_recording(const std::string& path);
  bool stop_recording();

  /// The newest events of the task, newest first, at most `limit`; wakes it made are included.
  /// Reads chunks backwards from its last event, not more than `chunks` of them.
  [[nodiscard]] std::vector<NamedEvent> events_of(std::uint64_t task, std::size_t limit = 100,
                                                  std::size_t chunks = 64);
  /// Wakes of `task` (0: of all) within [from, to), oldest first, at most `limit`. Gives nothing
  /// where more than `chunks` chunks would have to be read: zoom in.
  [[nodiscard]] std::vector<WakeArrow> wakes(std::uint64_t task, std::int64_t from_ns,
                                             std::int64_t to_ns, std::size_t limit = 1000,
                                             std::size_t chunks = 64);

  /// Who held the resource within [from, to) and how many waited for it. Reads chunks again, the
  /// newest first and not more than the limits allow: the history says what part of the span it
  /// covers.
  [[nodiscard]] ResourceHistory resource_history(std::uint64_t resource, std::int64_t from_ns,
                                                 std::int64_t to_ns,
                                                 const HistoryLimits& limits = {});

 private:
  std::unique_ptr<source::Source> source_;
  Model model_;
  std::function<void(const Model&)> after_each_;
  bool finished_ = false;
};

}  // namespace taskscope::console::session
