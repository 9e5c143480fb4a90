#include "taskscope/console/panels/task_table_groups.h"

#include <algorithm>
#include <unordered_map>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

TableCell text(std::string value) { return {std::move(value), 0}; }
TableCell number(std::uint64_t value) { return {count_text(value), static_cast<double>(value)}; }

class Builder {
 public:
  Builder(const session::Model& model, Grouping by, const GroupOrder& order,
          const GroupLimits& limits)
      : model_(model), by_(by), order_(order), limits_(limits) {
    if (by == Grouping::AwaitSite) {
      table_.columns = {{"Waits for", false, 1.7f},  {"Waiting", true, 0.95f},
                        {"Longest", true, 0.95f},    {"p99", true, 0.8f},
                        {"Waits ever", true, 0.95f}, {"Location", false, 1.5f}};
      table_.empty = "No task waits, as far as is known.";
    } else {
      table_.columns = {
          {"Call site", false, 2},  {"Live", true, 0.6f},      {"Longest wait", true, 0.8f},
          {"Poll p99", true, 0.7f}, {"Sched p99", true, 0.7f}, {"Busy", true, 0.7f},
          {"Polls", true, 0.7f},    {"Done", true, 0.6f},      {"Location", false, 1.6f}};
      table_.empty = "No task was seen yet.";
    }
  }

  GroupTable all() {
    const session::TaskTable& tasks = model_.tasks();
    if (by_ == Grouping::AwaitSite) {
      const auto groups = tasks.await_groups();
      for (std::uint32_t i = 0; i < groups.size(); ++i) {
        const session::AwaitGroup& group = groups[i];
        if (group.waiting == 0 && group.ever == 0) continue;
        Group is{.row = await_row(i, group.waiting, longest_of(group.longest_waiting)),
                 .first = group.longest_waiting};
        groups_.push_back(std::move(is));
        table_.things += group.waiting;
      }
    } else {
      const auto groups = tasks.call_groups();
      for (std::uint32_t i = 0; i < groups.size(); ++i) {
        const session::CallGroup& group = groups[i];
        if (group.live() == 0 && group.by_state[3] == 0) continue;
        Group is{
            .row = call_row(i, group.live(), group.by_state[3], longest_of(group.longest_waiting)),
            .first = group.longest_waiting,
            .first_member = group.first_member};
        groups_.push_back(std::move(is));
        table_.things += group.live();
      }
    }
    return finish();
  }

  GroupTable of(std::span<const std::uint64_t> ids) {
    struct Members {
      std::vector<std::uint64_t> tasks;
      std::uint64_t live = 0, done = 0, longest = 0;
    };
    std::unordered_map<std::uint32_t, Members> by_group;
    for (const std::uint64_t id : ids) {
      const session::Task* task = model_.tasks().find(id);
      if (task == nullptr) continue;
      ++table_.things;
      Members& members =
          by_group[by_ == Grouping::AwaitSite ? task->await_group : task->call_group];
      members.tasks.push_back(id);
      ++(task->alive() ? members.live : members.done);
      members.longest = std::max(members.longest, waited(*task));
    }
    for (auto& [group, members] : by_group) {
      std::sort(members.tasks.begin(), members.tasks.end(), [&](std::uint64_t a, std::uint64_t b) {
        const std::uint64_t one = waited(*model_.tasks().find(a)),
                            other = waited(*model_.tasks().find(b));
        return one != other ? one > other : a < b;
      });
      Group is{.row = by_ == Grouping::AwaitSite
                          ? await_row(group, members.tasks.size(), members.longest)
                          : call_row(group, members.live, members.done, members.longest),
               .members = std::move(members.tasks),
               .listed = true};
      groups_.push_back(std::move(is));
    }
    return finish();
  }

 private:
  struct Group {
    GroupRow row;
    std::uint32_t first = session::kNone;         // of those that wait, the longest first
    std::uint32_t first_member = session::kNone;  // of a call site: of all
    std::vector<std::uint64_t> members{};
    bool listed = false;  // members are given
  };

  [[nodiscard]] std::uint64_t waited(const session::Task& task) const {
    if (task.state != protocol::TaskState::Idle || !task.alive()) return 0;
    return model_.now() - std::min(model_.now(), task.state_since);
  }
  [[nodiscard]] std::uint64_t longest_of(std::uint32_t slot) const {
    const session::Task* task = slot == session::kNone ? nullptr : model_.tasks().at(slot);
    return task == nullptr ? 0 : waited(*task);
  }
  [[nodiscard]] TableCell time(std::uint64_t ticks) const {
    return {ticks == 0 ? "–" : duration_text(model_.clock().duration_ns(ticks)),
            static_cast<double>(ticks)};
  }

  GroupRow await_row(std::uint32_t group, std::uint64_t waiting, std::uint64_t longest) const {
    // A group that nothing is known of has the last number.
    GroupRow row{.key = std::uint64_t{group} + 1};
    const auto groups = model_.tasks().await_groups();
    if (group >= groups.size()) {
      row.cells = {text("does not wait, or for what is not known"),
                   number(waiting),
                   time(longest),
                   text("–"),
                   text("–"),
                   text("–")};
      return row;
    }
    const session::AwaitGroup& is = groups[group];
    const session::WaitKind& kind = model_.wait_kinds()[is.wait];
    row.dot = colour_of(kind);
    row.dim = waiting == 0;
    row.cells = {text(wait_text(kind)), number(waiting),
                 time(longest),         time(is.wait_times.quantile_ticks(0.99)),
                 number(is.ever),       text(kind.site == 0 ? "–" : site_place(model_, kind.site))};
    if (const std::string function = site_function(model_, kind.site); !function.empty()) {
      row.cells[0].text += " in " + function;
    }
    return row;
  }

  GroupRow call_row(std::uint32_t group, std::uint64_t live, std::uint64_t done,
                    std::uint64_t longest) const {
    GroupRow row{.key = std::uint64_t{group} + 1};
    const auto groups = model_.tasks().call_groups();
    if (group >= groups.size()) {
      row.cells.assign(table_.columns.size(), text("–"));
      row.cells[0] = text("unknown place");
      row.cells[1] = number(live);
      return row;
    }
    const session::CallGroup& is = groups[group];
    std::string title = group_title(model_, is);
    if (title.empty()) title = site_function(model_, is.site);
    if (title.empty()) title = site_place(model_, is.site);
    row.dot = site_colour(group);
    row.dim = live == 0;
    row.cells = {text(std::move(title)),
                 number(live),
                 time(longest),
                 time(is.poll_times.quantile_ticks(0.99)),
                 time(is.scheduled_times.quantile_ticks(0.99)),
                 time(is.busy),
                 number(is.polls),
                 number(done),
                 text(site_place(model_, is.site))};
    return row;
  }

  GroupRow task_row(const session::Task& task) const {
    std::string title = task_title(model_, task);
    const std::string id = std::to_string(task.id);
    if (!title.ends_with(id)) title += "  " + id;
    const StateText state = state_text(model_, task);
    GroupRow row{.id = task.id,
                 .inside = true,
                 .on_click = action::SelectTask{task.id},
                 .dot = state.colour,
                 .dim = !task.alive()};
    if (by_ == Grouping::AwaitSite) {
      row.cells = {text(std::move(title)),
                   text(""),
                   time(waited(task)),
                   text(""),
                   text(""),
                   text(site_place(model_, task.site))};
    } else {
      row.cells = {text(std::move(title)), text(""), time(waited(task)),
                   time(task.max_poll),    text(""), time(task.busy),
                   number(task.polls),     text(""), text(state.text)};
    }
    return row;
  }

  void add_members(const Group& group) {
    std::size_t shown = 0;
    const auto add = [&](const session::Task* task) {
      if (task == nullptr) return;
      table_.rows.push_back(task_row(*task));
      ++shown;
    };
    const session::TaskTable& tasks = model_.tasks();
    if (group.listed) {
      for (const std::uint64_t id : group.members) {
        if (shown == limits_.members) break;
        add(tasks.find(id));
      }
      table_.more += group.members.size() - shown;
      return;
    }
    for (std::uint32_t slot = group.first; slot != session::kNone && shown < limits_.members;
         slot = by_ == Grouping::AwaitSite ? tasks.next_waiting_of_await(slot)
                                           : tasks.next_waiting_of_call(slot)) {
      add(tasks.at(slot));
    }
    // Those that do not wait: of the oldest, as far as there is room.
    std::size_t looked = 0;
    for (std::uint32_t slot = group.first_member;
         slot != session::kNone && shown < limits_.members && looked < 10 * limits_.members;
         slot = tasks.next_member(slot), ++looked) {
      const session::Task* task = tasks.at(slot);
      if (task != nullptr && task->state != protocol::TaskState::Idle) add(task);
    }
  }

  GroupTable finish() {
    const std::size_t column = std::min(order_.column, table_.columns.size() - 1);
    const bool by_number = table_.columns[column].number;
    const auto before = [&](const Group& a, const Group& b) {
      const TableCell &one = a.row.cells[column], &other = b.row.cells[column];
      if (by_number && one.order != other.order) {
        return order_.descending ? one.order > other.order : one.order < other.order;
      }
      if (!by_number && one.text != other.text) {
        return order_.descending ? one.text > other.text : one.text < other.text;
      }
      return a.row.key < b.row.key;
    };
    std::sort(groups_.begin(), groups_.end(), before);
    table_.groups = groups_.size();
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (i >= limits_.groups) {
        table_.more += groups_.size() - i;
        break;
      }
      Group& group = groups_[i];
      group.row.expanded = order_.expanded.contains(group.row.key);
      table_.rows.push_back(group.row);
      if (group.row.expanded) add_members(group);
    }
    return std::move(table_);
  }

  const session::Model& model_;
  Grouping by_;
  const GroupOrder& order_;
  const GroupLimits& limits_;
  std::vector<Group> groups_;
  GroupTable table_;
};

}  // namespace

GroupTable grouped_tasks(const session::Model& model, Grouping by, const GroupOrder& order,
                         const GroupLimits& limits) {
  if (by == Grouping::None) by = Grouping::CallSite;
  return Builder(model, by, order, limits).all();
}

GroupTable grouped_tasks(const session::Model& model, std::span<const std::uint64_t> tasks,
                         Grouping by, const GroupOrder& order, const GroupLimits& limits) {
  if (by == Grouping::None) by = Grouping::CallSite;
  return Builder(model, by, order, limits).of(tasks);
}

}  // namespace taskscope::console::panels
