#include "taskscope/console/panels/format.h"

#include <catch2/catch.hpp>

using namespace taskscope::console::panels;

TEST_CASE("format: paths in a sentence are told by their last part") {
  CHECK(short_places("6 tasks wait at /src/a b/x/wakers.cpp:52, and (/usr/lib/io.h:7) too") ==
        "6 tasks wait at a b/x/wakers.cpp:52, and (io.h:7) too");
  CHECK(short_places("at /src/one.cpp:1; at /two.cpp:2 at / end /") ==
        "at one.cpp:1; at /two.cpp:2 at / end /");
  CHECK(short_places("").empty());
  CHECK(short_places("3 / 4 and/or 5") == "3 / 4 and/or 5");
}

TEST_CASE("format: durations have three digits and the unit that fits") {
  CHECK(duration_text(0) == "0");
  CHECK(duration_text(840) == "840 ns");
  CHECK(duration_text(12'340) == "12.3 µs");
  CHECK(duration_text(999'400) == "999 µs");
  CHECK(duration_text(999'600) == "1.00 ms");
  CHECK(duration_text(4'560'000) == "4.56 ms");
  CHECK(duration_text(1'234'000'000) == "1.23 s");
  CHECK(duration_text(59'990'000'000) == "60.0 s");
  CHECK(duration_text(123'000'000'000) == "2 min 03 s");
  CHECK(duration_text(3'725'000'000'000) == "1 h 02 min");
  CHECK(duration_text(-1'500) == "-1.50 µs");
  CHECK(duration_text(INT64_MIN).front() == '-');
}

TEST_CASE("format: neighbouring ticks of an axis read differently, whatever their distance") {
  CHECK(axis_text(1'500'000'000, 500'000'000) == "1.5 s");
  CHECK(axis_text(2'000'000'000, 1'000'000'000) == "2 s");
  CHECK(axis_text(1'234'567'000, 1'000) == "1.234 567 s");
  CHECK(axis_text(1'234'567'891, 1) == "1.234 567 891 s");
  CHECK(axis_text(62'500'000'000, 500'000'000) == "1:02.5");
  CHECK(axis_text(3'723'000'000'000, 1'000'000'000) == "1:02:03");
  CHECK(axis_text(-500'000'000, 100'000'000) == "-0.5 s");
}

TEST_CASE("format: counts, bytes and shares stay short") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1'234'567) == "1,234,567");
  CHECK(short_count_text(999) == "999");
  CHECK(short_count_text(12'340) == "12.3 k");
  CHECK(short_count_text(4'560'000) == "4.56 M");
  CHECK(bytes_text(640) == "640 B");
  CHECK(bytes_text(12'600) == "12.3 KiB");
  CHECK(bytes_text(32.0 * 1024 * 1024) == "32.0 MiB");
  CHECK(percent_text(0) == "0 %");
  CHECK(percent_text(0.0004) == "<0.1 %");
  CHECK(percent_text(0.053) == "5.3 %");
  CHECK(percent_text(1) == "100 %");
}

TEST_CASE("format: a function's name is what is left without types, parameters and templates") {
  CHECK(short_function("taskscope::runtime::Task<void> redis::Server::serve(net::TcpStream)") ==
        "Server::serve");
  CHECK(short_function("int main()") == "main");
  CHECK(short_function("void (anonymous namespace)::run(const Options &)") == "run");
  CHECK(short_function("auto work<std::vector<int>>(int) [T = int]") == "work");
  CHECK(short_function("serve") == "serve");
  CHECK(short_function("").empty());
}

TEST_CASE("format: places and tails") {
  CHECK(place_text("/home/ada/src/server.cpp", 42) == "server.cpp:42");
  CHECK(place_text("", 0) == "unknown place");
  CHECK(keep_tail("/home/ada/src/server.cpp", 13) == "…server.cpp");
  CHECK(keep_tail("short", 13) == "short");
}
