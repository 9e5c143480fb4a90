#include "taskscope/console/panels/problems_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/analysis/thresholds.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/inspector_panel.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

using analysis::FindingKind;

constexpr float kRowPx = 50, kHeadPx = 40, kSectionPx = 26;

Icon icon_of(Severity severity) {
  switch (severity) {
    case Severity::Severe:
      return Icon::Severe;
    case Severity::Serious:
      return Icon::Serious;
    case Severity::Minor:
      return Icon::Minor;
  }
  return Icon::Minor;
}

class Drawing {
 public:
  Drawing(const ProblemsInput& input, ProblemsMemory& memory, GraphMemory& graph, Actions& actions)
      : input_(input), memory_(memory), graph_(graph), actions_(actions) {}

  void run() {
    at_ = ImGui::GetCursorScreenPos();
    room_ = ImGui::GetContentRegionAvail();
    if (room_.y < px(80) || room_.x < px(300)) return;
    draw_head();
    const float top = px(kHeadPx), height = room_.y - top;
    const float list = input_.evidence == nullptr
                           ? room_.x
                           : std::round(std::clamp(room_.x * 0.36f, px(290), px(560)));
    ImGui::SetCursorScreenPos({at_.x, at_.y + top});
    draw_list(list, height);
    if (input_.evidence == nullptr) return;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddLine({at_.x + list, at_.y + top}, {at_.x + list, at_.y + room_.y}, colour::kLine, 1);
    ImGui::SetCursorScreenPos({at_.x + list + 1, at_.y + top});
    draw_evidence(room_.x - list - 1, height);
  }

 private:
  // --- the line above

  bool filter_chip(const char* id, std::string_view text, const Icon* icon, Colour ink, bool on,
                   float x, std::string_view tip) {
    const float icon_room = icon != nullptr ? px(19) : 0;
    const ImVec2 size{std::ceil(text_width(theme().small, text)) + px(20) + icon_room, px(24)};
    const ImVec2 at{x, at_.y + px(4)};
    ImGui::SetCursorScreenPos(at);
    const bool clicked = ImGui::InvisibleButton(id, size);
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const Colour fill =
        on ? mixed(colour::kRaised, ink, 0.3f) : (hovered ? colour::kHover : colour::kRaised);
    draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, fill, px(12));
    if (on) draw->AddRect(at, {at.x + size.x, at.y + size.y}, ink, px(12));
    if (icon != nullptr) {
      draw_icon(draw, *icon, {at.x + px(17), at.y + size.y / 2}, px(11), ink);
    }
    draw_text(
        draw, theme().small, on || hovered ? colour::kText : colour::kDim,
        {at.x + px(10) + icon_room, at.y + std::floor((size.y - theme().small->FontSize) / 2)},
        size.x, text);
    if (hovered && !tip.empty()) tooltip(tip);
    return clicked;
  }

  [[nodiscard]] static float chip_room(std::string_view text, bool icon) {
    return std::ceil(text_width(theme().small, text)) + px(26) + (icon ? px(19) : 0);
  }

  void draw_head() {
    const ProblemsView& view = *input_.view;
    const float buttons = 3 * button_width(true, "") + px(16);
    const float right = at_.x + room_.x - buttons;
    float x = at_.x + px(14);
    if (!view.chips.empty()) {
      const std::string all = view.active == 0 ? "All over" : "All " + count_text(view.active);
      if (filter_chip("##all findings", all, nullptr, colour::kAccent, !input_.only, x,
                      count_text(view.active) + " now, " + count_text(view.past) + " over")) {
        actions_.push_back(action::FilterFindings{std::nullopt});
      }
      x += chip_room(all, false);
    }
    std::size_t left_out = 0;
    for (const ProblemChip& chip : view.chips) {
      std::string text(title_of(chip.kind));
      if (chip.active > 0) text += "  " + count_text(chip.active);
      if (x + chip_room(text, true) > right - px(50)) {
        ++left_out;
        continue;
      }
      const Severity severity = severity_of(chip.kind);
      const Icon icon = icon_of(severity);
      const bool on = input_.only == chip.kind;
      const Colour ink = chip.active > 0 ? panels::colour_of(severity) : colour::kFaint;
      ImGui::PushID(static_cast<int>(chip.kind));
      std::string tip(meaning_of(chip.kind));
      tip += "\n" + count_text(chip.active) + " now, " + count_text(chip.past) + " over";
      if (filter_chip("##chip", text, &icon, ink, on, x, tip)) {
        actions_.push_back(
            action::FilterFindings{on ? std::nullopt : std::optional<FindingKind>(chip.kind)});
      }
      ImGui::PopID();
      x += chip_room(text, true);
    }
    ImDrawList* draw = ImGui::GetWindowDrawList();
    if (left_out > 0) {
      draw_text(draw, theme().small, colour::kFaint, {x, at_.y + px(9)}, right - x,
                "+" + std::to_string(left_out));
    }
    x = right;
    ImGui::SetCursorScreenPos({x, at_.y + px(2)});
    if (button("##previous finding", Icon::Back, "", ButtonLook::Quiet, false,
               "The problem before ([)")) {
      actions_.push_back(action::StepFinding{-1});
    }
    x += button_width(true, "");
    ImGui::SetCursorScreenPos({x, at_.y + px(2)});
    if (button("##next finding", Icon::Forward, "", ButtonLook::Quiet, false,
               "The next problem (])")) {
      actions_.push_back(action::StepFinding{1});
    }
    x += button_width(true, "");
    ImGui::SetCursorScreenPos({x, at_.y + px(2)});
    if (button("##rules", Icon::Rules, "", ButtonLook::Quiet, false,
               "From which on something is a problem")) {
      memory_.edited = *input_.thresholds;
      ImGui::OpenPopup("##rules popup");
    }
    draw_rules();
    draw->AddLine({at_.x, at_.y + px(kHeadPx) - 1}, {at_.x + room_.x, at_.y + px(kHeadPx) - 1},
                  colour::kLine, 1);
  }

  void draw_rules() {
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(px(16), px(14)));
    if (ImGui::BeginPopup("##rules popup")) {
      {
        TextStyle style(theme().strong, colour::kText);
        ImGui::TextUnformatted("What counts as a problem");
      }
      ImGui::Dummy({px(420), px(2)});
      const float column = px(320);
      for (const analysis::Setting& setting : analysis::settings()) {
        const std::string name(setting.name), what(setting.what);
        ImGui::PushID(name.c_str());
        const float x = ImGui::GetCursorPosX();
        const ImVec2 at = ImGui::GetCursorScreenPos();
        draw_text(ImGui::GetWindowDrawList(), theme().small, colour::kDim, {at.x, at.y + px(6)},
                  column - px(10), what);
        ImGui::SetCursorPosX(x + column);
        ImGui::SetNextItemWidth(px(100));
        char text[32] = {};
        analysis::value_words(memory_.edited, setting).copy(text, sizeof text - 1);
        const bool entered = ImGui::InputText(
            "##value", text, sizeof text,
            ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_AutoSelectAll);
        if (entered || ImGui::IsItemDeactivatedAfterEdit()) {
          analysis::Thresholds edited = memory_.edited;
          const auto wrong = analysis::set(edited, name + "=" + text);
          memory_.wrong = wrong ? name + ": " + *wrong : std::string();
          if (!wrong) memory_.edited = edited;
          if (!wrong) actions_.push_back(action::SetThresholds{memory_.edited});
        }
        ImGui::PopID();
      }
      ImGui::Dummy({0, px(4)});
      if (text_button("##usual", "As they were", ButtonLook::Plain, false,
                      "All thresholds as taskscope comes with them")) {
        memory_.edited = analysis::Thresholds{};
        memory_.wrong.clear();
        actions_.push_back(action::SetThresholds{memory_.edited});
      }
      if (ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Escape))) ImGui::CloseCurrentPopup();
      if (!memory_.wrong.empty()) {
        TextStyle style(theme().small, colour::kTrouble);
        ImGui::PushTextWrapPos(px(430));
        ImGui::TextUnformatted(memory_.wrong.c_str());
        ImGui::PopTextWrapPos();
      }
      ImGui::EndPopup();
    }
    ImGui::PopStyleVar();
  }

  // --- the list

  void draw_list(float width, float height) {
    const ProblemsView& view = *input_.view;
    ImGui::BeginChild("##problems scroll", {width, height}, false);
    if (view.rows.empty()) {
      if (view.chips.empty()) {
        draw_icon_above_note();
        empty_note("No problems found so far", "Looked at " + duration_text(view.looked_ns) +
                                                   " of the session, by " +
                                                   std::to_string(analysis::kFindingKinds) +
                                                   " rules. What turns up is listed here.");
      } else {
        empty_note("None of this kind", "The chips above show what there is.");
      }
    }
    bool past_headed = false;
    for (std::size_t i = 0; i < view.rows.size(); ++i) {
      const ProblemRow& row = view.rows[i];
      if (row.over && !past_headed) {
        past_headed = true;
        draw_section("Over", "the newest first");
      }
      draw_row(row, static_cast<int>(i));
    }
    ImGui::EndChild();
    memory_.scroll_to_selected = false;
  }

  static void draw_icon_above_note() {
    const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
    const float y = at.y + std::max(px(16), room.y * 0.38f) - px(22);
    if (room.y < px(120)) return;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const ImVec2 c{std::round(at.x + room.x / 2), y};
    draw->AddCircle(c, px(13), colour::kGood, 24, px(1.6f));
    const ImVec2 tick[] = {
        {c.x - px(6), c.y}, {c.x - px(1.5f), c.y + px(5)}, {c.x + px(6), c.y - px(5)}};
    draw->AddPolyline(tick, 3, colour::kGood, 0, px(2));
  }

  static void draw_section(std::string_view text, std::string_view right) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x, height = px(kSectionPx);
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(at, {at.x + width, at.y + height}, colour::kHeader);
    const float y = at.y + std::floor((height - theme().small->FontSize) / 2);
    draw_text(draw, theme().small, colour::kDim, {at.x + px(14), y}, width / 2, text);
    draw_text(draw, theme().small, colour::kFaint, {at.x + width / 2, y}, width / 2 - px(14), right,
              Align::Right);
    ImGui::SetCursorScreenPos({at.x, at.y + height});
  }

  void draw_row(const ProblemRow& row, int number) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x, height = px(kRowPx);
    const bool selected = row.key == input_.selected;
    ImGui::PushID(number);
    const bool clicked = ImGui::InvisibleButton("##problem", {width, height});
    const bool hovered = ImGui::IsItemHovered();
    ImGui::PopID();
    ImGui::SetCursorScreenPos({at.x, at.y + height});
    if (selected && memory_.scroll_to_selected) ImGui::SetScrollHereY(0.6f);
    if (clicked) actions_.push_back(action::SelectFinding{row.key});
    if (hovered) ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    ImDrawList* draw = ImGui::GetWindowDrawList();
    if (selected || hovered) {
      draw->AddRectFilled(at, {at.x + width, at.y + height},
                          selected ? colour::kSelection : colour::kHover);
    }
    const Colour ink = row.over ? colour::kFaint : panels::colour_of(row.severity);
    draw->AddRectFilled(at, {at.x + px(3), at.y + height - 1}, ink);
    draw_icon(draw, icon_of(row.severity), {at.x + px(21), at.y + px(16)}, px(14), ink);
    draw->AddLine({at.x, at.y + height - 1}, {at.x + width, at.y + height - 1}, colour::kLine, 1);

    const float x = at.x + px(38), right = at.x + width - px(12);
    const Colour main = row.over ? colour::kDim : colour::kText;
    // One line: the kind, how sure it is, how long it lasts.
    const float when = std::min(std::ceil(text_width(theme().small, row.when)), width * 0.4f);
    const std::string_view sure = row.certain ? "certain" : "suspect";
    const float sure_width = std::ceil(text_width(theme().small, sure));
    const float title_room = right - x - when - sure_width - px(34);
    const std::string_view title = title_of(row.kind);
    const float title_width = std::min(std::ceil(text_width(theme().strong, title)), title_room);
    draw_text(draw, theme().strong, main, {x, at.y + px(8)}, title_room, title);
    const float sure_x = x + title_width + px(12);
    draw_icon(draw, row.certain ? Icon::Dot : Icon::Ring, {sure_x + px(3), at.y + px(17)}, px(8),
              colour::kDim);
    draw_text(draw, theme().small, colour::kDim, {sure_x + px(11), at.y + px(10)}, sure_width + 1,
              sure);
    draw_text(draw, theme().small, colour::kDim, {right - when, at.y + px(10)}, when + 1, row.when,
              Align::Right);
    // The other: the sentence, and where.
    const float place =
        std::min(std::ceil(text_width(theme().small_mono, row.place)), width * 0.36f);
    const float y = at.y + px(29);
    const bool cut = draw_text(draw, theme().small, row.over ? colour::kFaint : colour::kDim,
                               {x, y}, right - x - place - px(12), row.sentence);
    draw_text(draw, theme().small_mono, colour::kFaint, {right - place, y}, place + 1, row.place,
              Align::Right);
    if (hovered && cut && !selected) tooltip(row.sentence);
  }

  // --- the evidence

  void draw_evidence(float width, float height) {
    const EvidenceView& is = *input_.evidence;
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(px(14), px(8)));
    ImGui::BeginChild("##evidence scroll", {width, height}, false,
                      ImGuiWindowFlags_AlwaysUseWindowPadding);
    ImGui::PopStyleVar();
    ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(px(8), 0));
    draw_evidence_head(is);
    ImGui::Dummy({0, px(6)});
    {
      // A graph needs the room that a long sentence would take.
      const bool low = height < px(430) && is.evidence == Evidence::Graph;
      wrapped_text(is.sentence, low ? 2 : 12);
    }
    ImGui::Dummy({0, px(5)});
    draw_place(is);
    ImGui::Dummy({0, px(8)});
    if (is.evidence == Evidence::Graph) {
      // In a low pane the graph says it all; in a high one the tasks follow.
      const ImVec2 room = ImGui::GetContentRegionAvail();
      const bool low = room.y < px(430);
      const float tall = low ? room.y - px(2) : std::round(room.y * 0.6f);
      draw_graph(input_.graph, graph_, {room.x, std::max(tall, px(90))}, actions_);
      if (low) {
        ImGui::PopStyleVar();
        ImGui::EndChild();
        return;
      }
      ImGui::Dummy({0, px(10)});
    }
    const InspectorView* native = input_.inspector;
    if (is.evidence == Evidence::NativeStack && native != nullptr &&
        (!native->native.empty() || !native->native_problem.empty())) {
      draw_native(*native, actions_);
      ImGui::Dummy({0, px(10)});
    }
    draw_tasks("Tasks", is.tasks, is.more_tasks);
    if (!is.others.empty()) draw_tasks("Held up by", is.others, 0);
    if (!is.resources.empty()) draw_resources(is);
    ImGui::PopStyleVar();
    ImGui::EndChild();
  }

  /// At most `lines` of it; a tooltip has the rest.
  static void wrapped_text(const std::string& text, int lines) {
    ImFont* font = theme().text;
    const float width = ImGui::GetContentRegionAvail().x;
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const char* from = text.data();
    const char* const end = from + text.size();
    const float step = font->FontSize + px(2);
    float y = at.y;
    bool cut = false;
    for (int line = 1; from < end; ++line, y += step) {
      const char* to = font->CalcWordWrapPositionA(1, from, end, width);
      if (to <= from) to = end;
      const bool last = line == lines;
      if (last) to = end;
      cut = draw_text(draw, font, colour::kText, {at.x, y}, width,
                      {from, static_cast<std::size_t>(to - from)});
      from = to;
      while (from < end && *from == ' ') ++from;
      if (last) {
        y += step;
        break;
      }
    }
    ImGui::Dummy({width, y - at.y});
    if (cut && ImGui::IsItemHovered()) tooltip(text);
  }

  void draw_evidence_head(const EvidenceView& is) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const Colour ink = is.over ? colour::kDim : panels::colour_of(is.severity);
    draw_icon(draw, icon_of(is.severity), {at.x + px(8), at.y + px(14)}, px(15), ink);
    const std::string sure = is.over ? "over" : is.certain ? "certain" : "suspect";
    const float buttons = 2 * button_width(true, "");
    const float chip_room = chip_width(sure);
    const float title_room = width - px(24) - buttons - chip_room - px(20);
    const std::string_view title = title_of(is.kind);
    draw_text(draw, theme().strong, colour::kText, {at.x + px(24), at.y + px(5)}, title_room,
              title);
    const float used = std::min(std::ceil(text_width(theme().strong, title)), title_room);
    ImGui::SetCursorScreenPos({at.x + px(24) + used + px(10), at.y + px(3)});
    chip(sure, ink, is.certain && !is.over ? Icon::Dot : Icon::Ring);
    if (ImGui::IsItemHovered()) {
      tooltip(std::string(meaning_of(is.kind)) +
              (is.certain ? "\nCertain: nothing that was recorded could end it."
                          : "\nSuspect: it looks like it; what was recorded cannot rule out "
                            "everything else."));
    }
    float x = at.x + width - buttons;
    ImGui::SetCursorScreenPos({x, at.y});
    if (button("##frame finding", Icon::Target, "", ButtonLook::Quiet, false,
               "Shows the moment on the timeline")) {
      actions_.push_back(action::Frame{is.from_ns, is.to_ns});
    }
    x += button_width(true, "");
    ImGui::SetCursorScreenPos({x, at.y});
    if (button("##close finding", Icon::Close, "", ButtonLook::Quiet, false, "Closes it (Esc)")) {
      actions_.push_back(action::SelectFinding{0});
    }
    ImGui::SetCursorScreenPos({at.x, at.y + px(28)});
  }

  void draw_place(const EvidenceView& is) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float when = std::min(std::ceil(text_width(theme().small, is.when)), width * 0.5f);
    draw_text(draw, theme().small, colour::kFaint, {at.x + width - when, at.y}, when + 1, is.when,
              Align::Right);
    place_item(is.place, is.path, width - when - px(12));
  }

  /// A place that a click copies and another button opens.
  void place_item(const std::string& place, const std::string& path, float width) {
    if (place.empty()) {
      ImGui::Dummy({1, theme().small_mono->FontSize});
      return;
    }
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float wide = std::min(std::ceil(text_width(theme().small_mono, place)) + px(2), width);
    draw_text(ImGui::GetWindowDrawList(), theme().small_mono, colour::kAccent, at, wide, place);
    ImGui::PushID(path.c_str());
    if (ImGui::InvisibleButton("##place", {wide, theme().small_mono->FontSize})) {
      actions_.push_back(action::CopyText{path});
    }
    place_menu(path, actions_);
    ImGui::PopID();
  }

  void draw_tasks(const char* title, const std::vector<ConcernedTask>& tasks, std::size_t more) {
    if (tasks.empty()) return;
    heading(title, more > 0 ? "and " + count_text(more) + " more" : std::string());
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float width = ImGui::GetContentRegionAvail().x, line = px(38);
    ImGui::PushID(title);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const ConcernedTask& task = tasks[i];
      const ImVec2 at = ImGui::GetCursorScreenPos();
      ImGui::PushID(static_cast<int>(i));
      if (ImGui::InvisibleButton("##task", {width, line}) && task.link.task != 0) {
        actions_.push_back(action::SelectTask{task.link.task});
      }
      ImGui::PopID();
      if (ImGui::IsItemHovered()) {
        draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
        if (!task.why.empty()) tooltip(task.why);
      }
      draw_icon(draw, Icon::Dot, {at.x + px(6), at.y + px(12)}, px(9), task.link.colour);
      const float detail =
          std::min(std::ceil(text_width(theme().small, task.link.detail)), width * 0.5f);
      draw_text(draw, theme().small, task.link.task != 0 ? colour::kAccent : colour::kDim,
                {at.x + px(17), at.y + px(5)}, width - px(27) - detail, task.link.label);
      draw_text(draw, theme().small, colour::kFaint, {at.x + width - detail, at.y + px(5)},
                detail + 1, task.link.detail, Align::Right);
      draw_text(draw, theme().small, colour::kDim, {at.x + px(17), at.y + px(21)}, width - px(17),
                task.why);
    }
    ImGui::PopID();
    ImGui::Dummy({0, px(8)});
  }

  void draw_resources(const EvidenceView& is) {
    heading("Resources");
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float width = ImGui::GetContentRegionAvail().x, line = px(21);
    for (std::size_t i = 0; i < is.resources.size(); ++i) {
      const ResourceLink& link = is.resources[i];
      const ImVec2 at = ImGui::GetCursorScreenPos();
      ImGui::PushID(static_cast<int>(i));
      if (ImGui::InvisibleButton("##resource", {width, line})) {
        actions_.push_back(action::SelectResource{link.resource});
      }
      ImGui::PopID();
      if (ImGui::IsItemHovered()) {
        draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
      }
      const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
      const float detail =
          std::min(std::ceil(text_width(theme().small, link.detail)), width * 0.6f);
      draw_text(draw, theme().small, colour::kAccent, {at.x, y}, width - detail - px(10),
                link.label);
      draw_text(draw, theme().small, colour::kFaint, {at.x + width - detail, y}, detail + 1,
                link.detail, Align::Right);
    }
  }

  const ProblemsInput& input_;
  ProblemsMemory& memory_;
  GraphMemory& graph_;
  Actions& actions_;
  ImVec2 at_{}, room_{};
};

}  // namespace

void draw_problems(const ProblemsInput& input, ProblemsMemory& memory, GraphMemory& graph,
                   Actions& actions) {
  Drawing(input, memory, graph, actions).run();
}

}  // namespace taskscope::console::panels
