/// What tests of the stream need: a console that reads it, and a runtime that is told what to say.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/instrumentation/endpoint.h"
#include "taskscope/instrumentation/init.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/stream_reader.h"
#include "taskscope/runtime/observe/inspector.h"

namespace taskscope::test {

/// Names of what lies in a directory.
std::vector<std::string> list(const std::string& directory);

/// A directory for sockets, gone with its owner.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::vector<std::string> entries() const { return list(path_); }

 private:
  std::string path_;
};

/// A console on a socket: says what it is told and keeps what it hears. One thread.
class Console {
 public:
  explicit Console(const std::string& path);
  /// Over a connection that was made already.
  explicit Console(instrumentation::Descriptor fd) : fd_(std::move(fd)) {}

  [[nodiscard]] bool is_connected() const noexcept { return static_cast<bool>(fd_); }
  void say(const protocol::Request& request);
  void say_bytes(const std::string& bytes);
  void hello() { say(protocol::Hello{.program = "test"}); }
  /// Says hello and subscribes; returns when the stream has begun.
  void attach(std::uint32_t events = 0x7f, std::uint32_t sample_every_ms = 0);
  void hang_up() { fd_ = {}; }

  /// Reads until `is_done()`; false when the stream ended or ten seconds passed before.
  template <class Done>
  bool read_until(Done&& is_done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is_done())
      if (!read_some(limit)) return is_done();
    return true;
  }
  /// Reads to the end of the stream; false if it does not end.
  bool read_to_end();

  template <class T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& update : updates)
      if (const T* const one = std::get_if<T>(&update)) found.push_back(*one);
    return found;
  }
  template <class T>
  [[nodiscard]] std::size_t count() const {
    std::size_t found = 0;
    for (const auto& update : updates) found += std::holds_alternative<T>(update) ? 1 : 0;
    return found;
  }
  /// All events but ObservedFrom and Resync, in the order of arrival.
  [[nodiscard]] std::vector<protocol::Event> events() const;
  /// `ring` 0: of all rings.
  [[nodiscard]] std::size_t count(protocol::EventKind kind, std::uint64_t ring = 0) const;
  /// Events but ObservedFrom and Resync.
  [[nodiscard]] std::uint64_t recorded() const noexcept { return recorded_; }
  [[nodiscard]] protocol::Loss lost(protocol::LossCause cause) const;
  [[nodiscard]] const protocol::Site* site(std::uint32_t id) const;
  /// A walk that has ended, all its pieces in one; nullopt before that.
  [[nodiscard]] std::optional<protocol::Snapshot> whole_snapshot() const;

  std::vector<protocol::Update> updates;
  bool has_ended = false;
  std::uint64_t errors = 0;

 private:
  bool read_some(std::chrono::steady_clock::time_point limit);

  instrumentation::Descriptor fd_;
  protocol::StreamReader reader_;
  std::uint64_t recorded_ = 0;
};

/// An Inspector that says what it is given. Thread-safe as long as its fields are left alone.
class ScriptedInspector final : public runtime::observe::Inspector {
 public:
  std::vector<runtime::observe::TaskView> tasks;
  std::vector<runtime::observe::ResourceView> resources;
  std::vector<runtime::observe::WorkerView> workers;
  runtime::observe::RuntimeView view;

  runtime::observe::RuntimeView runtime() override { return view; }
  void visit_workers(runtime::observe::WorkerVisitor& visitor) override {
    for (const auto& worker : workers) visitor.visit(worker);
  }
  void visit_tasks(runtime::observe::TaskCursor& cursor, std::size_t piece,
                   runtime::observe::Detail detail,
                   runtime::observe::TaskVisitor& visitor) override;
  bool visit_task(runtime::observe::TaskId task, runtime::observe::Detail detail,
                  runtime::observe::TaskVisitor& visitor) override;
  void visit_resources(runtime::observe::ResourceVisitor& visitor) override {
    for (const auto& resource : resources) visitor.visit(resource);
  }

 private:
  static void show(const runtime::observe::TaskView& task, runtime::observe::Detail detail,
                   runtime::observe::TaskVisitor& visitor);
};

}  // namespace taskscope::test
