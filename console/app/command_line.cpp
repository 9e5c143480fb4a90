#include "taskscope/console/app/command_line.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "taskscope/console/analysis/thresholds.h"

namespace taskscope::console::app {
namespace {

using Arguments = std::span<const std::string>;
using Parsed = std::variant<Command, UsageError>;

constexpr double kMaxSeconds = 1e7;  // 115 days: what a duration can hold with room to spare

struct Help {
  std::string_view topic, text;
};

constexpr Help kHelp[] = {
    {"", R"(taskscope shows what a program on the taskscope runtime is doing.

    taskscope                              window: processes to attach to, recent files
    taskscope attach TARGET                window on a live process
    taskscope open FILE                    window on a recorded session
    taskscope list                         processes that can be attached to
    taskscope record TARGET -o FILE [--seconds N]      no window; Ctrl-C ends it cleanly
    taskscope record -o FILE -- COMMAND... starts it, records from its first task to its exit
    taskscope stats TARGET|FILE [--json]   tasks, workers, resources, findings, losses
    taskscope stacks TARGET|FILE [--task ID]           await stacks, equal ones grouped
    taskscope screenshot TARGET|FILE -o PNG [--size WxH] [--view NAME]     no display needed
    taskscope check FILE                   verifies every chunk; says what is damaged
    taskscope export FILE --to chrome|perfetto|csv|json -o OUT
    taskscope COMMAND --help               more about one of them
    taskscope --version

A TARGET is a pid, the name of a process, the path of its socket, or host:port.
Exit status: 0; 1 when check finds something; 2 usage; 3 a target or file that can't be used.
)"},
    {"attach", R"(taskscope attach TARGET [--view NAME] [--size WxH] [--scale S]

Opens a window on a live process: a pid, a name, the path of its socket, or host:port.

    --view NAME   starts with: overview, timeline, tasks, workers, resources, problems, inspector
    --size WxH    of the window, in pixels
    --scale S     of everything in it, such as 1.5; else from the monitor
)"},
    {"open", R"(taskscope open FILE [--view NAME] [--size WxH] [--scale S]

Opens a window on a recorded session. A file that was cut short or damaged opens too, and says
what is missing.

    --view NAME   starts with: overview, timeline, tasks, workers, resources, problems, inspector
    --size WxH    of the window, in pixels
    --scale S     of everything in it, such as 1.5; else from the monitor
)"},
    {"list", R"(taskscope list

Lists the processes that can be attached to, and why others can't be. It looks into
$XDG_RUNTIME_DIR/taskscope and /tmp/taskscope-UID and asks each process it finds.
)"},
    {"record", R"(taskscope record TARGET -o FILE [--seconds N]
taskscope record -o FILE [--seconds N] -- COMMAND...

Records a live process into FILE until it ends, N seconds are over, or Ctrl-C (or SIGTERM) ends
the recording cleanly. A recording that lies at FILE is replaced; another file is not.

With -- COMMAND, starts the command with TASKSCOPE=wait, so that nothing is missed from its first
task to its exit. SIGINT and SIGTERM are passed on to it. The exit status is the command's, 128 and
the signal's number when a signal ended it, or 3 when it can't be started or recorded. After
--seconds the recording ends, the command goes on.
)"},
    {"stats", R"(taskscope stats TARGET|FILE [--json] [--set NAME=VALUE]...

Tells about tasks, workers, resources, findings and losses. A live process is watched for 1 s, and
up to 10 s longer where the first walk over its tasks takes that long.

--set changes a threshold of the findings, such as --set blocking-poll=25ms:
    blocking-poll      a poll blocks when it takes longer (10ms)
    first-poll         a task's first poll never ends when it takes longer (500ms)
    never-yielded      any other poll never ends when it takes longer (4s)
    starvation         a task starves when it is queued for longer (100ms)
    certain-delay      what lasts longer is no lack of processor (300ms)
    slow-send          a consumer is slow when a sender waits longer (50ms)
    permit-wait        forgotten permits are told when a task waits longer (500ms)
    orphan             a wait for what the dead left is told after (1s)
    recent             what is over stays a finding for (2s)
    large-frame        a task's allocation is large beyond (64KiB)
    self-wakes         a task wakes itself too often beyond, a second (200)
    timers-in-a-tick   timers of one await in one ms are a burst from (1000)
    tasks-per-finding  ids that a finding names (100)

--json prints one object, with these keys always there:
    process    pid, name, command_line, executable, build_id, host, taskscope_version
    span       from, to (UTC, RFC 3339), duration_ns
    tasks      spawned, finished, live, walked (false: no walk over the living has come, and those
               spawned before are missing), polls, wakes, self_wakes (recorded since the attach),
               by_state {waiting, scheduled, polling}, outcomes {done, cancelled, exception},
               by_call_site [{where, function, kind, live, finished, polls, wakes, busy_ns,
               scheduled_ns, max_poll_ns, p50_poll_ns, p99_poll_ns, p99_scheduled_ns}],
               by_await_site [{where, waits, resource_kind, waiting, ever, p50_ns, p99_ns}]
    workers    [{worker, name, tid, polls, busy_ns, parks, stolen, current_task, queue_depth}]
    resources  [{id, kind, type, name, where, waiters, waits, holders [{task, certain, permits,
               role}], dropped}]
    findings   [{kind, certainty, tasks, task_count, others, resource, resources, where, since_ns,
               named_ns, until_ns, active, text}], those that last first; kinds:
               deadlock       tasks that wait for each other in a cycle, in its order, and on what
               stuck-behind   tasks that wait for those (others), directly or not
               orphan         tasks that wait for what a task that is over (others) took along
               lost-waker     tasks whose last waker was dropped without waking
               never-yielded  a poll that goes on without end; this and the next have stack: the
                              functions it was in, leaf first, or null
               blocking-poll  a poll that takes or took too long
               permit-leak    tasks that wait for permits that were forgotten
               slow-consumer  a task that receives too slowly for those that send (others)
               starvation     tasks that wait in the queue behind a long poll (of others)
               self-wakes     tasks that mostly wake themselves
               timer-burst    many timers in one millisecond
               large-frame    tasks with a large allocation
               certainty is certain where nothing can end it, suspect where that rests on who used
               a thing last. resource is the first of resources; named_ns is when it was first
               told, until_ns is null while it lasts
    lost       [{producer, worker, cause, events, chunks, spawns, polls, wakes}]; cause: ring-full,
               no-memory, slow-consumer, spool-capped, damaged, before-attach
Times are ns; since_ns counts from span.from. Percentiles are upper bounds, within a factor of 1.5.
)"},
    {"stacks", R"(taskscope stacks TARGET|FILE [--task ID]

Prints the await stacks of all living tasks, equal ones grouped and counted; with --task, of one,
and why it is not running. A live process is asked for its stacks now; a recording shows the last
ones it holds, as of its end. Under a task whose poll blocks stands its native stack, leaf first;
"perhaps" marks a frame that was found by searching.
)"},
    {"screenshot", R"(taskscope screenshot TARGET|FILE -o PNG [--size WxH] [--view NAME] [--scale S]
                     [--seconds N]

Draws the window into a PNG file; no display is needed.

    --size WxH    in pixels; 1600x1000
    --view NAME   overview, problems, graph, inspector, timeline, tasks, workers,
                  resources, timers, start; problems and graph show the worst one
    --scale S     of everything in it; 1
    --seconds N   how long a live process is watched first; 2
)"},
    {"check", R"(taskscope check FILE

Verifies every chunk of a recording; says what is damaged, what is missing and what is readable.
Exit status 1 when something is.
)"},
    {"export", R"(taskscope export FILE --to chrome|perfetto|csv|json -o OUT

Writes a recording in another format; -o - is the standard output.

    chrome     trace events as JSON, for chrome://tracing and Perfetto: a track a worker with its
               polls and parks, a track a task with its waits, an arrow a wake
    perfetto   the same file: Perfetto opens it (ui.perfetto.dev, or trace_processor)
    csv        a table of all events in OUT, and one of the tasks in OUT with .tasks.csv at its end
    json       one object: process, tasks [...], events [...]
)"},
};

constexpr std::string_view kCommands[] = {"attach", "open",       "list",  "record", "stats",
                                          "stacks", "screenshot", "check", "export"};

/// Takes one command's arguments apart: options with their values, and what is left.
class Scanner {
 public:
  Scanner(std::string_view topic, Arguments arguments) : topic_(topic), left_(arguments) {}

  /// The next argument is this option, without a value.
  bool flag(std::string_view name) {
    if (left_.empty() || left_[0] != name) return false;
    left_ = left_.subspan(1);
    return true;
  }
  /// The next argument is this option: `--name VALUE`, `--name=VALUE`, `-o VALUE`.
  bool option(std::string_view name, std::string& value) {
    if (left_.empty()) return false;
    const std::string_view first = left_[0];
    if (first == name) {
      if (left_.size() < 2) {
        fail(std::string(name) + " needs a value");
        left_ = {};
        return true;
      }
      value = left_[1];
      left_ = left_.subspan(2);
      return true;
    }
    if (!name.starts_with("--") || !first.starts_with(name) || first.size() <= name.size() ||
        first[name.size()] != '=')
      return false;
    value = first.substr(name.size() + 1);
    left_ = left_.subspan(1);
    return true;
  }
  /// What is no option is the one thing the command is about.
  void operand(std::string& value, std::string_view what) {
    const std::string& first = left_[0];
    if (first.size() > 1 && first[0] == '-') {
      fail("unknown option " + first);
    } else if (first.empty()) {
      fail(std::string(what) + " is empty");
    } else if (!value.empty()) {
      fail("one " + std::string(what) + " is enough: " + value + " or " + first);
    } else {
      value = first;
    }
    left_ = left_.subspan(1);
  }
  void require(const std::string& value, std::string_view sentence) {
    if (value.empty()) fail(std::string(sentence));
  }
  void fail(std::string sentence) {
    if (!error_) error_ = UsageError{std::move(sentence), std::string(topic_)};
  }

  [[nodiscard]] bool more() const { return !left_.empty() && !error_; }
  [[nodiscard]] Arguments rest() const { return left_; }
  void take_rest() { left_ = {}; }

  Parsed result(Command command) {
    if (error_) return *error_;
    return command;
  }

 private:
  std::string_view topic_;
  Arguments left_;
  std::optional<UsageError> error_;
};

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> positive(Scanner& scan, std::string_view option, const std::string& text) {
  const auto number = number_of<double>(text);
  if (number && std::isfinite(*number) && *number > 0 && *number <= kMaxSeconds) return number;
  scan.fail(std::string(option) + " wants a number larger than 0, not " + text);
  return std::nullopt;
}

void size_of(Scanner& scan, const std::string& text, int& width, int& height) {
  const auto cross = text.find('x');
  const auto w = number_of<int>(std::string_view(text).substr(0, cross));
  const auto h = cross == std::string::npos
                     ? std::nullopt
                     : number_of<int>(std::string_view(text).substr(cross + 1));
  if (!w || !h || *w < 1 || *h < 1 || *w > 32767 || *h > 32767) {
    scan.fail("--size wants WIDTHxHEIGHT in pixels, such as 1600x1000, not " + text);
    return;
  }
  width = *w;
  height = *h;
}

Parsed parse_window(std::string_view name, Arguments arguments) {
  Scanner scan(name, arguments);
  WindowOptions options;
  options.file_only = name == "open";
  std::string value;
  while (scan.more()) {
    if (scan.option("--view", options.view) || scan.option("--dump", options.dump)) continue;
    if (scan.option("--scale", value)) {
      if (const auto scale = positive(scan, "--scale", value))
        options.scale = static_cast<float>(*scale);
    } else if (scan.option("--size", value)) {
      size_of(scan, value, options.width_px, options.height_px);
    } else {
      scan.operand(options.target, name == "open" ? "file" : "target");
    }
  }
  if (name == "attach")
    scan.require(options.target,
                 "attach needs a target: a pid, a name, a socket path or host:port");
  if (name == "open") scan.require(options.target, "open needs a file");
  return scan.result(options);
}

Parsed parse_screenshot(Arguments arguments) {
  Scanner scan("screenshot", arguments);
  ScreenshotOptions options;
  std::string value;
  while (scan.more()) {
    if (scan.option("-o", options.output) || scan.option("--output", options.output) ||
        scan.option("--view", options.view) || scan.option("--dump", options.dump))
      continue;
    if (scan.option("--size", value)) {
      size_of(scan, value, options.width_px, options.height_px);
    } else if (scan.option("--scale", value)) {
      if (const auto scale = positive(scan, "--scale", value))
        options.scale = static_cast<float>(*scale);
    } else if (scan.option("--seconds", value)) {
      if (const auto seconds = positive(scan, "--seconds", value)) options.seconds = *seconds;
    } else {
      scan.operand(options.target, "target");
    }
  }
  if (options.view != "start")
    scan.require(options.target, "screenshot needs a target or a file to take a picture of");
  scan.require(options.output, "screenshot needs -o PNG to write to");
  return scan.result(options);
}

Parsed parse_list(Arguments arguments) {
  Scanner scan("list", arguments);
  if (scan.more()) scan.fail("list takes no arguments, so not " + scan.rest()[0]);
  return scan.result(ListCommand{});
}

Parsed parse_record(Arguments arguments) {
  Scanner scan("record", arguments);
  RecordCommand command;
  std::string value;
  bool starts = false;
  while (scan.more()) {
    if (scan.flag("--")) {
      starts = true;
      command.command.assign(scan.rest().begin(), scan.rest().end());
      scan.take_rest();
    } else if (scan.option("-o", command.output) || scan.option("--output", command.output)) {
    } else if (scan.option("--seconds", value)) {
      command.seconds = positive(scan, "--seconds", value);
    } else {
      scan.operand(command.target, "target");
    }
  }
  if (starts && (command.command.empty() || command.command[0].empty())) {
    scan.fail("record needs a command after --");
  } else if (starts && !command.target.empty()) {
    scan.fail("record takes a target or a command after --, not both");
  } else if (!starts) {
    scan.require(command.target, "record needs a target, or -- and a command to start");
  }
  scan.require(command.output, "record needs -o FILE to write to");
  return scan.result(command);
}

Parsed parse_stats(Arguments arguments) {
  Scanner scan("stats", arguments);
  StatsCommand command;
  std::string value;
  while (scan.more()) {
    if (scan.flag("--json")) {
      command.json = true;
    } else if (scan.option("--set", value)) {
      if (auto wrong = analysis::set(command.thresholds, value))
        scan.fail("--set: " + std::move(*wrong));
    } else {
      scan.operand(command.target, "target");
    }
  }
  scan.require(command.target, "stats needs a target or a file");
  return scan.result(command);
}

Parsed parse_stacks(Arguments arguments) {
  Scanner scan("stacks", arguments);
  StacksCommand command;
  std::string value;
  while (scan.more()) {
    if (scan.option("--task", value)) {
      std::string_view digits = value;
      if (digits.starts_with('#')) digits.remove_prefix(1);
      command.task = number_of<std::uint64_t>(digits);
      if (!command.task || *command.task == 0) scan.fail("--task wants a task's id, not " + value);
    } else {
      scan.operand(command.target, "target");
    }
  }
  scan.require(command.target, "stacks needs a target or a file");
  return scan.result(command);
}

Parsed parse_check(Arguments arguments) {
  Scanner scan("check", arguments);
  CheckCommand command;
  while (scan.more()) scan.operand(command.file, "file");
  scan.require(command.file, "check needs a file");
  return scan.result(command);
}

Parsed parse_export(Arguments arguments) {
  Scanner scan("export", arguments);
  ExportCommand command;
  std::string format;
  while (scan.more()) {
    if (scan.option("-o", command.output) || scan.option("--output", command.output) ||
        scan.option("--to", format))
      continue;
    scan.operand(command.file, "file");
  }
  scan.require(command.file, "export needs a file");
  if (format == "chrome") {
    command.format = ExportFormat::Chrome;
  } else if (format == "perfetto") {
    command.format = ExportFormat::Perfetto;
  } else if (format == "csv") {
    command.format = ExportFormat::Csv;
  } else if (format == "json") {
    command.format = ExportFormat::Json;
  } else {
    scan.fail(format.empty()
                  ? "export needs --to chrome, perfetto, csv or json"
                  : "unknown format " + format + "; there are chrome, perfetto, csv, json");
  }
  scan.require(command.output, "export needs -o OUT to write to");
  return scan.result(command);
}

/// --help before a "--" wins over everything else, so that a half-typed line still gets its help.
bool asks_for_help(Arguments arguments) {
  for (const auto& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

}  // namespace

std::variant<Command, UsageError> parse(Arguments arguments) {
  if (arguments.empty()) return Command{WindowOptions{}};
  const std::string& name = arguments[0];
  const Arguments rest = arguments.subspan(1);
  if (name == "--help" || name == "-h" || name == "help") {
    HelpCommand help;
    if (!rest.empty()) help.topic = rest[0];
    return Command{help};
  }
  if (name == "--version" || name == "-V") return Command{VersionCommand{}};
  const bool known =
      std::find(std::begin(kCommands), std::end(kCommands), name) != std::end(kCommands);
  if (known && asks_for_help(rest)) return Command{HelpCommand{name}};
  if (name == "attach" || name == "open") return parse_window(name, rest);
  if (name == "list") return parse_list(rest);
  if (name == "record") return parse_record(rest);
  if (name == "stats") return parse_stats(rest);
  if (name == "stacks") return parse_stacks(rest);
  if (name == "screenshot") return parse_screenshot(rest);
  if (name == "check") return parse_check(rest);
  if (name == "export") return parse_export(rest);
  if (name.starts_with("-")) return parse_window("", arguments);
  return UsageError{"there is no command " + name, ""};
}

std::string_view help_text(std::string_view topic) {
  for (const auto& help : kHelp)
    if (help.topic == topic) return help.text;
  return kHelp[0].text;
}

}  // namespace taskscope::console::app
