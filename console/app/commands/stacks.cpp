#include "taskscope/console/analysis/stacks.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "taskscope/console/analysis/why.h"
#include "taskscope/console/analysis/words.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"

namespace taskscope::console::app::commands {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kOneTaskLimit{1000};
constexpr std::chrono::milliseconds kBlockingLimit{200};  // until a poll that blocks is looked into
constexpr std::chrono::milliseconds kNamesLimit{3000};
constexpr std::size_t kNamedTasks = 12;

/// Asks the target for all stacks and waits until the walk is complete.
bool take_stacks(session::Session& session) {
  const auto before = session.model().snapshots_completed();
  session.request_snapshot(true);
  return wait_for_walk(session, before);
}

/// Asks for one task. A task that runs has no stack to send, so this does not wait for long.
void take_stack(session::Session& session, std::uint64_t task) {
  const auto& model = session.model();
  const auto ticks = [&] {
    const auto* stack = model.stack(task);
    return stack == nullptr ? 0 : stack->ticks;
  };
  const auto before = ticks();
  session.request_snapshot(true, task);
  const auto end = Clock::now() + kOneTaskLimit;
  while (ticks() == before && !model.ended() && Clock::now() < end) {
    session.pump_to_end(kTurn);
    session.model().flush();
  }
}

/// A poll that blocks is looked into some moments after the attach, and its names take another; a
/// poll that is over by then did not block.
void take_native_stacks(session::Session& session, std::uint64_t only) {
  const auto& model = session.model();
  const auto is_waiting = [&](bool is_early) {
    for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot) {
      const session::Task* task = model.tasks().at(slot);
      if (task == nullptr || !task->alive() || task->state != protocol::TaskState::Running ||
          (only != 0 && task->id != only))
        continue;
      const auto* const stack = analysis::native_stack_now(model, *task);
      if (stack == nullptr) {
        if (is_early) return true;
        continue;
      }
      const auto has_name = [](const session::NativeFrame& frame) {
        return !frame.function.empty();
      };
      if (!stack->frames.empty() &&
          std::none_of(stack->frames.begin(), stack->frames.end(), has_name))
        return true;
    }
    return false;
  };
  const auto begin = Clock::now();
  while (!model.ended() && Clock::now() < begin + kNamesLimit &&
         is_waiting(Clock::now() < begin + kBlockingLimit)) {
    session.pump_to_end(kTurn);
    session.model().flush();
  }
}

void append_lines(std::string& text, const std::vector<std::string>& lines) {
  for (const auto& line : lines) text += "    " + line + "\n";
}

int one_task(const session::Model& model, std::uint64_t id) {
  const session::Task* task = model.tasks().find(id);
  if (task == nullptr)
    return fail("stacks", "there is no task #" + std::to_string(id) +
                              "; `taskscope stacks` without --task names those that live");
  std::string text = "task " + analysis::task_words(model, id);
  const auto place = analysis::place_words(model, task->site);
  if (!place.empty()) text += ", spawned at " + place;
  text += "\n" + analysis::why_not_running(model, *task).text + "\n";
  append_lines(text, analysis::stack_lines(model, *task, true));
  return print(text) ? kExitGood : kExitUnusable;
}

}  // namespace

int run(const StacksCommand& command) {
  const auto session = open_session("stacks", command.target);
  if (!session) return kExitUnusable;
  const session::Model& model = session->model();
  if (session->live() && command.task) {
    take_stack(*session, *command.task);
  } else if (session->live() && !take_stacks(*session) && !model.ended()) {
    return fail("stacks", "the target did not send its stacks within 10 s; is it stopped");
  }
  if (session->live()) take_native_stacks(*session, command.task.value_or(0));
  if (command.task) return one_task(model, *command.task);

  const auto groups = analysis::group_stacks(model);
  std::string text;
  for (const auto& group : groups) {
    text += counted(group.tasks.size(), "task") + ":";
    for (std::size_t i = 0; i < group.tasks.size() && i < kNamedTasks; ++i)
      text += " #" + std::to_string(group.tasks[i]);
    if (group.tasks.size() > kNamedTasks) text += " ...";
    text += "\n";
    append_lines(text, group.lines);
    text += "\n";
  }
  if (groups.empty()) text = "No task lives.\n";
  return print(text) ? kExitGood : kExitUnusable;
}

}  // namespace taskscope::console::app::commands
