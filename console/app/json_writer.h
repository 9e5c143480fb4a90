/// JSON as text, value by value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace taskscope::console::app {

/// Appends the string with its quotes; what is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Commas, quotes and indentation. Whoever calls it keeps keys inside objects and values in order.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool yes);
  JsonWriter& null();
  template <class Number>
    requires(std::is_integral_v<Number> && !std::is_same_v<Number, bool>)
  JsonWriter& value(Number number) {
    return raw(std::to_string(number));
  }
  template <class Value>
  JsonWriter& member(std::string_view name, const Value& content) {
    key(name);
    return value(content);
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& raw(std::string_view text);
  void begin_value();
  void new_line();

  std::string& out_;
  int depth_ = 0;
  bool first_ = true, after_key_ = false;
};

}  // namespace taskscope::console::app
