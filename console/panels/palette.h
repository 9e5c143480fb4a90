/// Colours that mean something: hue is the class of a state, lightness what kind of it, and a
/// second channel (hatch, shape) how bad it is. Never colour alone. No ImGui: layouts name colours.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace taskscope::console::panels {

/// 0xAABBGGRR, as ImGui packs it.
using Colour = std::uint32_t;

[[nodiscard]] constexpr Colour rgb(std::uint32_t hex, std::uint32_t alpha = 255) {
  return ((hex >> 16) & 0xff) | (hex & 0xff00) | ((hex & 0xff) << 16) | (alpha << 24);
}
[[nodiscard]] constexpr Colour with_alpha(Colour colour, float alpha) {
  return (colour & 0x00ffffffu) | (static_cast<Colour>(alpha * 255.0f + 0.5f) << 24);
}
/// Towards `other` by `share`, channel by channel.
[[nodiscard]] constexpr Colour mixed(Colour one, Colour other, float share) {
  Colour result = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    const auto a = static_cast<float>((one >> shift) & 0xff);
    const auto b = static_cast<float>((other >> shift) & 0xff);
    result |= static_cast<Colour>(a + (b - a) * share + 0.5f) << shift;
  }
  return result;
}

namespace colour {

// Surfaces, from the back to the front.
constexpr Colour kBackground = rgb(0x111418);
constexpr Colour kPanel = rgb(0x171b21);
constexpr Colour kHeader = rgb(0x1c2128);
constexpr Colour kRaised = rgb(0x242a33);
constexpr Colour kHover = rgb(0x2c343f);
constexpr Colour kPressed = rgb(0x364150);
constexpr Colour kLine = rgb(0x272e38);
constexpr Colour kStrongLine = rgb(0x3a4452);
constexpr Colour kLane = rgb(0x13171c);

// Text. All reach 4.5:1 on kPanel; faint is for what repeats.
constexpr Colour kText = rgb(0xdde3ea);
constexpr Colour kDim = rgb(0xa3aebb);
constexpr Colour kFaint = rgb(0x7f8b9a);
constexpr Colour kAccent = rgb(0x6cb2ff);
constexpr Colour kSelection = rgb(0x23405f);
constexpr Colour kSelectionLine = rgb(0xffffff);

// Classes of state.
constexpr Colour kPolling = rgb(0x4cc38a);    // green: it runs
constexpr Colour kScheduled = rgb(0xe5a93c);  // amber: it could run, and does not
constexpr Colour kDone = rgb(0x4a535f);       // grey: over
constexpr Colour kParked = rgb(0x2a313b);
constexpr Colour kTrouble = rgb(0xf2645a);  // red: lost, failed, dead
constexpr Colour kGood = rgb(0x4cc38a);

// Waiting has the cool half of the circle, a hue for each class of what is waited on, away from the
// green, amber and red above; kinds within a class differ in lightness.
constexpr Colour kWaitLock = rgb(0xc46fd6);      // orchid
constexpr Colour kWaitChannel = rgb(0x3aa7a3);   // teal
constexpr Colour kWaitTimer = rgb(0x6f7fd8);     // indigo
constexpr Colour kWaitIo = rgb(0x3d7fc4);        // blue
constexpr Colour kWaitJoin = rgb(0x8fbce6);      // pale blue
constexpr Colour kWaitBlocking = rgb(0xb08968);  // brown
constexpr Colour kWaitNotify = rgb(0xd77fa6);    // pink
constexpr Colour kWaitOther = rgb(0x53606f);

/// Call sites, where a lane shows whose poll it is. Told apart by hue at one lightness, away from
/// the green and amber of states; an eleventh site starts again, and names are always beside them.
constexpr std::array<Colour, 10> kSites = {
    rgb(0x7f9be0), rgb(0xd98695), rgb(0x5fb9cb), rgb(0xc9b291), rgb(0xb08ce0),
    rgb(0x9fb4c4), rgb(0xc77fb8), rgb(0x6f9fae), rgb(0xb79a9a), rgb(0x8c8fd6),
};

}  // namespace colour

[[nodiscard]] constexpr Colour site_colour(std::size_t rank) {
  return colour::kSites[rank % colour::kSites.size()];
}

}  // namespace taskscope::console::panels
