#include "taskscope/tests/instrumentation/console.h"

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace taskscope::test {

Directory::Directory() {
  char name[] = "/tmp/taskscope-test-XXXXXX";
  if (mkdtemp(name) != nullptr) path_ = name;
}

Directory::~Directory() {
  for (const auto& entry : entries()) unlink((path_ + "/" + entry).c_str());
  rmdir(path_.c_str());
}

std::vector<std::string> list(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const entries = opendir(directory.c_str());
  if (entries == nullptr) return names;
  while (const dirent* entry = readdir(entries))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  closedir(entries);
  return names;
}

Console::Console(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  instrumentation::Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // A path shows before listen() was called on it.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      fd_ = std::move(fd);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void Console::say(const protocol::Request& request) {
  const auto bytes = protocol::encode_request(request, 0);
  if (bytes) say_bytes(*bytes);
}

void Console::say_bytes(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t part = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (part <= 0) return;
    sent += static_cast<std::size_t>(part);
  }
}

void Console::attach(std::uint32_t events, std::uint32_t sample_every_ms) {
  hello();
  say(protocol::Subscribe{.events = events, .sample_every_ms = sample_every_ms});
  read_until([this] { return count<protocol::ClockPoint>() > 0; });
}

bool Console::read_some(std::chrono::steady_clock::time_point limit) {
  if (has_ended || !fd_) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      limit - std::chrono::steady_clock::now());
  pollfd polled{fd_.get(), POLLIN, 0};
  if (left.count() <= 0 || poll(&polled, 1, static_cast<int>(left.count())) <= 0) return false;
  constexpr std::size_t kPiece = 256 << 10;
  const ssize_t got = recv(fd_.get(), reader_.prepare(kPiece), kPiece, 0);
  reader_.commit(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got <= 0) has_ended = true;
  while (const auto chunk = reader_.next()) {
    auto update = protocol::decode(*chunk);
    if (!update) {
      ++errors;
      continue;
    }
    if (const auto* const events = std::get_if<protocol::Events>(&*update)) {
      for (const auto& event : events->events)
        recorded_ += event.kind != protocol::EventKind::ObservedFrom &&
                             event.kind != protocol::EventKind::Resync
                         ? 1
                         : 0;
    }
    updates.push_back(std::move(*update));
  }
  errors += reader_.damaged_bytes();
  return !has_ended;
}

bool Console::read_to_end() {
  return read_until([this] { return has_ended; });
}

std::vector<protocol::Event> Console::events() const {
  std::vector<protocol::Event> found;
  for (const auto& update : updates) {
    if (const auto* const run = std::get_if<protocol::Events>(&update)) {
      for (const auto& event : run->events)
        if (event.kind != protocol::EventKind::ObservedFrom &&
            event.kind != protocol::EventKind::Resync)
          found.push_back(event);
    }
  }
  return found;
}

std::size_t Console::count(protocol::EventKind kind, std::uint64_t ring) const {
  std::size_t found = 0;
  for (const auto& update : updates) {
    const auto* const run = std::get_if<protocol::Events>(&update);
    if (run != nullptr && (ring == 0 || run->ring == ring))
      found += static_cast<std::size_t>(
          std::count_if(run->events.begin(), run->events.end(),
                        [kind](const protocol::Event& event) { return event.kind == kind; }));
  }
  return found;
}

protocol::Loss Console::lost(protocol::LossCause cause) const {
  protocol::Loss sum{.cause = cause};
  for (const auto& loss : all<protocol::Loss>()) {
    if (loss.cause != cause) continue;
    sum.events += loss.events;
    sum.chunks += loss.chunks;
    sum.spawns += loss.spawns;
    sum.polls += loss.polls;
    sum.wakes += loss.wakes;
  }
  return sum;
}

const protocol::Site* Console::site(std::uint32_t id) const {
  for (const auto& update : updates) {
    if (const auto* const sites = std::get_if<std::vector<protocol::Site>>(&update)) {
      for (const auto& site : *sites)
        if (site.id == id) return &site;
    }
  }
  return nullptr;
}

std::optional<protocol::Snapshot> Console::whole_snapshot() const {
  std::optional<protocol::Snapshot> whole;
  for (const auto& piece : all<protocol::Snapshot>()) {
    if (!whole || whole->id != piece.id) {
      whole = piece;
    } else {
      whole->last = piece.last;
      whole->tasks.insert(whole->tasks.end(), piece.tasks.begin(), piece.tasks.end());
      whole->resources.insert(whole->resources.end(), piece.resources.begin(),
                              piece.resources.end());
    }
    if (whole->last) return whole;
  }
  return std::nullopt;
}

void ScriptedInspector::show(const runtime::observe::TaskView& task,
                             runtime::observe::Detail detail,
                             runtime::observe::TaskVisitor& visitor) {
  auto shown = task;
  if (detail == runtime::observe::Detail::Facts) shown.branches = {};
  std::vector<runtime::observe::BranchView> branches(shown.branches.begin(), shown.branches.end());
  if (detail == runtime::observe::Detail::Waits)
    for (auto& branch : branches) branch.frames = {};
  shown.branches = branches;
  visitor.visit(shown);
}

void ScriptedInspector::visit_tasks(runtime::observe::TaskCursor& cursor, std::size_t piece,
                                    runtime::observe::Detail detail,
                                    runtime::observe::TaskVisitor& visitor) {
  while (piece-- > 0 && cursor.after_id < tasks.size())
    show(tasks[static_cast<std::size_t>(cursor.after_id++)], detail, visitor);
  cursor.done = cursor.after_id == tasks.size();
}

bool ScriptedInspector::visit_task(runtime::observe::TaskId task, runtime::observe::Detail detail,
                                   runtime::observe::TaskVisitor& visitor) {
  for (const auto& one : tasks) {
    if (one.task != task) continue;
    show(one, detail, visitor);
    return true;
  }
  return false;
}

}  // namespace taskscope::test
