#include "taskscope/console/panels/task_table_layout.h"

#include <algorithm>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

/// `word` is in lower case.
bool contains(std::string_view text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char a, char b) { return lower(a) == b; }) != text.end();
}

/// Sixteen bytes of text as two numbers that sort as it does: names that agree in them keep the
/// order of their ids.
void text_key(std::string_view text, std::uint64_t& high, std::uint64_t& low) {
  const auto eight = [&](std::size_t from) {
    std::uint64_t key = 0;
    for (std::size_t i = from; i < from + 8; ++i) {
      key = key << 8 | (i < text.size() ? static_cast<unsigned char>(lower(text[i])) : 0u);
    }
    return key;
  };
  high = eight(0);
  low = eight(8);
}

}  // namespace

std::string_view title_of(TaskColumn column) {
  switch (column) {
    case TaskColumn::Id:
      return "ID";
    case TaskColumn::Name:
      return "Name";
    case TaskColumn::Kind:
      return "Kind";
    case TaskColumn::State:
      return "State";
    case TaskColumn::Total:
      return "Total";
    case TaskColumn::Busy:
      return "Busy";
    case TaskColumn::Scheduled:
      return "Sched";
    case TaskColumn::Idle:
      return "Idle";
    case TaskColumn::Polls:
      return "Polls";
    case TaskColumn::Location:
      return "Location";
    case TaskColumn::Fields:
      return "Fields";
  }
  return "";
}

bool descends_first(TaskColumn column) {
  switch (column) {
    case TaskColumn::Total:
    case TaskColumn::Busy:
    case TaskColumn::Scheduled:
    case TaskColumn::Idle:
    case TaskColumn::Polls:
      return true;
    default:
      return false;
  }
}

TaskFilter::TaskFilter(std::string_view text) {
  struct Prefix {
    std::string_view text;
    Where where;
  };
  constexpr std::array kPrefixes = {
      Prefix{"name:", Where::Name}, Prefix{"id:", Where::Id},    Prefix{"state:", Where::State},
      Prefix{"kind:", Where::Kind}, Prefix{"at:", Where::Place}, Prefix{"field:", Where::Field},
  };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    std::string_view part = text.substr(at, end - at);
    at = end + 1;
    Word word;
    if (part.size() > 1 && part.front() == '-') {
      word.wanted = false;
      part.remove_prefix(1);
    }
    for (const Prefix& prefix : kPrefixes) {
      if (!part.starts_with(prefix.text)) continue;
      word.where = prefix.where;
      part.remove_prefix(prefix.text.size());
      break;
    }
    word.text = lowered(part);
    if (!word.text.empty()) words_.push_back(std::move(word));
  }
}

bool TaskFilter::passes(const session::Model& model, const session::Task& task) {
  for (std::size_t word = 0; word < words_.size(); ++word) {
    if (found(model, task, word) != words_[word].wanted) return false;
  }
  return true;
}

bool TaskFilter::site_has(const session::Model& model, std::uint32_t site, std::size_t word) {
  const std::uint64_t key = static_cast<std::uint64_t>(site) << 16 | word;
  const auto known = sites_.find(key);
  if (known != sites_.end()) return known->second;
  const bool has = contains(site_place(model, site), words_[word].text) ||
                   contains(site_function(model, site), words_[word].text);
  // A place that is defined later is asked about again.
  if (model.site(site) != nullptr) sites_.emplace(key, has);
  return has;
}

bool TaskFilter::found(const session::Model& model, const session::Task& task, std::size_t word) {
  const Word& is = words_[word];
  const auto in_fields = [&] {
    return std::any_of(task.fields().begin(), task.fields().end(),
                       [&](const std::string& field) { return contains(field, is.text); });
  };
  switch (is.where) {
    case Where::Name:
      return contains(task.name(), is.text);
    case Where::Id:
      return std::to_string(task.id) == is.text;
    case Where::State:
      return contains(state_text(model, task).text, is.text);
    case Where::Kind:
      return name_of(task.kind) == is.text;
    case Where::Place:
      return site_has(model, task.site, word);
    case Where::Field:
      return in_fields();
    case Where::Anywhere:
      break;
  }
  return contains(task.name(), is.text) || std::to_string(task.id) == is.text ||
         site_has(model, task.site, word) || in_fields() || contains(name_of(task.kind), is.text) ||
         contains(state_text(model, task).text, is.text);
}

const session::Task* TaskTableLayout::task(const session::Model& model, std::size_t row) const {
  const Row& is = rows_[row];
  if (is.slot >= model.tasks().slots()) return nullptr;
  const session::Task* task = model.tasks().at(is.slot);
  return task != nullptr && task->id == is.id ? task : nullptr;
}

bool TaskTableLayout::before(const Keyed& a, const Keyed& b) {
  if (a.high != b.high) return a.high > b.high;
  if (a.low != b.low) return a.low > b.low;
  return a.row.id < b.row.id;
}

TaskTableLayout::Keyed TaskTableLayout::key_of(const session::Model& model,
                                               const session::Task& task) const {
  Keyed keyed{.row = {.slot = 0, .id = task.id}};
  std::uint64_t rest = 0;
  switch (order_.column) {
    case TaskColumn::Id:
      keyed.high = task.id;
      break;
    case TaskColumn::Name:
      text_key(task_title(model, task), keyed.high, keyed.low);
      break;
    case TaskColumn::Kind:
      keyed.high = static_cast<std::uint64_t>(task.kind);
      break;
    case TaskColumn::State:
      // What could run comes before what waits, and that before what is over.
      keyed.high = !task.alive()                                  ? 3
                   : task.state == protocol::TaskState::Running   ? 0
                   : task.state == protocol::TaskState::Scheduled ? 1
                                                                  : 2;
      text_key(state_text(model, task).text, keyed.low, rest);
      break;
    case TaskColumn::Total:
      keyed.high = task.total(now_);
      break;
    case TaskColumn::Busy:
      keyed.high = task.busy_until(now_);
      break;
    case TaskColumn::Scheduled:
      keyed.high = task.scheduled_until(now_);
      break;
    case TaskColumn::Idle:
      keyed.high = task.idle(now_);
      break;
    case TaskColumn::Polls:
      keyed.high = task.polls;
      break;
    case TaskColumn::Location: {
      const auto rank = site_rank_.find(task.site);
      keyed.high = rank == site_rank_.end() ? 0 : rank->second;
      break;
    }
    case TaskColumn::Fields:
      if (!task.fields().empty()) text_key(task.fields().front(), keyed.high, keyed.low);
      break;
  }
  if (!order_.descending) {
    keyed.high = ~keyed.high;
    keyed.low = ~keyed.low;
  }
  return keyed;
}

void TaskTableLayout::begin(const session::Model& model, const TaskOrder& order) {
  order_ = order;
  filter_ = TaskFilter(order.filter);
  revision_ = model.revision();
  now_ = model.now();
  next_slot_ = 0;
  scanned_ = 0;
  keyed_.clear();
  phase_ = Phase::Scan;
  site_rank_.clear();
  if (order.column != TaskColumn::Location) return;
  std::vector<std::pair<std::string, std::uint32_t>> places;
  for (const session::CallGroup& group : model.tasks().call_groups()) {
    const protocol::Site* site = model.site(group.site);
    if (site == nullptr) continue;
    std::string line = std::to_string(site->line);
    line.insert(0, line.size() < 8 ? 8 - line.size() : 0, '0');
    places.emplace_back(std::string(file_name(site->file)) + ":" + line, group.site);
  }
  std::sort(places.begin(), places.end());
  for (std::size_t i = 0; i < places.size(); ++i) site_rank_[places[i].second] = i + 1;
}

std::size_t TaskTableLayout::scan(const session::Model& model, std::size_t work) {
  const std::uint32_t slots = model.tasks().slots();
  std::size_t done = 0;
  for (; next_slot_ < slots && done < work; ++next_slot_, ++done) {
    const session::Task* task = model.tasks().at(next_slot_);
    if (task == nullptr) continue;
    if (order_.shown == Shown::Live && !task->alive()) continue;
    if (order_.shown == Shown::Done && task->alive()) continue;
    ++scanned_;
    if (!filter_.passes(model, *task)) continue;
    keyed_.push_back(key_of(model, *task));
    keyed_.back().row.slot = next_slot_;
  }
  if (next_slot_ >= slots) {
    phase_ = Phase::SortRuns;
    at_ = 0;
  }
  return std::max<std::size_t>(done, 1);
}

std::size_t TaskTableLayout::sort_runs(std::size_t work) {
  std::size_t done = 0;
  while (at_ < keyed_.size() && done < work) {
    const std::size_t end = std::min(at_ + kRun, keyed_.size());
    std::sort(keyed_.begin() + static_cast<std::ptrdiff_t>(at_),
              keyed_.begin() + static_cast<std::ptrdiff_t>(end), before);
    done += (end - at_) * 4;  // a sorted row costs about as much as four moved ones
    at_ = end;
  }
  if (at_ >= keyed_.size()) {
    phase_ = Phase::Merge;
    run_ = kRun;
    at_ = 0;
    merged_.clear();
    merged_.reserve(keyed_.size());
    if (run_ >= keyed_.size()) complete();
  }
  return std::max<std::size_t>(done, 1);
}

std::size_t TaskTableLayout::merge(std::size_t work) {
  // One pair of runs at a time, [at_, middle) and [middle, end), and of it as much as there is
  // work.
  std::size_t done = 0;
  while (done < work) {
    const std::size_t middle = std::min(at_ + run_, keyed_.size());
    const std::size_t end = std::min(middle + run_, keyed_.size());
    if (merged_.size() == at_) {
      left_ = at_;
      right_ = middle;
    }
    for (; merged_.size() < end && done < work; ++done) {
      const bool take_left =
          right_ >= end || (left_ < middle && !before(keyed_[right_], keyed_[left_]));
      merged_.push_back(keyed_[take_left ? left_++ : right_++]);
    }
    if (merged_.size() < end) break;
    at_ = end;
    if (at_ < keyed_.size()) continue;
    keyed_.swap(merged_);
    merged_.clear();
    at_ = 0;
    run_ *= 2;
    if (run_ >= keyed_.size()) {
      complete();
      break;
    }
  }
  return std::max<std::size_t>(done, 1);
}

void TaskTableLayout::complete() {
  rows_.resize(keyed_.size());
  for (std::size_t i = 0; i < keyed_.size(); ++i) rows_[i] = keyed_[i].row;
  considered_ = scanned_;
  phase_ = Phase::Idle;
}

bool TaskTableLayout::update(const session::Model& model, const TaskOrder& order, bool may_renew,
                             std::size_t work) {
  const bool renew = may_renew && phase_ == Phase::Idle && revision_ != model.revision();
  if (!(order == order_) || renew) {
    begin(model, order);
  }
  while (phase_ != Phase::Idle && work > 0) {
    std::size_t done = 0;
    switch (phase_) {
      case Phase::Scan:
        done = scan(model, work);
        break;
      case Phase::SortRuns:
        done = sort_runs(work);
        break;
      case Phase::Merge:
        done = merge(work);
        break;
      case Phase::Idle:
        break;
    }
    work -= std::min(done, work);
  }
  return phase_ != Phase::Idle;
}

void TaskTableLayout::finish(const session::Model& model, const TaskOrder& order) {
  while (update(model, order, true, SIZE_MAX / 8)) {
  }
}

TaskCells task_cells(const session::Model& model, const session::Task& task) {
  TaskCells cells;
  const auto cell = [&](TaskColumn column) -> std::string& {
    return cells.text[static_cast<std::size_t>(column)];
  };
  const auto time = [&](std::uint64_t ticks) {
    return ticks == 0 ? std::string("–") : duration_text(model.clock().duration_ns(ticks));
  };
  const std::uint64_t now = model.now();
  const StateText state = state_text(model, task);
  cell(TaskColumn::Id) = std::to_string(task.id);
  cell(TaskColumn::Name) = task_title(model, task);
  cell(TaskColumn::Kind) = name_of(task.kind);
  cell(TaskColumn::State) = state.text;
  // What began before the attach is known to the millisecond of a coarse clock.
  cell(TaskColumn::Total) = (task.spawned_about ? "~" : "") + time(task.total(now));
  cell(TaskColumn::Busy) = time(task.busy_until(now));
  cell(TaskColumn::Scheduled) = time(task.scheduled_until(now));
  cell(TaskColumn::Idle) = time(task.idle(now));
  cell(TaskColumn::Polls) = count_text(task.polls);
  cell(TaskColumn::Location) = site_place(model, task.site);
  for (const std::string& field : task.fields()) {
    if (!cell(TaskColumn::Fields).empty()) cell(TaskColumn::Fields) += "  ";
    cell(TaskColumn::Fields) += field;
  }
  cells.state_colour = state.colour;
  cells.site = task.call_group == session::kNone ? colour::kDone : site_colour(task.call_group);
  cells.dim = !task.alive();
  return cells;
}

}  // namespace taskscope::console::panels
