#include <catch2/catch.hpp>

#include "taskscope/console/app/json_writer.h"
#include "taskscope/tests/support/json.h"

using namespace taskscope;
using console::app::append_json_string;
using console::app::JsonWriter;
using tests::parse_json;

namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

TEST_CASE("strings are escaped, and what is not UTF-8 is replaced") {
  CHECK(quoted("a\"b\\c\n\t\x01\x7f") == "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
  CHECK(quoted("\xc2\xb5 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "\"\xc2\xb5 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  for (const std::string_view bad : {"\xff", "\x80", "\xc2", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80",
                                     "\xf5\x80\x80\x80", "\xe0\x80\x80"}) {
    const auto text = quoted(bad);
    CHECK(text.find("\xef\xbf\xbd") == 1);
    CHECK(parse_json(text).has_value());
  }
}

TEST_CASE("the writer writes what the reader reads") {
  std::string text;
  JsonWriter json(text);
  json.object();
  json.member("a", 1).member("b", "x").member("c", true).key("d").null();
  json.key("e").array().value(1).value(-2).array().end_array().end_array();
  json.key("f").object().end_object();
  json.end_object();
  const auto read = parse_json(text);
  REQUIRE(read);
  CHECK((*read)["a"].number() == 1);
  CHECK((*read)["b"].text() == "x");
  CHECK((*read)["e"][1].number() == -2);
  CHECK((*read)["e"][2].array().empty());
  CHECK((*read)["f"].object().empty());
}

TEST_CASE("the tests' reader takes JSON and nothing else") {
  for (const auto* good : {"1", "-0.5e3", "[]", "{}", " [1, {\"a\": null}] ", "\"\\u0041\""})
    CHECK(parse_json(good).has_value());
  for (const auto* bad : {"", "[1,]", "{\"a\":1,}", "{a:1}", "[1 2]", "01", "nul", "\"\n\"", "1 1",
                          "\"\\x\"", "{\"a\":1,\"a\":2}", "[", "\"", "+1", "-"})
    CHECK(!parse_json(bad).has_value());
}
