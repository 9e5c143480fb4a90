#include "taskscope/console/panels/resources_layout.h"

#include <algorithm>
#include <array>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

constexpr std::size_t kHoldLanes = 4;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains(std::string_view text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::string name_text(const session::Resource& resource) {
  return resource.name.empty() ? "#" + std::to_string(resource.id)
                               : resource.name + "  #" + std::to_string(resource.id);
}

std::string place_of(const session::Model& model, std::uint32_t site) {
  return site == 0 ? "–" : site_place(model, site);
}

std::string attributes_text(const session::Resource& resource) {
  std::string text;
  for (const protocol::AttributeState& attribute : resource.attributes) {
    if (!text.empty()) text += "  ";
    text += attribute.name + "=" + count_text(attribute.value);
    if (!attribute.unit.empty()) text += " " + attribute.unit;
  }
  return text.empty() ? "–" : text;
}

/// Since when somebody waits for each resource: ticks. The lists are in the order of their waits,
/// so the first that names a resource waits longest among its place.
std::unordered_map<std::uint64_t, std::uint64_t> longest_waits(const session::Model& model,
                                                               std::size_t look_at, bool& cut) {
  std::unordered_map<std::uint64_t, std::uint64_t> since;
  std::size_t looked = 0;
  const session::TaskTable& tasks = model.tasks();
  const auto groups = tasks.await_groups();
  // Every place gets its share, so that a crowd at one does not hide the others: what small ones
  // leave goes to those that follow.
  std::vector<std::uint32_t> by_size(groups.size());
  for (std::uint32_t i = 0; i < by_size.size(); ++i) by_size[i] = i;
  std::sort(by_size.begin(), by_size.end(), [&](std::uint32_t a, std::uint32_t b) {
    return groups[a].waiting != groups[b].waiting ? groups[a].waiting < groups[b].waiting : a < b;
  });
  for (std::size_t i = 0; i < by_size.size(); ++i) {
    const session::AwaitGroup& group = groups[by_size[i]];
    const std::size_t share = (look_at - std::min(look_at, looked)) / (by_size.size() - i);
    std::size_t here = 0;
    for (std::uint32_t slot = group.longest_waiting; slot != session::kNone;
         slot = tasks.next_waiting_of_await(slot)) {
      if (here++ >= share) {
        cut = true;
        break;
      }
      ++looked;
      const session::Task* task = tasks.at(slot);
      if (task == nullptr) continue;
      for (const session::Wait& wait : task->waits) {
        if (wait.other == 0 || wait.op == protocol::WaitOp::Join ||
            wait.op == protocol::WaitOp::Blocking)
          continue;
        const auto known = since.try_emplace(wait.other, task->state_since);
        if (!known.second) known.first->second = std::min(known.first->second, task->state_since);
      }
    }
  }
  return since;
}

struct Keyed {
  const session::Resource* resource = nullptr;
  std::uint64_t longest = 0;  // ticks
  std::string text;           // what is sorted by, where that is a text
};

struct Group {
  std::uint64_t key = 0;
  std::vector<Keyed> members;
  std::uint64_t waiting = 0, waits = 0, longest = 0;
  std::size_t live = 0;
};

class Builder {
 public:
  Builder(const session::Model& model, const ResourceOrder& order, const ResourceLimits& limits)
      : model_(model), order_(order), limits_(limits) {}

  ResourcesView build() {
    view_.of = model_.resources().size();
    for (int i = 0; i < kResourceColumns; ++i) {
      constexpr std::array<float, kResourceColumns> kWeights = {0.95f, 1.2f, 1.7f, 0.85f, 0.7f,
                                                                0.7f,  1.3f, 1.1f, 1.3f};
      const auto column = static_cast<ResourceColumn>(i);
      view_.table.columns.push_back({std::string(title_of(column)), is_number(column),
                                     kWeights[static_cast<std::size_t>(i)]});
    }
    view_.table.empty = view_.of == 0 || order_.filter.empty()
                            ? "No resource was waited for yet, and none is named."
                            : "No resource passes the filter.";
    view_.grouping = order_.grouping;
    if (view_.grouping == ResourceGrouping::Automatic) {
      // Those that are gone stand at the end and are in nobody's way.
      std::size_t live = 0;
      for (const auto& [id, resource] : model_.resources()) live += resource.dropped == 0 ? 1 : 0;
      view_.grouping =
          live >= limits_.group_from ? ResourceGrouping::Location : ResourceGrouping::None;
    }
    const auto since = longest_waits(model_, limits_.look_at_waiters, view_.waits_cut);
    std::vector<Keyed> all;
    all.reserve(view_.of);
    const auto words = words_of(order_.filter);
    for (const auto& [id, resource] : model_.resources()) {
      if (!passes(resource, words)) continue;
      const auto longest = since.find(id);
      all.push_back(
          {&resource,
           longest == since.end() ? 0 : model_.now() - std::min(model_.now(), longest->second),
           text_key(resource)});
    }
    view_.listed = all.size();
    if (view_.grouping == ResourceGrouping::None) {
      add_members(all, limits_.rows, false);
    } else {
      add_groups(all);
    }
    return std::move(view_);
  }

 private:
  [[nodiscard]] bool passes(const session::Resource& resource,
                            const std::vector<std::string_view>& words) const {
    return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
      return contains(resource.name, word) || contains(name_of(resource.kind), word) ||
             contains(resource.concrete_type, word) || "#" + std::to_string(resource.id) == word ||
             std::to_string(resource.id) == word ||
             contains(place_of(model_, resource.site), word) ||
             contains(holders_text(model_, resource), word);
    });
  }

  [[nodiscard]] std::string text_key(const session::Resource& resource) const {
    switch (order_.column) {
      case ResourceColumn::Kind:
        return std::string(name_of(resource.kind));
      case ResourceColumn::Name:
        return resource.name;
      case ResourceColumn::Type:
        return resource.concrete_type;
      case ResourceColumn::Location:
        return place_of(model_, resource.site);
      case ResourceColumn::Holder:
        return holders_text(model_, resource);
      case ResourceColumn::Attributes:
        return attributes_text(resource);
      default:
        return {};
    }
  }

  /// Numbers as numbers, texts as texts; what is dropped always last, equals by id.
  [[nodiscard]] bool before(const Keyed& a, const Keyed& b) const {
    const session::Resource &one = *a.resource, &other = *b.resource;
    if ((one.dropped == 0) != (other.dropped == 0)) return one.dropped == 0;
    const auto by_number = [&](std::uint64_t x, std::uint64_t y) {
      return x != y ? (order_.descending ? x > y : x < y) : one.id < other.id;
    };
    const auto by_text = [&](const std::string& x, const std::string& y) {
      return x != y ? (order_.descending ? x > y : x < y) : one.id < other.id;
    };
    switch (order_.column) {
      case ResourceColumn::Waiting:
        if (one.waiters == other.waiters && a.longest != b.longest) {
          return by_number(a.longest, b.longest);
        }
        return by_number(one.waiters, other.waiters);
      case ResourceColumn::Longest:
        return by_number(a.longest, b.longest);
      case ResourceColumn::Waits:
        return by_number(one.waits_ever, other.waits_ever);
      default:
        return by_text(a.text, b.text);
    }
  }

  void add_members(std::vector<Keyed>& members, std::size_t limit, bool inside) {
    const std::size_t shown = std::min(limit, members.size());
    std::partial_sort(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(shown),
                      members.end(), [&](const Keyed& a, const Keyed& b) { return before(a, b); });
    for (std::size_t i = 0; i < shown; ++i) add_resource(members[i], inside);
    view_.table.more += members.size() - shown;
  }

  [[nodiscard]] std::string longest_text(std::uint64_t ticks) const {
    return ticks == 0 ? "–" : duration_text(model_.clock().duration_ns(ticks));
  }

  void add_resource(const Keyed& keyed, bool inside) {
    const session::Resource& is = *keyed.resource;
    GroupRow row{.id = is.id, .inside = inside};
    row.cells.resize(kResourceColumns);
    row.on_click = action::SelectResource{is.id};
    cell(row, ResourceColumn::Kind) = name_of(is.kind);
    cell(row, ResourceColumn::Type) = is.concrete_type.empty() ? "–" : is.concrete_type;
    cell(row, ResourceColumn::Name) = name_text(is);
    cell(row, ResourceColumn::Holder) = holders_text(model_, is);
    cell(row, ResourceColumn::Waiting) = count_text(is.waiters);
    cell(row, ResourceColumn::Longest) =
        keyed.longest == 0 && is.waiters > 0 ? "?" : longest_text(keyed.longest);
    cell(row, ResourceColumn::Waits) = count_text(is.waits_ever);
    cell(row, ResourceColumn::Location) = place_of(model_, is.site);
    cell(row, ResourceColumn::Attributes) = attributes_text(is);
    row.dot = is.waiters > 0 ? colour::kScheduled : 0;
    row.dim = is.dropped != 0;
    view_.table.rows.push_back(std::move(row));
  }

  void add_groups(const std::vector<Keyed>& all) {
    std::unordered_map<std::uint64_t, std::size_t> number;
    std::vector<Group> groups;
    for (const Keyed& keyed : all) {
      const session::Resource& is = *keyed.resource;
      const std::uint64_t key =
          view_.grouping == ResourceGrouping::Location
              ? (std::uint64_t{is.site} << 8 | static_cast<std::uint64_t>(is.kind)) + 1
              : static_cast<std::uint64_t>(is.kind) + 1;
      const auto found = number.try_emplace(key, groups.size());
      if (found.second) groups.push_back({.key = key, .members = {}});
      Group& group = groups[found.first->second];
      group.members.push_back(keyed);
      group.waiting += is.waiters;
      group.waits += is.waits_ever;
      group.longest = std::max(group.longest, keyed.longest);
      if (is.dropped == 0) ++group.live;
    }
    std::sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
      const auto by = [&](std::uint64_t x, std::uint64_t y) {
        return x != y ? (order_.descending ? x > y : x < y) : a.key < b.key;
      };
      switch (order_.column) {
        case ResourceColumn::Waiting:
          return a.waiting != b.waiting ? by(a.waiting, b.waiting) : by(a.longest, b.longest);
        case ResourceColumn::Longest:
          return by(a.longest, b.longest);
        case ResourceColumn::Waits:
          return by(a.waits, b.waits);
        default:
          return by(a.members.size(), b.members.size());
      }
    });
    for (Group& group : groups) {
      if (view_.table.rows.size() >= limits_.rows) {
        ++view_.table.more;
        continue;
      }
      const session::Resource& first = *group.members.front().resource;
      GroupRow row{.key = group.key, .expanded = order_.expanded.contains(group.key)};
      row.cells.resize(kResourceColumns);
      cell(row, ResourceColumn::Kind) = name_of(first.kind);
      cell(row, ResourceColumn::Name) = "× " + count_text(group.members.size());
      if (group.live < group.members.size()) {
        cell(row, ResourceColumn::Name) += ", " + count_text(group.live) + " live";
      }
      cell(row, ResourceColumn::Waiting) = count_text(group.waiting);
      cell(row, ResourceColumn::Longest) = longest_text(group.longest);
      cell(row, ResourceColumn::Waits) = count_text(group.waits);
      cell(row, ResourceColumn::Location) = view_.grouping == ResourceGrouping::Location
                                                ? place_of(model_, first.site)
                                                : std::string();
      row.dot = group.waiting > 0 ? colour::kScheduled : 0;
      row.dim = group.live == 0;
      const bool open = row.expanded;
      view_.table.rows.push_back(std::move(row));
      if (open) add_members(group.members, limits_.group_rows, true);
    }
  }

  static std::string& cell(GroupRow& row, ResourceColumn column) {
    return row.cells[static_cast<std::size_t>(column)].text;
  }

  const session::Model& model_;
  const ResourceOrder& order_;
  const ResourceLimits& limits_;
  ResourcesView view_;
};

std::string holder_label(const session::Model& model, const session::ResourceHold& hold) {
  const session::Task* task = model.tasks().find(hold.task);
  std::string label = task != nullptr && !task->name().empty()
                          ? std::string(task->name()) + " " + std::to_string(hold.task)
                          : "task " + std::to_string(hold.task);
  if (hold.task == 0) label = "nobody that is known";
  if (!hold.certain) label = "last: " + label;
  if (hold.permits > 1) label += " (" + std::to_string(hold.permits) + ")";
  return label;
}

Colour holder_colour(const session::Model& model, std::uint64_t id) {
  const session::Task* task = model.tasks().find(id);
  return task == nullptr || task->call_group == session::kNone ? colour::kDone
                                                               : site_colour(task->call_group);
}

}  // namespace

std::string_view title_of(ResourceColumn column) {
  switch (column) {
    case ResourceColumn::Kind:
      return "Kind";
    case ResourceColumn::Name:
      return "Name";
    case ResourceColumn::Holder:
      return "Holder";
    case ResourceColumn::Waiting:
      return "Waiting";
    case ResourceColumn::Longest:
      return "Longest";
    case ResourceColumn::Waits:
      return "Waits";
    case ResourceColumn::Location:
      return "Location";
    case ResourceColumn::Type:
      return "Type";
    case ResourceColumn::Attributes:
      return "Attributes";
  }
  return "";
}

bool is_number(ResourceColumn column) {
  return column == ResourceColumn::Waiting || column == ResourceColumn::Longest ||
         column == ResourceColumn::Waits;
}

std::string holders_text(const session::Model& model, const session::Resource& resource) {
  std::string result;
  for (std::size_t i = 0; i < resource.holders.size(); ++i) {
    if (i == 3) {
      result += " and " + std::to_string(resource.holders.size() - i) + " more";
      break;
    }
    const protocol::HolderState& holder = resource.holders[i];
    if (i > 0) result += ", ";
    // A holder that is only the last one seen is told apart in words, not in colour.
    if (!holder.certain) result += "last: ";
    const session::Task* task = model.tasks().find(holder.task);
    if (task != nullptr && !task->name().empty()) result += std::string(task->name()) + " ";
    result += std::to_string(holder.task);
    if (holder.permits > 1) result += " (" + std::to_string(holder.permits) + ")";
  }
  return result.empty() ? "–" : result;
}

ResourcesView resources_view(const session::Model& model, const ResourceOrder& order,
                             const ResourceLimits& limits) {
  return Builder(model, order, limits).build();
}

std::vector<ChartRow> resource_rows(const session::Model& model, const session::Resource& resource,
                                    const session::ResourceHistory& history,
                                    const ChartOptions& options) {
  ChartRow row{.title = std::string(name_of(resource.kind)) + " " + name_text(resource)};
  row.subtitle = holders_text(model, resource);
  row.subtitle = row.subtitle == "–" ? "held by nobody" : "held by " + row.subtitle;
  row.note = place_of(model, resource.site);
  if (resource.holders.size() == 1) row.task = resource.holders.front().task;
  row.facts = {{"holders", holders_text(model, resource)},
               {"type", resource.concrete_type.empty() ? "–" : resource.concrete_type},
               {"made at", place_of(model, resource.site)},
               {"attributes", attributes_text(resource)},
               {"waits ever", count_text(resource.waits_ever)}};
  const auto width = static_cast<double>(options.width_px);
  const auto x = [&](std::int64_t ns) {
    return static_cast<float>(std::clamp(options.view.x(ns, width), 0.0, width));
  };
  const auto touches = [&](std::int64_t from, std::int64_t to) {
    return to >= options.view.from_ns && from <= options.view.to_ns;
  };
  const Colour unknown = rgb(0x3a4452);
  const auto add_unknown = [&](ChartStrip& strip, std::int64_t from, std::int64_t to,
                               const char* label) {
    if (from >= to || !touches(from, to)) return;
    strip.bars.push_back({.x_px = x(from),
                          .to_px = x(to),
                          .fill = with_alpha(unknown, 0.6f),
                          .hatched = true,
                          .label = label,
                          .from_ns = from,
                          .to_ns = to});
  };
  const std::int64_t first = std::max(options.view.from_ns, model.begin_ns());
  const std::int64_t last = std::min(options.view.to_ns, model.now_ns());

  // Holds that overlap lie below each other; those that have no lane left are counted in the last.
  std::vector<ChartStrip> lanes;
  std::vector<std::int64_t> free_from;
  for (const session::ResourceHold& hold : history.holds) {
    if (!touches(hold.from_ns, hold.to_ns)) continue;
    std::size_t lane = 0;
    while (lane < lanes.size() && free_from[lane] > hold.from_ns) ++lane;
    if (lane == lanes.size()) {
      if (lanes.size() < kHoldLanes) {
        lanes.push_back({.label = lanes.empty() ? "held by" : "and", .height_px = 20});
        lanes.back().sampled = false;
        free_from.push_back(INT64_MIN);
      } else {
        lane = kHoldLanes - 1;
      }
    }
    free_from[lane] = std::max(free_from[lane], hold.to_ns);
    auto& bars = lanes[lane].bars;
    const float left = x(hold.from_ns), right = x(hold.to_ns);
    if (!bars.empty() && right - bars.back().x_px < options.resolution_px) {
      ChartBar& fold = bars.back();
      fold.to_px = std::max(fold.to_px, right);
      fold.to_ns = hold.to_ns;
      ++fold.folded;
      fold.label = count_text(fold.folded) + " holds";
      fold.task = 0;
      fold.fill = colour::kDone;
      continue;
    }
    bars.push_back({.x_px = left,
                    .to_px = right,
                    .fill = holder_colour(model, hold.task),
                    .hatched = !hold.certain,
                    .open_left = hold.began_before,
                    .label = holder_label(model, hold),
                    .task = hold.task,
                    .from_ns = hold.from_ns,
                    .to_ns = hold.to_ns});
  }
  if (lanes.empty()) {
    lanes.push_back({.label = "held by", .height_px = 20});
    lanes.back().sampled = false;
  }
  ChartStrip waiting{.label = "waiting",
                     .value = count_text(resource.waiters),
                     .colour = colour::kScheduled,
                     .height_px = 34,
                     .sampled = false};
  std::int64_t at = std::max(history.from_ns, options.view.from_ns);
  std::uint32_t count = history.waiting_before;
  const auto add_step = [&](std::int64_t to) {
    if (to <= at || !touches(at, to)) {
      at = std::max(at, to);
      return;
    }
    const float left = x(at), right = x(to);
    waiting.highest = std::max(waiting.highest, static_cast<double>(count));
    if (!waiting.steps.empty() && right - waiting.steps.back().x_px < options.resolution_px) {
      waiting.steps.back().to_px = right;
      waiting.steps.back().value = std::max(waiting.steps.back().value, static_cast<double>(count));
    } else {
      waiting.steps.push_back({left, right, static_cast<double>(count)});
    }
    at = to;
  };
  for (const session::WaitersStep& step : history.waiting) {
    add_step(std::min(step.at_ns, options.view.to_ns));
    count = step.waiters;
  }
  add_step(std::min(history.to_ns, last));
  waiting.highest = std::max(round_highest(waiting.highest), 1.0);

  const char* unread = "not read: zoom in";
  add_unknown(lanes.front(), first, std::min(history.from_ns, last), unread);
  add_unknown(lanes.front(), std::max(first, history.from_ns),
              std::min(history.holders_from_ns, last), "not known");
  add_unknown(lanes.front(), std::max(history.to_ns, first), last, "not known");
  add_unknown(waiting, first, std::min(history.from_ns, last), unread);
  add_unknown(waiting, std::max(history.to_ns, first), last, "not known");
  for (const session::UnknownSpan& gap : history.gaps) {
    add_unknown(lanes.front(), gap.from_ns, gap.to_ns, "lost");
    add_unknown(waiting, gap.from_ns, gap.to_ns, "lost");
  }
  for (ChartStrip& lane : lanes) row.strips.push_back(std::move(lane));
  row.strips.push_back(std::move(waiting));
  return {std::move(row)};
}

}  // namespace taskscope::console::panels
