#include "taskscope/instrumentation/examples/gallery/options.h"

#include <algorithm>
#include <charconv>

namespace taskscope::gallery {

namespace {

struct Number {
  std::string_view name;
  std::uint64_t least, most;
};
constexpr Number kNumbers[] = {{"--seed", 0, UINT64_MAX},   {"--count", 1, 10'000},
                               {"--load", 0, 1'000'000},    {"--workers", 1, 1024},
                               {"--seconds", 0, 1'000'000}, {"--block-ms", 20, 3'600'000}};

void take(Options& options, std::string_view name, std::uint64_t number) {
  if (name == "--seed") options.seed = number;
  if (name == "--count") options.count = number;
  if (name == "--load") options.load = static_cast<std::size_t>(number);
  if (name == "--workers") options.workers = static_cast<std::uint32_t>(number);
  if (name == "--seconds") options.open_for = std::chrono::seconds(number);
  if (name == "--block-ms") options.block = std::chrono::milliseconds(number);
}

const Exhibit* find(std::span<const Exhibit> among, std::string_view name) {
  const auto found = std::find_if(among.begin(), among.end(),
                                  [name](const Exhibit& exhibit) { return exhibit.name == name; });
  return found == among.end() ? nullptr : &*found;
}

std::string names_of(std::span<const Exhibit> exhibits) {
  std::string names;
  for (const Exhibit& exhibit : exhibits) names += std::string(exhibit.name) + ", ";
  return names;
}

}  // namespace

std::optional<Options> parse(std::span<char* const> arguments, std::string& what) {
  Options options;
  std::vector<const Exhibit*> wanted;
  bool healthy = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help") {
      options.help = true;
      return options;
    }
    if (name == "--healthy") {
      healthy = true;
      continue;
    }
    if (name.starts_with("--")) {
      if (const Exhibit* const trouble = find(troubles(), name.substr(2))) {
        wanted.push_back(trouble);
        continue;
      }
    }
    const auto* const number = std::find_if(std::begin(kNumbers), std::end(kNumbers),
                                            [name](const Number& n) { return n.name == name; });
    if (number == std::end(kNumbers) && name != "--decoy") {
      what = "there is no option " + std::string(name) + "; --help lists them";
      return std::nullopt;
    }
    if (++i == arguments.size()) {
      what = std::string(name) + " needs a value";
      return std::nullopt;
    }
    const std::string_view value = arguments[i];
    if (name == "--decoy") {
      const Exhibit* const decoy = find(decoys(), value);
      if (decoy == nullptr && value != "all") {
        what = "there is no decoy " + std::string(value) + "; there are " + names_of(decoys()) +
               "and all";
        return std::nullopt;
      }
      for (const Exhibit& each : decoys())
        if (decoy == nullptr || decoy == &each) wanted.push_back(&each);
      continue;
    }
    std::uint64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc() || end != value.data() + value.size() || parsed < number->least ||
        parsed > number->most) {
      what = std::string(name) + " can't be " + std::string(value) + ": it is a number from " +
             std::to_string(number->least) + " to " + std::to_string(number->most);
      return std::nullopt;
    }
    take(options, name, parsed);
  }
  if (healthy && !wanted.empty()) {
    what = "--healthy plants nothing, so it goes with no trouble and no decoy";
    return std::nullopt;
  }
  const bool by_default = wanted.empty() && !healthy;
  for (const auto among : {decoys(), troubles()}) {
    for (const Exhibit& exhibit : among) {
      const bool named = std::find(wanted.begin(), wanted.end(), &exhibit) != wanted.end();
      if (named || (by_default && exhibit.by_default)) options.planted.push_back(&exhibit);
    }
  }
  return options;
}

std::string usage() {
  std::string text =
      "usage: taskscope-gallery [TROUBLE...] [--decoy NAME|all] [OPTION...]\n"
      "A program with troubles, to be looked at with taskscope. For each it prints a line of "
      "JSON:\n"
      "what it planted, with the ids of the tasks. SIGINT and SIGTERM end it.\n\n"
      "Troubles (without any: all but those marked *):\n";
  const auto list = [&text](std::span<const Exhibit> exhibits, std::string_view dashes,
                            bool by_default) {
    for (const Exhibit& exhibit : exhibits) {
      std::string line = "  " + std::string(dashes) + std::string(exhibit.name);
      line.resize(std::max(line.size() + 1, std::size_t{19}), ' ');
      text += line + (exhibit.by_default == by_default ? "  " : "* ") + std::string(exhibit.what) +
              "\n";
    }
  };
  list(troubles(), "--", true);
  text += "Decoys, which are no troubles:\n";
  list(decoys(), "", false);
  text +=
      "Options:\n"
      "  --seed N          the shapes: members, order, nesting, primitives (1)\n"
      "  --count N         of each, with the seeds from --seed on (1)\n"
      "  --load N          healthy tasks around them (100)\n"
      "  --healthy         nothing but those\n"
      "  --workers N       threads that run tasks (4)\n"
      "  --seconds N       ends by itself, so long after all is planted\n"
      "  --block-ms N      how long a poll blocks (2000)\n";
  return text;
}

}  // namespace taskscope::gallery
