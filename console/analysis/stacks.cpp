#include "taskscope/console/analysis/stacks.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using protocol::BranchMode;
using protocol::TaskState;
using protocol::WaitOp;
using session::Model;
using session::Task;
using session::Wait;

std::string frame_line(const Model& model, std::uint32_t site) {
  const protocol::Site* place = model.site(site);
  if (place == nullptr) return "at a place nothing names";
  std::string line = place->file.empty() ? std::string("unknown place")
                                         : place->file + ":" + std::to_string(place->line);
  if (!place->function.empty()) line += "  " + place->function;
  return line;
}

std::string leaf_line(const Model& model, const Wait& wait, bool with_ids) {
  if (with_ids) return "waits " + wait_words(model, wait);
  Wait anonymous = wait;
  anonymous.other = 0;
  anonymous.value = 0;
  if (wait.op == WaitOp::Join) return "waits for a task";
  return "waits " + wait_words(model, anonymous);
}

class Printer {
 public:
  Printer(const Model& model, std::span<const Wait> waits, bool with_ids)
      : model_(model), waits_(waits), with_ids_(with_ids), seen_(waits.size(), false) {}

  std::vector<std::string> print() {
    for (std::size_t i = 0; i < waits_.size(); ++i)
      if (waits_[i].branch == waits_[i].parent) branch(i, 0);
    for (std::size_t i = 0; i < waits_.size(); ++i) branch(i, 0);  // whose parent is not there
    return std::move(lines_);
  }

 private:
  void branch(std::size_t index, std::size_t depth) {
    if (seen_[index]) return;
    seen_[index] = true;  // also what ends circles
    const Wait& wait = waits_[index];
    for (const auto frame : wait.frames) line(depth, frame_line(model_, frame));
    if (wait.cut) line(depth, "... the middle is missing: deeper than the target reads");
    if (wait.site != 0 && (wait.frames.empty() || wait.frames.back() != wait.site))
      line(depth, frame_line(model_, wait.site));
    if (wait.mode == BranchMode::Single) {
      line(depth, leaf_line(model_, wait, with_ids_));
      return;
    }
    line(depth, wait.mode == BranchMode::Any ? "waits for any of:" : "waits for all of:");
    for (std::size_t i = 0; i < waits_.size(); ++i)
      if (i != index && waits_[i].parent == wait.branch) branch(i, depth + 1);
  }
  void line(std::size_t depth, const std::string& text) {
    lines_.push_back(std::string(2 * std::min<std::size_t>(depth, 32), ' ') + text);
  }

  const Model& model_;
  std::span<const Wait> waits_;
  bool with_ids_;
  std::vector<bool> seen_;
  std::vector<std::string> lines_;
};

}  // namespace

const session::NativeStack* native_stack_now(const Model& model, const Task& task) {
  const session::NativeStack* const stack = model.native_stack(task.id);
  if (stack == nullptr || !task.alive() || task.state != TaskState::Running) return nullptr;
  if (stack->ticks >= task.state_since) return stack;
  // Without events a state is as old as its last reading; the worker knows its poll.
  const auto lane = model.lane_of_worker(stack->worker);
  if (lane == session::kNone || model.lanes()[lane]->samples.empty()) return nullptr;
  const auto& sample = model.lanes()[lane]->samples.back().sample;
  return sample.current_task == task.id && sample.poll_sequence == stack->poll_sequence ? stack
                                                                                        : nullptr;
}

std::vector<std::string> native_lines(const session::NativeStack& stack) {
  std::vector<std::string> lines;
  if (stack.frames.empty()) {
    lines.push_back("no native stack: " +
                    (stack.problem.empty() ? "it could not be taken" : stack.problem));
    return lines;
  }
  for (const auto& frame : stack.frames) {
    std::string line = "#" + std::to_string(lines.size());
    line.resize(std::max<std::size_t>(line.size(), 3), ' ');
    line += ' ';
    const auto hex = [](std::uint64_t number) {
      char text[24];
      std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
      return std::string(text);
    };
    if (!frame.file.empty())
      line += frame.file + ":" + std::to_string(frame.line);
    else if (!frame.module.empty())
      line += frame.module + "+" + hex(frame.offset);
    else
      line += hex(frame.address);
    if (!frame.function.empty()) line += "  " + frame.function;
    if (frame.inlined) line += "  (inlined)";
    if (frame.guessed) line += "  (perhaps)";
    lines.push_back(std::move(line));
  }
  if (stack.cut) lines.push_back("... callers could not be followed any further");
  return lines;
}

std::vector<std::string> stack_lines(const Model& model, const Task& task, bool with_ids) {
  if (!task.alive()) return {"finished"};
  if (task.state == TaskState::Running) {
    const auto* const native = native_stack_now(model, task);
    if (native == nullptr) return {"polling"};
    std::vector<std::string> lines = {"polling, in one poll that blocks" +
                                      (native->system_call.empty()
                                           ? std::string()
                                           : ", in the system call " + native->system_call) +
                                      ":"};
    for (auto& line : native_lines(*native)) lines.push_back("  " + std::move(line));
    return lines;
  }
  if (task.state == TaskState::Scheduled) return {"queued"};
  // The last walk with frames, unless the task has moved since.
  const session::Stack* stack = model.stack(task.id);
  const bool fresh =
      stack != nullptr && !stack->branches.empty() && stack->ticks >= task.state_since;
  std::span<const Wait> waits = task.waits;
  if (fresh || (waits.empty() && stack != nullptr)) waits = stack->branches;
  if (waits.empty()) return {"waits; for what was not recorded"};
  return Printer(model, waits, with_ids).print();
}

std::vector<StackGroup> group_stacks(const Model& model) {
  std::map<std::vector<std::string>, std::vector<std::uint64_t>> by_lines;
  for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot) {
    const Task* task = model.tasks().at(slot);
    if (task == nullptr || !task->alive()) continue;
    by_lines[stack_lines(model, *task, false)].push_back(task->id);
  }
  std::vector<StackGroup> groups;
  groups.reserve(by_lines.size());
  for (auto& [lines, tasks] : by_lines) {
    std::sort(tasks.begin(), tasks.end());
    groups.push_back({lines, std::move(tasks)});
  }
  std::sort(groups.begin(), groups.end(), [](const StackGroup& a, const StackGroup& b) {
    return a.tasks.size() != b.tasks.size() ? a.tasks.size() > b.tasks.size()
                                            : a.tasks.front() < b.tasks.front();
  });
  return groups;
}

}  // namespace taskscope::console::analysis
