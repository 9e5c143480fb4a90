/// A strict JSON reader for tests: what it accepts is JSON.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace taskscope::tests {

struct Json {
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;
  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> value;

  [[nodiscard]] const Array& array() const { return std::get<Array>(value); }
  [[nodiscard]] const Object& object() const { return std::get<Object>(value); }
  [[nodiscard]] const std::string& text() const { return std::get<std::string>(value); }
  [[nodiscard]] double number() const { return std::get<double>(value); }
  [[nodiscard]] bool has(const std::string& key) const { return object().contains(key); }
  /// Throws std::out_of_range where there is no such member.
  const Json& operator[](const std::string& key) const { return object().at(key); }
  const Json& operator[](std::size_t index) const { return array().at(index); }
};

/// nullopt for anything that is not one JSON value with blanks around it.
[[nodiscard]] std::optional<Json> parse_json(std::string_view text);

}  // namespace taskscope::tests
