#include "taskscope/console/analysis/words.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace taskscope::console::analysis {

using protocol::ResourceKind;
using protocol::WaitOp;

std::string duration_words(std::int64_t ns) {
  char text[48];
  const double n = std::abs(static_cast<double>(ns));
  const char* sign = ns < 0 ? "-" : "";
  const auto print = [&](double value, const char* unit) {
    const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    std::snprintf(text, sizeof text, "%s%.*f %s", sign, digits, value, unit);
  };
  if (n < 999.5) {
    std::snprintf(text, sizeof text, "%s%.0f ns", sign, n);
  } else if (n < 999.5e3) {
    print(n / 1e3, "µs");
  } else if (n < 999.5e6) {
    print(n / 1e6, "ms");
  } else {
    print(n / 1e9, "s");
  }
  return text;
}

std::string_view words_of(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::Other:
      return "resource";
    case ResourceKind::Mutex:
      return "mutex";
    case ResourceKind::RwLock:
      return "rwlock";
    case ResourceKind::Semaphore:
      return "semaphore";
    case ResourceKind::Notify:
      return "notify";
    case ResourceKind::Barrier:
      return "barrier";
    case ResourceKind::OnceCell:
      return "once_cell";
    case ResourceKind::Mpsc:
      return "mpsc";
    case ResourceKind::Oneshot:
      return "oneshot";
    case ResourceKind::Broadcast:
      return "broadcast";
    case ResourceKind::Watch:
      return "watch";
    case ResourceKind::Join:
      return "task";
    case ResourceKind::Timer:
      return "timer";
    case ResourceKind::Io:
      return "I/O";
    case ResourceKind::Blocking:
      return "blocking call";
    case ResourceKind::Waker:
      return "waker";
  }
  return "unknown";
}

std::string_view words_of(WaitOp op) {
  switch (op) {
    case WaitOp::None:
      return "wait for";
    case WaitOp::Lock:
      return "lock";
    case WaitOp::ReadLock:
      return "read-lock";
    case WaitOp::WriteLock:
      return "write-lock";
    case WaitOp::Acquire:
      return "acquire";
    case WaitOp::Notified:
      return "be notified by";
    case WaitOp::Arrive:
      return "pass";
    case WaitOp::Get:
      return "get from";
    case WaitOp::Send:
      return "send to";
    case WaitOp::Recv:
      return "receive from";
    case WaitOp::Closed:
      return "see closed";
    case WaitOp::Changed:
      return "see changed";
    case WaitOp::Join:
      return "join";
    case WaitOp::Sleep:
      return "sleep";
    case WaitOp::Tick:
      return "tick";
    case WaitOp::Readable:
      return "read";
    case WaitOp::Writable:
      return "write";
    case WaitOp::Accept:
      return "accept";
    case WaitOp::Connect:
      return "connect";
    case WaitOp::Blocking:
      return "end";
    case WaitOp::Waker:
      return "be woken";
    case WaitOp::Yield:
      return "yield";
  }
  return "use";
}

std::string_view words_of(protocol::WakeCause cause) {
  switch (cause) {
    case protocol::WakeCause::Task:
      return "task";
    case protocol::WakeCause::Timer:
      return "a timer";
    case protocol::WakeCause::Io:
      return "I/O";
    case protocol::WakeCause::Thread:
      return "another thread";
    case protocol::WakeCause::Blocking:
      return "a blocking call";
    case protocol::WakeCause::Abort:
      return "an abort";
  }
  return "something unknown";
}

std::string_view words_of(protocol::Outcome outcome) {
  switch (outcome) {
    case protocol::Outcome::Done:
      return "done";
    case protocol::Outcome::Cancelled:
      return "cancelled";
    case protocol::Outcome::Exception:
      return "ended by an exception";
  }
  return "finished";
}

std::string resource_words(const session::Model& model, std::uint64_t id, ResourceKind kind) {
  const session::Resource* resource = model.resource(id);
  if (resource != nullptr && resource->kind != ResourceKind::Other) kind = resource->kind;
  std::string text(words_of(kind));
  if (resource != nullptr && !resource->name.empty()) {
    text += " \"" + resource->name + "\"";
  } else if (id != 0) {
    text += " #" + std::to_string(id);
  }
  return text;
}

std::string tasks_words(std::size_t count) {
  return count == 1 ? "1 task" : std::to_string(count) + " tasks";
}

std::string task_words(const session::Model& model, std::uint64_t id) {
  std::string text = "#" + std::to_string(id);
  const session::Task* task = model.tasks().find(id);
  if (task != nullptr && !task->name().empty()) text += " (" + std::string(task->name()) + ")";
  return text;
}

std::string place_words(const session::Model& model, std::uint32_t site) {
  const protocol::Site* place = model.site(site);
  if (place == nullptr || place->file.empty()) return {};
  return place->file + ":" + std::to_string(place->line);
}

namespace {

/// "ns::f(int) const" as "ns::f"; what a compiler appended to the name goes as well.
std::string short_function(std::string name) {
  for (const std::string_view noise : {"(anonymous namespace)::", "[abi:cxx11]"})
    for (auto at = name.find(noise); at != std::string::npos; at = name.find(noise))
      name.erase(at, noise.size());
  if (const auto clone = name.find(" ["); clone != std::string::npos) name.resize(clone);
  const auto close = name.rfind(')');
  if (close == std::string::npos) return name;
  int depth = 0;
  for (auto at = close + 1; at-- > 0;) {
    if (name[at] == ')') ++depth;
    if (name[at] == '(' && --depth == 0) {
      if (at != 0) name.resize(at);
      break;
    }
  }
  return name;
}

}  // namespace

std::string native_words(const session::NativeStack& stack) {
  const auto& frames = stack.frames;
  const auto leaf = std::find_if(frames.begin(), frames.end(),
                                 [](const auto& frame) { return !frame.function.empty(); });
  if (leaf == frames.end())
    return stack.in_kernel && !stack.system_call.empty() ? "in " + stack.system_call
                                                         : std::string{};
  auto text = "in " + short_function(leaf->function);
  // Who called it: the first that has a place in the source.
  const auto caller = std::find_if(leaf + 1, frames.end(), [&](const auto& frame) {
    return !frame.function.empty() && frame.function != leaf->function && !frame.file.empty() &&
           frame.line != 0;
  });
  if (caller != frames.end())
    text += ", called from " + short_function(caller->function) + " (" + caller->file + ":" +
            std::to_string(caller->line) + ")";
  return text;
}

std::string wait_words(const session::Model& model, const session::Wait& wait) {
  const auto fd = [&] {
    return wait.value == 0 ? "a descriptor" : "fd " + std::to_string(wait.value);
  };
  switch (wait.op) {
    case WaitOp::Join:
      return "for task " + task_words(model, wait.other);
    case WaitOp::Blocking:
      return "for a blocking call";
    case WaitOp::Sleep:
    case WaitOp::Tick:
      return "for a timer";
    case WaitOp::Readable:
      return "until " + fd() + " is readable";
    case WaitOp::Writable:
      return "until " + fd() + " is writable";
    case WaitOp::Accept:
      return "for a connection on " + fd();
    case WaitOp::Connect:
      return "for " + fd() + " to connect";
    case WaitOp::Waker:
      return "until its waker is called";
    case WaitOp::Yield:
      return "to run again";
    default:
      return "to " + std::string(words_of(wait.op)) + " " +
             resource_words(model, wait.other, wait.resource_kind);
  }
}

}  // namespace taskscope::console::analysis
