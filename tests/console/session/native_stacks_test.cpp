#include "taskscope/console/session/native_stacks.h"

#include <catch2/catch.hpp>

#include "taskscope/console/session/model.h"

using namespace taskscope;
using console::session::Limits;
using console::session::Model;
using console::session::NativeStacks;

namespace {

std::vector<protocol::Module> modules() {
  return {{1, 0x401000, 0x402000, 0x400000, "/opt/app/server", "c0ffee"},
          {2, 0x7f0000001000, 0x7f0000002000, 0x7f0000000000, "/usr/lib/libc.so.6", ""}};
}

protocol::NativeStack stack(std::uint64_t task, std::uint64_t sequence, std::uint64_t ticks) {
  return {.ticks = ticks,
          .since_ticks = ticks - 1,
          .task = task,
          .worker = 1,
          .tid = 7,
          .poll_sequence = sequence,
          .in_kernel = true,
          .system_call = "read",
          .frames = {{0x7f0000001010, 2, false}, {0x401235, 1, true}, {0x99, 0, false}}};
}

std::vector<protocol::Symbol> symbols() {
  // A caller is looked up in front of its return address, the leaf where it is.
  return {{2, 0x1010, {{"read", "../sysdeps/read.c", 26}}},
          {1, 0x1234, {{"copy(char*)", "copy.h", 12}, {"app::load(int)", "/src/app.cpp", 34}}}};
}

}  // namespace

TEST_CASE("native stacks: names come before or after the stack, the result is the same") {
  NativeStacks early(10), late(10);
  early.add(modules());
  early.add(symbols());
  early.add(stack(5, 1, 100));
  late.add(stack(5, 1, 100));
  CHECK(late.of(5)->frames.size() == 3);
  CHECK(late.of(5)->frames[0].function.empty());
  late.add(modules());
  CHECK(late.of(5)->frames[1].module == "/opt/app/server");
  CHECK(late.of(5)->frames[1].build_id == "c0ffee");
  CHECK(late.of(5)->frames[1].offset == 0x1235);
  late.add(symbols());
  for (const auto* stacks : {&early, &late}) {
    const auto* const one = stacks->of(5);
    REQUIRE(one != nullptr);
    REQUIRE(one->frames.size() == 4);
    CHECK(one->frames[0].function == "read");
    CHECK(one->frames[1].function == "copy(char*)");
    CHECK(one->frames[1].inlined);
    CHECK(one->frames[1].guessed);
    CHECK(one->frames[2].function == "app::load(int)");
    CHECK(one->frames[2].file == "/src/app.cpp");
    CHECK(one->frames[2].line == 34);
    CHECK_FALSE(one->frames[2].inlined);
    CHECK(one->frames[3].module.empty());
    CHECK(one->frames[3].address == 0x99);
    // What the C library does there is not the place to look at.
    CHECK(console::session::own_frame(*one) == &one->frames[1]);
  }
}

TEST_CASE("native stacks: a poll has one, its newest; a reading that failed replaces none") {
  NativeStacks stacks(10);
  stacks.add(stack(5, 1, 100));
  auto newer = stack(5, 1, 200);
  newer.system_call = "write";
  stacks.add(std::move(newer));
  REQUIRE(stacks.all().size() == 1);
  CHECK(stacks.of(5)->system_call == "write");
  CHECK(stacks.of(5)->since_ticks == 99);
  auto failed = stack(5, 1, 300);
  failed.frames.clear();
  failed.problem = "it runs";
  stacks.add(std::move(failed));
  CHECK(stacks.of(5)->frames.size() == 3);
  stacks.add(stack(5, 2, 400));
  CHECK(stacks.all().size() == 2);
  CHECK(stacks.of(5)->poll_sequence == 2);
  CHECK(stacks.of(6) == nullptr);
}

TEST_CASE("native stacks: only so many are kept, the oldest go first") {
  NativeStacks stacks(3);
  for (std::uint64_t task = 1; task <= 10; ++task) stacks.add(stack(task, 1, 100 * task));
  CHECK(stacks.all().size() == 3);
  CHECK(stacks.bounded() == 7);
  for (std::uint64_t task = 1; task <= 10; ++task)
    CHECK((stacks.of(task) != nullptr) == (task >= 8));
  stacks.add(stack(9, 2, 2000));
  CHECK(stacks.of(8) == nullptr);
  CHECK(stacks.of(9)->poll_sequence == 2);
  CHECK(stacks.all().front().task == 9);  // its earlier poll
}

TEST_CASE("native stacks: hostile ones stay bounded") {
  Model model(Limits{.native_stacks = 4});
  for (std::uint64_t round = 0; round < 50; ++round) {
    protocol::NativeStack wild = stack(round % 7, round, UINT64_MAX - round);
    wild.frames.assign(5000, {round * 0x9e3779b97f4a7c15u, 1, true});
    wild.system_call.assign(100'000, 'x');
    model.apply(std::move(wild));
    std::vector<protocol::Symbol> names(100);
    for (std::size_t i = 0; i < names.size(); ++i)
      names[i] = {1, round * 0x9e3779b97f4a7c15u - 1 + i, {64, {"f", "g", 1}}};
    model.apply(std::move(names));
    model.apply(
        std::vector<protocol::Module>{{1, 0, UINT64_MAX, 0, "m", ""}, {0, 1, 2, 3, "", ""}});
  }
  CHECK(model.native_stacks().size() == 4);
  for (const auto& one : model.native_stacks()) {
    CHECK(one.frames.size() <= 1024);
    CHECK(one.system_call.size() <= 4096);
  }
}
