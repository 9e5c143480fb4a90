#include "taskscope/console/panels/top_bar_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kBarPx = 50, kBannerPx = 34;

Colour colour_of(Link link) {
  switch (link) {
    case Link::Live:
      return colour::kGood;
    case Link::Reading:
      return colour::kScheduled;
    case Link::Recorded:
      return colour::kAccent;
    case Link::Ended:
      return colour::kDim;
    case Link::Dead:
      return colour::kTrouble;
  }
  return colour::kDim;
}

/// Never colour alone: each state has a shape.
Icon icon_of(Link link) {
  switch (link) {
    case Link::Live:
      return Icon::Dot;
    case Link::Reading:
      return Icon::Play;
    case Link::Recorded:
      return Icon::File;
    case Link::Ended:
      return Icon::Stop;
    case Link::Dead:
      return Icon::Cross;
  }
  return Icon::Dot;
}

void draw_banner(ImVec2 at, float width, std::string_view text, bool bad, const char* id,
                 bool can_dismiss, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float height = px(kBannerPx);
  const Colour ink = bad ? colour::kTrouble : colour::kAccent;
  draw->AddRectFilled(at, {at.x + width, at.y + height}, mixed(colour::kHeader, ink, 0.18f));
  draw->AddRectFilled(at, {at.x + px(4), at.y + height}, ink);
  draw_icon(draw, bad ? Icon::Cross : Icon::Dot, {at.x + px(22), at.y + height / 2}, px(11), ink);
  ImFont* font = theme().text;
  const float close = can_dismiss ? px(40) : px(14);
  draw_text(draw, font, colour::kText,
            {at.x + px(38), at.y + std::floor((height - font->FontSize) / 2)},
            width - px(38) - close, text);
  if (!can_dismiss) return;
  ImGui::SetCursorScreenPos({at.x + width - px(38), at.y + px(3)});
  if (button(id, Icon::Close, "", ButtonLook::Quiet)) actions.push_back(action::Dismiss{});
}

/// Label above, value below; the same width as long as the number of digits is, so that nothing
/// jumps while numbers change.
float gauge_width(const Gauge& gauge) {
  const float value =
      std::max(text_width(theme().mono, gauge.value), text_width(theme().mono, "000 KiB"));
  return std::ceil(std::max(value, text_width(theme().small, gauge.label))) + px(22);
}

}  // namespace

float draw_top_bar(const TopBarInput& input, Actions& actions) {
  const TopBarView& view = *input.view;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x, height = px(kBarPx);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + width, at.y + height}, colour::kHeader);
  const float middle = at.y + (height - px(28)) / 2;

  float x = at.x + px(10);
  ImGui::SetCursorScreenPos({x, middle});
  if (button("##home", Icon::Back, "", ButtonLook::Quiet, false, "Back to the start screen")) {
    actions.push_back(action::CloseSession{});
  }
  x += button_width(true, "") + px(10);

  // Gauges stand at the right; the title gets what they and the buttons leave.
  const bool moves = view.link == Link::Live;
  const std::string_view follow = input.paused ? "Resume" : input.following ? "Pause" : "Follow";
  const std::string record = view.recording ? "Stop · " + view.recording_text
                             : moves        ? "Record"
                                            : "Save";
  float buttons = button_width(true, "") * 2 + px(4);
  if (moves) buttons += button_width(true, "Resume") + px(6);
  if (view.can_record) buttons += button_width(true, record) + px(6);
  const float chip_room = chip_width(view.link_text) + px(12);
  const float title_wish = std::ceil(
      std::max(text_width(theme().strong, view.title), text_width(theme().small, view.subtitle)));
  float gauges = 0;
  for (const Gauge& gauge : view.gauges) gauges += gauge_width(gauge);
  // Too narrow: the last gauges but "lost" give way; their panel has them.
  const float least_title = std::min(title_wish, px(150));
  const auto room_for_title = [&] {
    return width - (x - at.x) - chip_room - buttons - gauges - px(36);
  };
  std::vector<bool> drop(view.gauges.size(), false);
  for (std::size_t i = view.gauges.size(); i-- > 0 && room_for_title() < least_title;) {
    if (view.gauges[i].label == "lost") continue;
    drop[i] = true;
    gauges -= gauge_width(view.gauges[i]);
  }
  const float title_room = std::min(title_wish, std::max(room_for_title(), px(60)));
  draw_text(draw, theme().strong, colour::kText, {x, at.y + px(8)}, title_room, view.title);
  draw_text(draw, theme().small, colour::kFaint, {x, at.y + px(27)}, title_room, view.subtitle);
  x += title_room + px(14);
  ImGui::SetCursorScreenPos({x, at.y + (height - px(22)) / 2});
  chip(view.link_text, colour_of(view.link), icon_of(view.link));
  x += chip_room;

  if (view.can_record) {
    ImGui::SetCursorScreenPos({x, middle});
    if (button("##record", view.recording ? Icon::Stop : Icon::Record, record,
               view.recording ? ButtonLook::Danger : ButtonLook::Plain, false,
               view.recording
                   ? "Ends the recording (R)"
                   : "Keeps the session in a file, from its oldest kept moment on (R)")) {
      if (view.recording) {
        actions.push_back(action::StopRecording{});
      } else {
        actions.push_back(action::StartRecording{input.record_path});
      }
    }
    x += button_width(true, record) + px(6);
  }
  if (moves) {
    ImGui::SetCursorScreenPos({x, middle});
    const bool stands = input.paused || !input.following;
    if (button("##follow", stands ? Icon::Play : Icon::Pause, follow,
               stands ? ButtonLook::Strong : ButtonLook::Plain, false,
               stands ? "Shows the newest moments as they come (Space)"
                      : "Holds the picture still; the session goes on (Space)")) {
      if (stands) {
        actions.push_back(action::Follow{true});
      } else {
        actions.push_back(action::Pause{true});
      }
    }
    x += button_width(true, "Resume") + px(6);
  }
  ImGui::SetCursorScreenPos({x, middle});
  if (button("##back", Icon::Back, "", ButtonLook::Quiet, false, "The view before (Backspace)")) {
    actions.push_back(action::Back{});
  }
  x += button_width(true, "");
  ImGui::SetCursorScreenPos({x, middle});
  if (button("##forward", Icon::Forward, "", ButtonLook::Quiet, false,
             "The view after (Alt-Right)")) {
    actions.push_back(action::Forward{});
  }

  x = at.x + width - gauges - px(6);
  for (std::size_t i = 0; i < view.gauges.size(); ++i) {
    if (drop[i]) continue;
    const Gauge& gauge = view.gauges[i];
    const float room = gauge_width(gauge);
    draw->AddLine({x, at.y + px(12)}, {x, at.y + height - px(12)}, colour::kLine, 1);
    draw_text(draw, theme().small, gauge.alarming ? colour::kTrouble : colour::kFaint,
              {x + px(11), at.y + px(8)}, room - px(12), gauge.label, Align::Left);
    draw_text(draw, theme().mono, gauge.alarming ? colour::kTrouble : colour::kText,
              {x + px(11), at.y + px(26)}, room - px(12), gauge.value);
    if (ImGui::IsWindowHovered() &&
        ImGui::IsMouseHoveringRect({x, at.y}, {x + room, at.y + height})) {
      tooltip(gauge.note);
    }
    x += room;
  }
  draw->AddLine({at.x, at.y + height - 1}, {at.x + width, at.y + height - 1}, colour::kLine, 1);

  float taken = height;
  if (!view.sentence.empty()) {
    draw_banner({at.x, at.y + taken}, width, view.sentence, true, "##none", false, actions);
    taken += px(kBannerPx);
  }
  if (!input.message.empty()) {
    draw_banner({at.x, at.y + taken}, width, input.message, input.message_is_bad, "##dismiss", true,
                actions);
    taken += px(kBannerPx);
  }
  return taken;
}

}  // namespace taskscope::console::panels
