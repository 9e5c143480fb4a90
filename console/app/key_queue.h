/// Keys in the order they were pressed, each seen for at least one frame.
///
/// GLFW's callbacks set a flag a key; a press and its release between two frames leave no trace. So
/// the callback only puts the change here, and every frame takes changes until a key would change
/// for the second time.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

namespace taskscope::console::app {

enum class KeyChange : unsigned char { Down, Up, Repeat };

struct KeyEvent {
  int key = 0;  ///< the window library's number
  KeyChange change = KeyChange::Down;
  int modifiers = 0;
};

class KeyQueue {
 public:
  void push(const KeyEvent& event) { waiting_.push_back(event); }

  /// What a frame may see: changes in order, at most one for each key.
  [[nodiscard]] std::vector<KeyEvent> take_frame() {
    std::vector<KeyEvent> frame;
    while (!waiting_.empty()) {
      for (const KeyEvent& seen : frame) {
        if (seen.key == waiting_.front().key) return frame;
      }
      frame.push_back(waiting_.front());
      waiting_.pop_front();
    }
    return frame;
  }

  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  std::deque<KeyEvent> waiting_;
};

}  // namespace taskscope::console::app
