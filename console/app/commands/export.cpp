#include <cinttypes>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "taskscope/console/app/commands/chrome_trace.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/console/app/commands/event_names.h"
#include "taskscope/console/app/commands/export_file.h"
#include "taskscope/console/app/commands/merged_events.h"
#include "taskscope/console/app/json_writer.h"
#include "taskscope/console/source/file_source.h"

namespace taskscope::console::app::commands {
namespace {

using protocol::Event;

constexpr std::size_t kMaxTasks = 50'000'000;

/// A field of a table row: numbers stand as they are, texts are quoted as the format wants.
struct Cell {
  std::string_view name;
  std::string text;
  bool is_number = false;
};
using Row = std::vector<Cell>;

template <class Number>
Cell number(std::string_view name, Number value) {
  return {name, std::to_string(value), true};
}
Cell text(std::string_view name, std::string_view value) {
  return {name, std::string(value), false};
}

void append_csv(std::string& out, const Row& row, bool names) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) out += ',';
    const std::string_view cell = names ? row[i].name : std::string_view(row[i].text);
    if (cell.find_first_of("\",\r\n") == std::string_view::npos) {
      out += cell;
      continue;
    }
    out += '"';
    for (const char c : cell) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }
  out += "\r\n";  // RFC 4180
}

void append_json(std::string& out, const Row& row) {
  out += '{';
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(out, row[i].name);
    out += ':';
    if (row[i].is_number) {
      out += row[i].text;
    } else {
      append_json_string(out, row[i].text);
    }
  }
  out += '}';
}

Row event_row(const Definitions& known, const MergedEvents::Item& item) {
  const Event& event = *item.event;
  const bool has_resource_kind = event.kind == protocol::EventKind::Wait ||
                                 event.kind == protocol::EventKind::ResourceRegistered;
  std::string fields;
  for (std::uint32_t i = 0; i < event.field_count; ++i) {
    if (i != 0) fields += ' ';
    fields += item.run->texts[event.fields - 1 + i];
  }
  return {number("time_ns", known.ns(event.ticks)),
          number("ring", item.run->ring),
          number("worker", item.run->worker),
          text("event", event_name(event.kind)),
          number("task", event.task),
          text("detail", detail_name(event)),
          number("other", event.other),
          text("resource_kind",
               has_resource_kind
                   ? resource_kind_name(static_cast<protocol::ResourceKind>(event.resource_kind))
                   : ""),
          number("branch", event.branch),
          number("parent_branch", event.parent_branch),
          text("place", known.place(event.site)),
          number("value", event.value),
          number("extra", event.extra),
          text("text", item.text()),
          text("fields", fields)};
}

Row task_row(const session::Model& model, const Definitions& known, const session::Task& task) {
  const auto ns = [&](std::uint64_t ticks) { return model.clock().duration_ns(ticks); };
  std::string fields;
  for (const auto& field : task.fields()) {
    if (!fields.empty()) fields += ' ';
    fields += field;
  }
  return {number("task", task.id),
          number("parent", task.parent),
          text("kind", task_kind_name(task.kind)),
          text("name", task.name()),
          text("place", known.place(task.site)),
          number("spawned_ns", task.spawned == 0 ? 0 : known.ns(task.spawned)),
          number("finished_ns", task.alive() ? 0 : known.ns(task.finished)),
          text("outcome", task.alive() ? "" : outcome_name(task.outcome)),
          text("error", task.error()),
          number("polls", task.polls),
          number("wakes", task.wakes),
          number("busy_ns", ns(task.busy)),
          number("scheduled_ns", ns(task.scheduled)),
          number("max_poll_ns", ns(task.max_poll)),
          number("frame_bytes", task.frame_bytes),
          text("fields", fields)};
}

template <class Take>
void for_each_task(const session::Model& model, Take take) {
  for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot)
    if (const auto* task = model.tasks().at(slot)) take(*task);
}

std::string tasks_path(const std::string& output) { return output + ".tasks.csv"; }

std::string write_csv(const protocol::TraceReader& reader, const Definitions& known,
                      const session::Model& model, const std::string& output) {
  OutputFile events_file(output);
  static const protocol::Events kNoRun;
  static const Event kNoEvent;
  append_csv(events_file.text(), event_row(known, {&kNoEvent, &kNoRun}), true);
  MergedEvents events(reader);
  while (const auto item = events.next()) {
    append_csv(events_file.text(), event_row(known, *item), false);
    events_file.flush_if_large();
  }
  auto error = events_file.finish();
  if (!error.empty() || output == "-") return error;

  OutputFile tasks_file(tasks_path(output));
  append_csv(tasks_file.text(), task_row(model, known, session::Task{}), true);
  for_each_task(model, [&](const session::Task& task) {
    append_csv(tasks_file.text(), task_row(model, known, task), false);
    tasks_file.flush_if_large();
  });
  return tasks_file.finish();
}

std::string write_json(const protocol::TraceReader& reader, const Definitions& known,
                       const session::Model& model, const std::string& output) {
  OutputFile out(output);
  const auto& process = known.process();
  out.text() += "{\"process\":";
  append_json(out.text(),
              {number("pid", process.pid), text("name", process.name),
               text("command_line", process.command_line), text("executable", process.executable),
               text("build_id", process.build_id), text("host", process.host)});
  out.text() += ",\n\"tasks\":[";
  bool first = true;
  const auto next = [&] {
    out.text() += first ? "\n" : ",\n";
    first = false;
    out.flush_if_large();
  };
  for_each_task(model, [&](const session::Task& task) {
    next();
    append_json(out.text(), task_row(model, known, task));
  });
  out.text() += "\n],\n\"events\":[";
  first = true;
  MergedEvents events(reader);
  while (const auto item = events.next()) {
    next();
    append_json(out.text(), event_row(known, *item));
  }
  out.text() += "\n]}\n";
  return out.finish();
}

}  // namespace

int run(const ExportCommand& command) {
  const auto reader = protocol::TraceReader::open(command.file);
  if (!reader) return fail("export", reader.error());
  const Definitions known(*reader);
  std::string error;
  std::string files = command.output;
  if (command.format == ExportFormat::Chrome || command.format == ExportFormat::Perfetto) {
    OutputFile out(command.output);
    write_chrome_trace(*reader, known, out);
    error = out.finish();
  } else {
    auto source = source::open_file(command.file);
    if (!source) return fail("export", source.failure());
    session::Limits limits;
    limits.finished_tasks = limits.live_tasks = kMaxTasks;
    session::Session session(std::move(source.value()), limits);
    session.pump_to_end(std::chrono::hours(24));
    session.model().flush();
    if (command.format == ExportFormat::Csv) {
      error = write_csv(*reader, known, session.model(), command.output);
      files += " and " + tasks_path(command.output);
    } else {
      error = write_json(*reader, known, session.model(), command.output);
    }
  }
  if (!error.empty()) return fail("export", error);
  if (command.output == "-") return kExitGood;
  std::string told = "Wrote " + files + ".\n";
  if (command.format == ExportFormat::Perfetto)
    told += "It is in Chrome's trace format, which Perfetto opens.\n";
  return print(told) ? kExitGood : kExitUnusable;
}

}  // namespace taskscope::console::app::commands
