#include "taskscope/console/panels/tables_layout.h"

#include <algorithm>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

TableCell text(std::string value) { return {std::move(value), 0}; }
TableCell number(std::uint64_t value) { return {count_text(value), static_cast<double>(value)}; }
TableCell time(std::int64_t ns) {
  return {ns == 0 ? "–" : duration_text(ns), static_cast<double>(ns)};
}
TableCell share(double value) { return {percent_text(value), value}; }

}  // namespace

TableView worker_table(const session::Model& model) {
  TableView table;
  table.columns = {{"Worker", false, 1.2f},    {"Thread", true, 0.8f},    {"State", false, 0.9f},
                   {"Task", false, 1.8f},      {"Busy", true, 0.7f},      {"Busy time", true, 0.9f},
                   {"Polls", true, 1},         {"Parks", true, 0.9f},     {"Steals", true, 0.8f},
                   {"Queue", true, 0.7f},      {"Overflows", true, 0.9f}, {"Timers", true, 0.9f},
                   {"Latest fire", true, 0.9f}};
  table.empty = "No worker was seen yet.";
  for (const auto& lane : model.lanes()) {
    if (lane->worker == 0) continue;
    TableRow row;
    protocol::WorkerSample now;
    double busy = 0;
    if (!lane->samples.empty()) {
      const session::WorkerPoint& last = lane->samples.back();
      now = last.sample;
      // Over the last two seconds of samples.
      auto from = lane->samples.rbegin();
      while (from + 1 != lane->samples.rend() &&
             model.clock().duration_ns(last.ticks - from->ticks) < 2'000'000'000) {
        ++from;
      }
      const std::int64_t span = model.clock().duration_ns(last.ticks - from->ticks);
      if (span > 0 && now.busy_ns >= from->sample.busy_ns) {
        busy = static_cast<double>(now.busy_ns - from->sample.busy_ns) / static_cast<double>(span);
      }
    }
    std::string current = "–";
    if (const session::Task* task = model.tasks().find(lane->current_task)) {
      current = task_title(model, *task) + "  " + std::to_string(task->id);
      row.on_click = action::SelectTask{task->id};
    }
    const bool polling = lane->current_task != 0;
    const bool parked = lane->parked_from != 0;
    row.dot = polling ? colour::kPolling : parked ? colour::kDone : colour::kScheduled;
    row.cells = {text(lane_name(*lane)),
                 {std::to_string(lane->tid), static_cast<double>(lane->tid)},
                 text(polling  ? "polling"
                      : parked ? "parked"
                               : "looking"),
                 text(current),
                 share(std::min(busy, 1.0)),
                 time(static_cast<std::int64_t>(now.busy_ns)),
                 number(now.polls),
                 number(now.parks),
                 number(now.steals),
                 number(now.queue_depth),
                 number(now.overflows),
                 number(now.timers_fired),
                 time(static_cast<std::int64_t>(now.late_max_ns))};
    table.rows.push_back(std::move(row));
  }
  return table;
}

TableView loss_table(const session::Model& model) {
  TableView table;
  table.columns = {{"Producer", false, 1.4f}, {"Cause", false, 1.6f}, {"Events", true, 1},
                   {"Chunks", true, 0.8f},    {"Spawns", true, 0.8f}, {"Polls", true, 0.8f},
                   {"Wakes", true, 0.8f},     {"From", true, 1},      {"To", true, 1}};
  table.empty = "Nothing was lost: every event that was recorded is here.";
  for (const session::LossTotal& loss : model.losses()) {
    std::string producer = "the whole stream";
    if (loss.lane < model.lanes().size()) {
      producer = lane_name(*model.lanes()[loss.lane]);
    } else if (loss.producer != 0) {
      producer = "ring " + std::to_string(loss.producer);
    }
    const std::int64_t from = model.clock().ns(loss.from), to = model.clock().ns(loss.to);
    table.rows.push_back({.cells = {text(std::move(producer)),
                                    text(std::string(name_of(loss.cause))),
                                    number(loss.events),
                                    number(loss.chunks),
                                    number(loss.spawns),
                                    number(loss.polls),
                                    number(loss.wakes),
                                    {axis_text(from, 1'000'000), static_cast<double>(from)},
                                    {axis_text(to, 1'000'000), static_cast<double>(to)}},
                          .on_click = action::Frame{from, to},
                          .dot = colour::kTrouble});
  }
  return table;
}

void sort_rows(TableView& table, std::size_t column, bool descending) {
  if (column >= table.columns.size()) return;
  const bool by_number = table.columns[column].number;
  std::vector<std::size_t> order(table.rows.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const TableCell& one = table.rows[a].cells[column];
    const TableCell& other = table.rows[b].cells[column];
    if (by_number && one.order != other.order) {
      return descending ? one.order > other.order : one.order < other.order;
    }
    if (!by_number && one.text != other.text) {
      return descending ? one.text > other.text : one.text < other.text;
    }
    return a < b;
  });
  std::vector<TableRow> rows;
  rows.reserve(order.size());
  for (const std::size_t i : order) rows.push_back(std::move(table.rows[i]));
  table.rows = std::move(rows);
}

}  // namespace taskscope::console::panels
