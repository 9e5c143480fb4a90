/// Keys, text and mouse in the order they came, each change seen for at least one frame.
///
/// GLFW's callbacks set a flag a key or button, and the place of the pointer is asked for once a
/// frame: a tap between two frames leaves no trace, a quick drag no distance, and frames are long
/// where OpenGL is drawn in software. So the callbacks only put changes here, and every frame takes
/// changes until a key would change for the second time, or up to the change of a button, so that
/// it is seen where it happened. A key that may move the focus ends the frame too, and what came
/// after it waits until the focus has moved: else the first letters typed after it would be
/// commands.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

namespace taskscope::console::app {

enum class InputKind : unsigned char {
  KeyDown,
  KeyUp,
  KeyRepeat,
  Text,
  Move,
  Leave,
  ButtonDown,
  ButtonUp,
  Wheel
};

struct InputEvent {
  InputKind kind = InputKind::KeyDown;
  int code = 0;  ///< the window library's number of the key or button; Text: the character
  int modifiers = 0;
  bool may_move_focus = false;
  float x = 0, y = 0;  ///< Move: where to; Wheel: how far
};

class InputQueue {
 public:
  /// Frames that a text field needs to become active.
  static constexpr int kFocusFrames = 2;

  void push(const InputEvent& event) { waiting_.push_back(event); }

  /// What a frame may see.
  [[nodiscard]] std::vector<InputEvent> take_frame() {
    std::vector<InputEvent> frame;
    if (held_ > 0) {
      --held_;
      return frame;
    }
    while (!waiting_.empty()) {
      const InputEvent next = waiting_.front();
      if (is_key(next)) {
        for (const InputEvent& seen : frame) {
          if (is_key(seen) && seen.code == next.code) return frame;
        }
      }
      // What was dragged is seen where it got to, before it is let go.
      if (next.kind == InputKind::ButtonUp && !frame.empty() &&
          frame.back().kind == InputKind::Move) {
        return frame;
      }
      frame.push_back(next);
      waiting_.pop_front();
      if (next.kind == InputKind::ButtonDown || next.kind == InputKind::ButtonUp) break;
      if (next.kind == InputKind::KeyDown && next.may_move_focus) {
        held_ = kFocusFrames;
        break;
      }
    }
    return frame;
  }

  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  static bool is_key(const InputEvent& event) { return event.kind <= InputKind::KeyRepeat; }

  std::deque<InputEvent> waiting_;
  int held_ = 0;
};

}  // namespace taskscope::console::app
