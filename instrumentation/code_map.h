/// The code that is mapped into this process: whose it is, and where its unwind tables lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "taskscope/instrumentation/own_memory.h"
#include "taskscope/protocol/update.h"

namespace taskscope::instrumentation {

/// Read from /proc/self/maps and the headers in memory, so that no lock of the loader is needed: a
/// worker may be blocked while it holds one. One thread.
class CodeMap {
 public:
  struct Image {
    protocol::Module module;
    std::uint64_t eh_frame_hdr = 0;  ///< address; 0: none
  };

  /// Looks again; ids of what was there before stay.
  void refresh(OwnMemory& memory);

  /// Null: no file's code.
  [[nodiscard]] const Image* find(std::uint64_t address) const noexcept;
  /// Modules that were not taken yet.
  [[nodiscard]] std::vector<protocol::Module> take_new();
  /// All that there ever were.
  [[nodiscard]] const std::vector<protocol::Module>& all() const noexcept { return all_; }

 private:
  std::vector<Image> images_;  // mapped now, by address
  std::vector<protocol::Module> all_;
  std::size_t taken_ = 0;
};

}  // namespace taskscope::instrumentation
