#include "taskscope/instrumentation/examples/redis/request_parser.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

namespace taskscope::redis {
namespace {

using Status = RequestParser::Status;
using Request = std::vector<std::string>;

void feed(RequestParser& parser, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto space = parser.space();
    const std::size_t n = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), n);
    parser.filled(n);
    bytes.remove_prefix(n);
  }
}

struct Parsed {
  std::vector<Request> requests;
  Status end = Status::Incomplete;
  std::string error;
};

void take_all(RequestParser& parser, Parsed& parsed) {
  while ((parsed.end = parser.next()) == Status::Request) {
    parsed.requests.emplace_back(parser.arguments().begin(), parser.arguments().end());
  }
  parsed.error = parser.error();
}

/// Parses `bytes` as they would come in `piece` bytes at a time.
Parsed parse(std::string_view bytes, std::size_t piece = 1 << 20, RequestLimits limits = {}) {
  RequestParser parser(limits);
  Parsed parsed;
  for (std::size_t at = 0; at < bytes.size() && parsed.error.empty(); at += piece) {
    feed(parser, bytes.substr(at, piece));
    take_all(parser, parsed);
  }
  return parsed;
}

TEST_CASE("request parser: pipelined requests come out in order, wherever the bytes are cut") {
  const std::string big(40'000, 'x');
  const std::string bytes =
      "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\nGET k\r\n*0\r\n*-1\r\n\r\n" +
      std::string("*2\r\n$4\r\nECHO\r\n$40000\r\n") + big +
      "\r\nset 'a b' \"\\x41\\n\\\"\"\n*2\r\n$4\r\nECHO\r\n$5\r\na\r\nb";
  const std::vector<Request> expected = {
      {"PING"}, {"SET", "k", ""}, {"GET", "k"}, {"ECHO", big}, {"set", "a b", "A\n\""}};
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 1000u, 4096u, 1u << 20}) {
    const Parsed parsed = parse(bytes, piece);
    CAPTURE(piece);
    CHECK(parsed.requests == expected);
    CHECK(parsed.end == Status::Incomplete);
  }
}

TEST_CASE("request parser: bytes may hold anything") {
  const std::string_view bytes("*2\r\n$3\r\n\0\r\n\r\n$2\r\n\xff\x00\r\n", 21);
  const Parsed parsed = parse(bytes, 1);
  REQUIRE(parsed.requests.size() == 1);
  CHECK(parsed.requests[0] == Request{std::string("\0\r\n", 3), std::string("\xff\0", 2)});
}

TEST_CASE("request parser: what is malformed gets the error that Redis gives, once and for all") {
  const std::pair<std::string, std::string> cases[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"*1\r\n:1\r\n", "expected '$', got ':'"},
      {"*1\r\n\r\n", "expected '$', got '\r'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$\r\n", "invalid bulk length"},
      {"*1\r\n$3 \r\n", "invalid bulk length"},
      {"*" + std::string(70'000, '1'), "too big mbulk count string"},
      {"*1\r\n$" + std::string(70'000, '1'), "too big bulk count string"},
      {std::string(70'000, 'a'), "too big inline request"},
      {"get \"a\r\n", "unbalanced quotes in request"},
      {"get \"a\"b\r\n", "unbalanced quotes in request"},
      {"get 'a'b\r\n", "unbalanced quotes in request"},
  };
  for (const auto& [bytes, error] : cases) {
    const Parsed parsed = parse("PING\r\n" + bytes);
    CAPTURE(bytes.substr(0, 40));
    CHECK(parsed.requests.size() == 1);
    CHECK(parsed.end == Status::Malformed);
    CHECK(parsed.error == "ERR Protocol error: " + error);
  }
}

TEST_CASE("request parser: a request larger than the limit is refused before its bytes are kept") {
  const RequestLimits limits{.bulk_bytes = 100, .request_bytes = 150, .line_bytes = 64};
  CHECK(parse("*1\r\n$101\r\n", 1, limits).error == "ERR Protocol error: invalid bulk length");
  CHECK(parse("*2\r\n$60\r\n" + std::string(60, 'x') + "\r\n$60\r\n", 1, limits).end ==
        Status::TooLarge);
  std::string nine = "*9\r\n", ten = "*10\r\n";  // empty arguments cost their bookkeeping
  for (int i = 0; i < 10; ++i) (i < 9 ? nine : ten) += "$0\r\n\r\n";
  for (int i = 0; i < 9; ++i) ten += "$0\r\n\r\n";
  CHECK(parse(nine, 100, limits).requests.size() == 1);
  CHECK(parse(ten, 100, limits).end == Status::TooLarge);
}

TEST_CASE("request parser: many small requests do not make its buffer grow") {
  RequestParser parser;
  std::size_t taken = 0;
  for (int i = 0; i < 10'000; ++i) {
    feed(parser, "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n*2\r\n$4\r\nEC");
    while (parser.next() == Status::Request) ++taken;
    feed(parser, "HO\r\n$3\r\nabc\r\n");
    while (parser.next() == Status::Request) ++taken;
  }
  CHECK(taken == 20'000);
  CHECK(parser.space().size() <= 16u << 10);
}

TEST_CASE("request parser: integers are read as Redis reads them") {
  std::int64_t number = 0;
  CHECK((parse_integer("0", number) && number == 0));
  CHECK((parse_integer("-17", number) && number == -17));
  CHECK((parse_integer("9223372036854775807", number) && number == INT64_MAX));
  CHECK((parse_integer("-9223372036854775808", number) && number == INT64_MIN));
  for (const auto* text : {"", "-", "-0", "01", "+1", " 1", "1 ", "1.0", "9223372036854775808"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_integer(text, number));
  }
}

}  // namespace
}  // namespace taskscope::redis
