#include "taskscope/console/app/commands/export_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace taskscope::console::app::commands {
namespace {

constexpr std::size_t kLargeText = 1u << 20;

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  file_ = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (file_ == nullptr) error_ = errno;
}

OutputFile::~OutputFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void OutputFile::flush_if_large() {
  if (text_.size() >= kLargeText) flush();
}

void OutputFile::flush() {
  if (error_ == 0 && std::fwrite(text_.data(), 1, text_.size(), file_) != text_.size())
    error_ = errno;
  text_.clear();
}

std::string OutputFile::finish() {
  flush();
  if (error_ == 0 && std::fflush(file_) != 0) error_ = errno;
  if (error_ == 0) return {};
  return "can't write " + path_ + ": " + std::strerror(error_);
}

Definitions::Definitions(const protocol::TraceReader& reader) {
  for (const auto& entry : reader.definitions())
    if (entry.header.kind != protocol::ChunkKind::Loss)
      if (auto update = reader.read(entry)) take(std::move(*update));
  for (const auto& entry : reader.chunks()) {
    const auto& header = entry.header;
    if (header.kind == protocol::ChunkKind::Events && header.events != 0) {
      first_ticks_ =
          first_ticks_ == 0 ? header.first_ticks : std::min(first_ticks_, header.first_ticks);
      last_ticks_ = std::max(last_ticks_, header.last_ticks);
    }
    if (header.kind == protocol::ChunkKind::Snapshot || header.kind == protocol::ChunkKind::Loss)
      if (auto update = reader.read(entry)) take(std::move(*update));
  }
  for (const auto& range : reader.damaged())
    losses_.push_back(protocol::TraceReader::damage(range));
  first_ns_ = clock_.ns(first_ticks_);
}

void Definitions::take(protocol::Update&& update) {
  if (auto* process = std::get_if<protocol::Process>(&update)) {
    process_ = std::move(*process);
    clock_.set_ticks_are_tsc(process_.ticks_are_tsc);
  } else if (auto* sites = std::get_if<std::vector<protocol::Site>>(&update)) {
    for (auto& site : *sites) sites_.insert_or_assign(site.id, std::move(site));
  } else if (const auto* point = std::get_if<protocol::ClockPoint>(&update)) {
    clock_.add(*point);
  } else if (const auto* loss = std::get_if<protocol::Loss>(&update)) {
    losses_.push_back(*loss);
  } else if (auto* walk = std::get_if<protocol::Snapshot>(&update)) {
    for (auto& task : walk->tasks)
      tasks_.try_emplace(task.task, KnownTask{std::move(task.name), task.site, task.parent});
  }
}

const protocol::Site* Definitions::site(std::uint32_t id) const {
  const auto found = sites_.find(id);
  return found == sites_.end() ? nullptr : &found->second;
}

std::string Definitions::place(std::uint32_t id) const {
  const auto* found = site(id);
  if (found == nullptr || found->file.empty()) return {};
  return found->file + ":" + std::to_string(found->line);
}

const Definitions::KnownTask* Definitions::task(std::uint64_t id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : &found->second;
}

std::uint64_t Definitions::ns(std::uint64_t ticks) const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(clock_.ns(ticks) - first_ns_, 0));
}

}  // namespace taskscope::console::app::commands
