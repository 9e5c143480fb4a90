/// What an export reads from and writes to.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "taskscope/console/session/clock.h"
#include "taskscope/protocol/trace_file.h"

namespace taskscope::console::app::commands {

/// Text to a file or, as "-", to stdout, in large pieces. Errors are kept until finish().
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Where to append; call flush_if_large() now and then.
  [[nodiscard]] std::string& text() noexcept { return text_; }
  void flush_if_large();
  /// Empty: all is written; else why not.
  [[nodiscard]] std::string finish();

 private:
  void flush();
  std::string path_, text_;
  std::FILE* file_ = nullptr;
  int error_ = 0;
};

/// What a recording defines, read before its events: clock, call sites, and the names of tasks that
/// lived already when it began.
class Definitions {
 public:
  explicit Definitions(const protocol::TraceReader& reader);

  [[nodiscard]] const protocol::Process& process() const noexcept { return process_; }
  [[nodiscard]] const protocol::Site* site(std::uint32_t id) const;
  /// "/src/server.cpp:42"; empty when nothing defines it.
  [[nodiscard]] std::string place(std::uint32_t site) const;

  struct KnownTask {
    std::string name;
    std::uint32_t site = 0;
    std::uint64_t parent = 0;
  };
  /// Null for tasks that only events name.
  [[nodiscard]] const KnownTask* task(std::uint64_t id) const;

  /// Since the first event; 0 before it.
  [[nodiscard]] std::uint64_t ns(std::uint64_t ticks) const;
  [[nodiscard]] std::uint64_t last_ticks() const noexcept { return last_ticks_; }
  [[nodiscard]] const std::vector<protocol::Loss>& losses() const noexcept { return losses_; }

 private:
  void take(protocol::Update&& update);

  protocol::Process process_;
  std::unordered_map<std::uint32_t, protocol::Site> sites_;
  std::unordered_map<std::uint64_t, KnownTask> tasks_;
  std::vector<protocol::Loss> losses_;
  session::Clock clock_;
  std::uint64_t first_ticks_ = 0, last_ticks_ = 0;
  std::int64_t first_ns_ = 0;
};

}  // namespace taskscope::console::app::commands
