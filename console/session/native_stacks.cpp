#include "taskscope/console/session/native_stacks.h"

#include <algorithm>
#include <initializer_list>

namespace taskscope::console::session {
namespace {

constexpr std::size_t kModules = 65'536;
constexpr std::size_t kSymbols = 200'000;
constexpr std::size_t kFrames = 1024;
constexpr std::size_t kTextBytes = 4096;

void cut(std::string& text) {
  if (text.size() > kTextBytes) text.resize(kTextBytes);
}

/// Libraries and headers as systems install them; their debug information names files below where
/// they were built.
bool is_of_the_system(const NativeFrame& frame) {
  const auto lies_in = [](const std::string& path, std::initializer_list<const char*> folders) {
    return std::any_of(folders.begin(), folders.end(),
                       [&](const char* folder) { return path.starts_with(folder); });
  };
  return lies_in(frame.module, {"/lib", "/usr/lib", "[vdso]"}) ||
         lies_in(frame.file, {"/usr/include/", "/usr/lib/"});
}

}  // namespace

const NativeFrame* own_frame(const NativeStack& stack) {
  for (const auto& frame : stack.frames)
    if (!frame.function.empty() && !frame.file.empty() && frame.line != 0 &&
        !is_of_the_system(frame))
      return &frame;
  return nullptr;
}

void NativeStacks::add(std::vector<protocol::Module>&& modules) {
  for (auto& module : modules) {
    if (module.id == 0) continue;
    if (modules_.size() >= kModules && !modules_.contains(module.id)) {
      ++bounded_;
      continue;
    }
    cut(module.path);
    cut(module.build_id);
    modules_[module.id] = {module.bias, std::move(module.path), std::move(module.build_id)};
  }
  for (std::size_t i = 0; i < stacks_.size(); ++i) name(stacks_[i], raw_[i]);
}

void NativeStacks::add(std::vector<protocol::Symbol>&& symbols) {
  for (auto& symbol : symbols) {
    const std::pair key(symbol.module, symbol.offset);
    if (symbols_.size() >= kSymbols && !symbols_.contains(key)) {
      ++bounded_;
      continue;
    }
    for (auto& line : symbol.lines) {
      cut(line.function);
      cut(line.file);
    }
    symbols_.insert_or_assign(key, std::move(symbol.lines));
  }
  for (std::size_t i = 0; i < stacks_.size(); ++i) name(stacks_[i], raw_[i]);
}

void NativeStacks::add(protocol::NativeStack&& from) {
  cut(from.system_call);
  cut(from.problem);
  if (from.frames.size() > kFrames) {
    from.frames.resize(kFrames);
    from.cut = true;
  }
  NativeStack stack{.ticks = from.ticks,
                    .since_ticks = from.since_ticks,
                    .task = from.task,
                    .worker = from.worker,
                    .tid = from.tid,
                    .poll_sequence = from.poll_sequence,
                    .in_kernel = from.in_kernel,
                    .system_call = std::move(from.system_call),
                    .frames = {},
                    .cut = from.cut,
                    .problem = std::move(from.problem)};
  name(stack, from.frames);
  const auto found = of_task_.find(stack.task);
  if (found != of_task_.end() && found->second >= first_) {
    const auto place = static_cast<std::size_t>(found->second - first_);
    NativeStack& last = stacks_[place];
    if (last.worker == stack.worker && last.poll_sequence == stack.poll_sequence) {
      // The same poll: what a later reading could not tell, the earlier still tells.
      if (stack.ticks < last.ticks || (stack.frames.empty() && !last.frames.empty())) return;
      stack.since_ticks = std::min(stack.since_ticks, last.since_ticks);
      last = std::move(stack);
      raw_[place] = std::move(from.frames);
      return;
    }
  }
  if (stacks_.size() >= std::max<std::size_t>(limit_, 1)) {
    const auto oldest = of_task_.find(stacks_.front().task);
    if (oldest != of_task_.end() && oldest->second == first_) of_task_.erase(oldest);
    stacks_.pop_front();
    raw_.pop_front();
    ++first_;
    ++bounded_;
  }
  of_task_[stack.task] = first_ + stacks_.size();
  stacks_.push_back(std::move(stack));
  raw_.push_back(std::move(from.frames));
}

const NativeStack* NativeStacks::of(std::uint64_t task) const {
  const auto found = of_task_.find(task);
  if (found == of_task_.end() || found->second < first_) return nullptr;
  return &stacks_[static_cast<std::size_t>(found->second - first_)];
}

void NativeStacks::name(NativeStack& stack, const std::vector<protocol::NativeFrame>& raw) const {
  stack.frames.clear();
  for (const auto& from : raw) {
    if (stack.frames.size() >= kFrames) return;
    NativeFrame frame{.address = from.address, .guessed = from.guessed};
    const bool is_leaf = &from == &raw.front();
    const auto module = modules_.find(from.module);
    if (from.module == 0 || module == modules_.end()) {
      stack.frames.push_back(std::move(frame));
      continue;
    }
    frame.module = module->second.path;
    frame.build_id = module->second.build_id;
    frame.offset = from.address - module->second.bias;
    // A caller's address is that behind its call; the call itself is what it executes.
    const auto symbol = symbols_.find({from.module, frame.offset - (is_leaf ? 0 : 1)});
    if (symbol == symbols_.end() || symbol->second.empty()) {
      stack.frames.push_back(std::move(frame));
      continue;
    }
    for (const auto& line : symbol->second) {
      if (stack.frames.size() >= kFrames) return;
      frame.inlined = &line != &symbol->second.back();
      frame.function = line.function;
      frame.file = line.file;
      frame.line = line.line;
      stack.frames.push_back(frame);
    }
  }
}

}  // namespace taskscope::console::session
