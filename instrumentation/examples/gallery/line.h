/// One line of JSON on stdout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "taskscope/runtime/observe/ids.h"

namespace taskscope::gallery {

using runtime::observe::ResourceId;
using runtime::observe::Site;
using runtime::observe::TaskId;

/// "file:line"
[[nodiscard]] std::string place(const Site& site);

/// "1 task", "2 tasks"
[[nodiscard]] std::string counted(std::size_t count, std::string_view what);

/// Texts are our own: printable, but for quotes and backslashes.
class Line {
 public:
  Line& text(std::string_view key, std::string_view value);
  Line& number(std::string_view key, std::uint64_t value) {
    return raw(key, std::to_string(value));
  }
  Line& task(std::string_view key, TaskId id) { return number(key, runtime::observe::number(id)); }
  Line& resource(std::string_view key, ResourceId id) {
    return number(key, runtime::observe::number(id));
  }
  template <class Id>
  Line& ids(std::string_view key, std::span<const Id> ids) {
    std::string list;
    for (const Id id : ids) {
      if (!list.empty()) list += ',';
      list += std::to_string(runtime::observe::number(id));
    }
    return raw(key, '[' + list + ']');
  }
  /// `json` is a value already.
  Line& raw(std::string_view key, std::string_view json);

  /// The fields of another line.
  Line& add(const Line& other) {
    if (!other.fields_.empty()) fields_ += (fields_.empty() ? "" : ",") + other.fields_;
    return *this;
  }

  [[nodiscard]] std::string object() const { return '{' + fields_ + '}'; }
  /// Flushes: whoever waits for the line gets it.
  void print() const;

 private:
  std::string fields_;
};

}  // namespace taskscope::gallery
