#include "taskscope/console/app/input_queue.h"

#include <catch2/catch.hpp>

using namespace taskscope::console::app;

namespace {
InputEvent down(int key) { return {.kind = InputKind::KeyDown, .code = key}; }
InputEvent up(int key) { return {.kind = InputKind::KeyUp, .code = key}; }
InputEvent move(float x) { return {.kind = InputKind::Move, .x = x}; }
}  // namespace

TEST_CASE("input queue: a tap between two frames is down in one and up in the next") {
  InputQueue queue;
  queue.push(down(65));
  queue.push(up(65));
  const auto first = queue.take_frame();
  REQUIRE(first.size() == 1);
  CHECK(first[0].kind == InputKind::KeyDown);
  const auto second = queue.take_frame();
  REQUIRE(second.size() == 1);
  CHECK(second[0].kind == InputKind::KeyUp);
  CHECK(queue.empty());
}

TEST_CASE("input queue: different keys share a frame, text goes along") {
  InputQueue queue;
  queue.push(down(65));
  queue.push({.kind = InputKind::Text, .code = 'a'});
  queue.push(down(66));
  queue.push({.kind = InputKind::Text, .code = 'b'});
  CHECK(queue.take_frame().size() == 4);
}

TEST_CASE("input queue: a button is seen where it was pressed, a drag where it got to") {
  InputQueue queue;
  queue.push(move(10));
  queue.push({.kind = InputKind::ButtonDown});
  queue.push(move(20));
  queue.push(move(30));
  queue.push({.kind = InputKind::ButtonUp});
  CHECK(queue.take_frame().size() == 2);  // there, and pressed
  const auto dragged = queue.take_frame();
  REQUIRE(dragged.size() == 2);
  CHECK(dragged.back().x == 30);
  const auto let_go = queue.take_frame();
  REQUIRE(let_go.size() == 1);
  CHECK(let_go[0].kind == InputKind::ButtonUp);
}

TEST_CASE("input queue: what is typed after a key that moves the focus waits for it") {
  InputQueue queue;
  InputEvent focus = down(70);
  focus.may_move_focus = true;
  queue.push(focus);
  queue.push({.kind = InputKind::Text, .code = 'x'});
  CHECK(queue.take_frame().size() == 1);
  for (int i = 0; i < InputQueue::kFocusFrames; ++i) CHECK(queue.take_frame().empty());
  CHECK(queue.take_frame().size() == 1);
}
