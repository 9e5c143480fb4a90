#include "taskscope/console/app/text_audit.h"

#include <imgui_internal.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <unordered_map>

namespace taskscope::console::app {
namespace {

struct KnownGlyph {
  const ImFont* font = nullptr;
  const ImFontGlyph* glyph = nullptr;
};

/// Glyphs by the corner of their place in the atlas. Places do not repeat.
class GlyphIndex {
 public:
  explicit GlyphIndex(const ImFontAtlas& atlas) : atlas_(atlas) {
    for (const ImFont* font : atlas.Fonts) {
      for (const ImFontGlyph& glyph : font->Glyphs) {
        if (glyph.Visible) by_corner_.emplace(key(glyph.U0, glyph.V0), KnownGlyph{font, &glyph});
      }
    }
  }

  /// The glyph whose place these corners mark; `whole` tells if all of it.
  [[nodiscard]] KnownGlyph find(ImVec2 from, ImVec2 to, bool& whole) const {
    whole = true;
    const auto found = by_corner_.find(key(from.x, from.y));
    if (found != by_corner_.end()) {
      const ImFontGlyph& glyph = *found->second.glyph;
      whole = near(glyph.U1, to.x) && near(glyph.V1, to.y);
      return found->second;
    }
    // Part of a glyph, when text was clipped while it was drawn: rare, so looked for one by one.
    whole = false;
    if (to.x - from.x <= 0 || to.y - from.y <= 0) return {};
    for (const ImFont* font : atlas_.Fonts) {
      for (const ImFontGlyph& glyph : font->Glyphs) {
        if (glyph.Visible && from.x >= glyph.U0 - kNear && to.x <= glyph.U1 + kNear &&
            from.y >= glyph.V0 - kNear && to.y <= glyph.V1 + kNear) {
          return {font, &glyph};
        }
      }
    }
    return {};
  }

 private:
  static constexpr float kNear = 1e-5f;
  static bool near(float a, float b) { return std::fabs(a - b) < kNear; }
  static std::uint64_t key(float u, float v) {
    const auto part = [](float x) {
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(std::lround(x * 65536.0f)));
    };
    return part(u) << 32 | (part(v) & 0xffffffffu);
  }
  const ImFontAtlas& atlas_;
  std::unordered_map<std::uint64_t, KnownGlyph> by_corner_;
};

void append_utf8(std::string& text, unsigned code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
  }
}

/// Puts glyphs that follow each other on a line together.
class RunBuilder {
 public:
  explicit RunBuilder(std::vector<TextRun>& runs) : runs_(runs) {}

  void add(const KnownGlyph& known, ImVec2 from, ImVec2 to, bool whole, const ImVec4& clip,
           const char* window) {
    const ImFont& font = *known.font;
    const ImFontGlyph& glyph = *known.glyph;
    // Where the pen stood; of half a glyph only about.
    const float pen_x = from.x - glyph.X0;
    const float pen_y = whole ? from.y - glyph.Y0 : pen_y_;
    const float gap = pen_x - pen_end_;
    const float space = font.FindGlyph(' ')->AdvanceX;
    const bool goes_on = open_ && font_ == &font && std::fabs(pen_y - pen_y_) < 0.6f &&
                         gap > -1.5f && gap < space * 2.6f && same_clip(clip);
    if (!goes_on) {
      finish();
      open_ = true;
      font_ = &font;
      pen_y_ = pen_y;
      run_ = {};
      run_.x = pen_x;
      run_.y = pen_y;
      run_.height = font.FontSize;
      run_.ink_x1 = from.x;
      run_.ink_y1 = from.y;
      run_.ink_x2 = to.x;
      run_.ink_y2 = to.y;
      run_.clip_x1 = clip.x;
      run_.clip_y1 = clip.y;
      run_.clip_x2 = clip.z;
      run_.clip_y2 = clip.w;
      run_.window = window != nullptr ? window : "";
    } else {
      for (float left = gap; left > space * 0.6f; left -= space) run_.text += ' ';
    }
    append_utf8(run_.text, glyph.Codepoint);
    run_.ink_x1 = std::min(run_.ink_x1, from.x);
    run_.ink_y1 = std::min(run_.ink_y1, from.y);
    run_.ink_x2 = std::max(run_.ink_x2, to.x);
    run_.ink_y2 = std::max(run_.ink_y2, to.y);
    run_.halved = run_.halved || !whole;
    pen_end_ = pen_x + glyph.AdvanceX;
    run_.width = pen_end_ - run_.x;
  }

  void finish() {
    if (!open_) return;
    open_ = false;
    const bool seen = run_.ink_x1 < run_.clip_x2 && run_.ink_x2 > run_.clip_x1 &&
                      run_.ink_y1 < run_.clip_y2 && run_.ink_y2 > run_.clip_y1;
    if (seen) runs_.push_back(std::move(run_));
  }

 private:
  [[nodiscard]] bool same_clip(const ImVec4& clip) const {
    return clip.x == run_.clip_x1 && clip.y == run_.clip_y1 && clip.z == run_.clip_x2 &&
           clip.w == run_.clip_y2;
  }
  std::vector<TextRun>& runs_;
  TextRun run_;
  bool open_ = false;
  const ImFont* font_ = nullptr;
  float pen_y_ = 0, pen_end_ = 0;
};

bool floats(const TextRun& run) {
  return run.window.starts_with("##Tooltip") || run.window.starts_with("##Popup") ||
         run.window.starts_with("##Combo") || run.window.starts_with("##Menu");
}

std::string shown(const TextRun& run) {
  char place[96];
  std::snprintf(place, sizeof place, "\" at %.0f,%.0f %.0fx%.0f in ", static_cast<double>(run.x),
                static_cast<double>(run.y), static_cast<double>(run.width),
                static_cast<double>(run.height));
  return "\"" + run.text + place + run.window;
}

}  // namespace

std::vector<TextRun> text_runs(const ImDrawData& frame, const ImFontAtlas& atlas) {
  std::vector<TextRun> runs;
  const GlyphIndex glyphs(atlas);
  for (int l = 0; l < frame.CmdListsCount; ++l) {
    const ImDrawList& list = *frame.CmdLists[l];
    RunBuilder builder(runs);
    for (const ImDrawCmd& command : list.CmdBuffer) {
      if (command.UserCallback != nullptr) continue;
      for (unsigned i = 0; i + 6 <= command.ElemCount;) {
        const auto corner = [&](unsigned k) -> const ImDrawVert& {
          const ImDrawIdx index = list.IdxBuffer[static_cast<int>(command.IdxOffset + i + k)];
          return list.VtxBuffer[static_cast<int>(command.VtxOffset + index)];
        };
        // A glyph is drawn as (0 1 2) (0 2 3); other shapes are passed by a triangle at a time.
        const ImDrawVert &a = corner(0), &b = corner(1), &c = corner(2), &d = corner(5);
        const bool quad = &a == &corner(3) && &c == &corner(4) && a.pos.y == b.pos.y &&
                          b.pos.x == c.pos.x && c.pos.y == d.pos.y && d.pos.x == a.pos.x;
        bool whole = true;
        KnownGlyph known;
        if (quad && (a.uv.x != c.uv.x || a.uv.y != c.uv.y)) {
          known = glyphs.find(a.uv, c.uv, whole);
        }
        if (known.glyph == nullptr) {
          i += 3;
          continue;
        }
        builder.add(known, a.pos, c.pos, whole, command.ClipRect, list._OwnerName);
        i += 6;
      }
    }
    builder.finish();
  }
  return runs;
}

std::vector<std::string> audit_text(const std::vector<TextRun>& runs) {
  std::vector<std::string> problems;
  constexpr float kSlack = 1.0f;  // an antialiased edge
  for (const TextRun& run : runs) {
    const bool scrolls = run.window.find("scroll") != std::string::npos;
    const bool cut_beside = run.ink_x1 < run.clip_x1 - kSlack || run.ink_x2 > run.clip_x2 + kSlack;
    const bool cut_above = run.ink_y1 < run.clip_y1 - kSlack || run.ink_y2 > run.clip_y2 + kSlack;
    if (cut_beside || run.halved) problems.push_back("cut beside: " + shown(run));
    if (cut_above && !scrolls) problems.push_back("cut above or below: " + shown(run));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const TextRun& one = runs[i];
    if (floats(one)) continue;
    for (std::size_t k = i + 1; k < runs.size(); ++k) {
      const TextRun& other = runs[k];
      if (floats(other)) continue;
      const float x1 = std::max({one.ink_x1, other.ink_x1, one.clip_x1, other.clip_x1});
      const float x2 = std::min({one.ink_x2, other.ink_x2, one.clip_x2, other.clip_x2});
      const float y1 = std::max({one.ink_y1, other.ink_y1, one.clip_y1, other.clip_y1});
      const float y2 = std::min({one.ink_y2, other.ink_y2, one.clip_y2, other.clip_y2});
      if (x2 - x1 > 1.5f && y2 - y1 > 1.5f) {
        problems.push_back("overlap: " + shown(one) + " and " + shown(other));
      }
    }
  }
  return problems;
}

}  // namespace taskscope::console::app
