#include <string>

#include "taskscope/console/analysis/words.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/protocol/trace_file.h"

namespace taskscope::console::app::commands {
namespace {

constexpr std::size_t kNamedPlaces = 20;

}  // namespace

int run(const CheckCommand& command) {
  const auto result = protocol::verify(command.file);
  if (!result) return fail("check", result.error());
  const protocol::Verification& file = *result;

  std::string text;
  std::size_t named = 0;
  std::uint64_t damaged_bytes = 0;
  for (const auto& range : file.damaged) {
    damaged_bytes += range.bytes;
    if (named++ < kNamedPlaces)
      text += "damaged: " + counted(range.bytes, "byte") + " at byte " +
              std::to_string(range.offset) + "\n";
  }
  if (named > kNamedPlaces)
    text += "damaged: " + std::to_string(named - kNamedPlaces) + " more places\n";
  for (std::size_t i = 0; i < file.malformed.size() && i < kNamedPlaces; ++i)
    text += "malformed: " + file.malformed[i] + "\n";
  if (file.malformed.size() > kNamedPlaces)
    text += "malformed: " + std::to_string(file.malformed.size() - kNamedPlaces) + " more chunks\n";
  if (file.cut_bytes != 0)
    text += "cut off: the last " + counted(file.cut_bytes, "byte") + " are no whole chunk\n";
  if (!file.has_footer)
    text += "unfinished: it ends without an index; its writer was killed, or its end is missing\n";
  if (!file.has_process) text += "missing: what process this is from\n";
  if (file.unknown_chunks != 0)
    text += "skipped: " + counted(file.unknown_chunks, "chunk") + " of a later version\n";

  text += "readable: " + counted(file.chunks, "chunk") + " with " + counted(file.events, "event");
  if (file.duration_ns != 0)
    text += " over " + analysis::duration_words(static_cast<std::int64_t>(file.duration_ns));
  text += ", " + bytes_words(file.file_bytes - damaged_bytes - file.cut_bytes) + " of " +
          bytes_words(file.file_bytes) + "\n";
  if (file.lost_events != 0)
    text += "lost while it was recorded: " + counted(file.lost_events, "event") + "\n";
  const bool good = file.good() && file.has_process;
  text += command.file + (good ? " is good.\n" : " is damaged.\n");
  if (!print(text)) return kExitUnusable;
  return good ? kExitGood : kExitFound;
}

}  // namespace taskscope::console::app::commands
