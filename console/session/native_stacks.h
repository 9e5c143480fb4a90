/// Native stacks of polls that blocked, with the names that are known for their addresses.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::console::session {

struct NativeFrame {
  std::uint64_t address = 0;
  std::string function;      ///< demangled; empty: unknown
  std::string file;          ///< empty: unknown
  std::uint32_t line = 0;    ///< 0: unknown
  std::string module;        ///< path of the file the code is from; empty: none
  std::string build_id;      ///< of the module
  std::uint64_t offset = 0;  ///< in the module, as addr2line counts
  bool inlined = false;      ///< shares its address with the frame that follows
  bool guessed = false;      ///< found on the stack, but it may be left from an earlier call
};

/// Where a poll was while it blocked. The newest reading of that poll.
struct NativeStack {
  std::uint64_t ticks = 0;        ///< of the reading
  std::uint64_t since_ticks = 0;  ///< first seen in this poll; it began a little earlier
  std::uint64_t task = 0;
  std::uint32_t worker = 0;
  std::int32_t tid = 0;
  std::uint64_t poll_sequence = 0;
  bool in_kernel = false;
  std::string system_call;          ///< name, or number as text; empty: not in the kernel
  std::vector<NativeFrame> frames;  ///< leaf first
  bool cut = false;                 ///< callers are missing
  std::string problem;              ///< why there are no frames; empty: there are
};

/// The frame to look at: the first, from the leaf, of code that did not come with the system. Null
/// where none has a name and a place in the source.
[[nodiscard]] const NativeFrame* own_frame(const NativeStack& stack);

/// Bounded: the newest polls stay. References live until the next add.
class NativeStacks {
 public:
  explicit NativeStacks(std::size_t limit) : limit_(limit) {}

  void add(std::vector<protocol::Module>&& modules);
  void add(std::vector<protocol::Symbol>&& symbols);
  void add(protocol::NativeStack&& stack);

  /// The newest of the task; null for none.
  [[nodiscard]] const NativeStack* of(std::uint64_t task) const;
  /// A poll each, oldest first.
  [[nodiscard]] const std::deque<NativeStack>& all() const noexcept { return stacks_; }
  [[nodiscard]] std::uint64_t bounded() const noexcept { return bounded_; }

 private:
  struct Known {
    std::uint64_t bias = 0;
    std::string path, build_id;
  };
  void name(NativeStack& stack, const std::vector<protocol::NativeFrame>& raw) const;

  std::size_t limit_;
  std::unordered_map<std::uint32_t, Known> modules_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::vector<protocol::SymbolLine>> symbols_;
  std::deque<NativeStack> stacks_;
  std::deque<std::vector<protocol::NativeFrame>> raw_;        // of stacks_, as they came
  std::uint64_t first_ = 0;                                   // number of stacks_.front()
  std::unordered_map<std::uint64_t, std::uint64_t> of_task_;  // number of its newest
  std::uint64_t bounded_ = 0;
};

}  // namespace taskscope::console::session
