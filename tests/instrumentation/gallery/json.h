/// Reads a line of JSON strictly: what is no JSON is no value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace taskscope::test {

/// Objects, lists, texts and whole numbers: what the gallery prints.
struct Json {
  enum class Kind { Object, List, Text, Number } kind = Kind::Number;
  std::map<std::string, Json> fields;
  std::vector<Json> items;
  std::string text;
  std::uint64_t number = 0;

  [[nodiscard]] bool has(const std::string& key) const { return fields.contains(key); }
  /// Empty where there is none.
  [[nodiscard]] std::string text_of(const std::string& key) const;
  [[nodiscard]] std::uint64_t number_of(const std::string& key) const;
  [[nodiscard]] std::vector<std::uint64_t> ids_of(const std::string& key) const;
};

[[nodiscard]] std::optional<Json> read_json(std::string_view text);

}  // namespace taskscope::test
