#include "taskscope/tests/instrumentation/gallery/json.h"

#include <charconv>

namespace taskscope::test {

namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  std::optional<Json> whole() {
    auto value = read();
    if (!text_.empty()) return std::nullopt;
    return value;
  }

 private:
  bool take(char letter) {
    if (text_.empty() || text_.front() != letter) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::optional<std::string> string() {
    std::string read;
    if (!take('"')) return std::nullopt;
    while (!take('"')) {
      if (text_.empty() || static_cast<unsigned char>(text_.front()) < 0x20) return std::nullopt;
      if (take('\\') && text_.empty()) return std::nullopt;
      read += text_.front();
      text_.remove_prefix(1);
    }
    return read;
  }
  std::optional<Json> read() {
    Json value;
    if (text_.starts_with('"')) {
      value.kind = Json::Kind::Text;
      auto read = string();
      if (!read) return std::nullopt;
      value.text = std::move(*read);
      return value;
    }
    if (take('{')) {
      value.kind = Json::Kind::Object;
      for (bool first = true; !take('}'); first = false) {
        if (!first && !take(',')) return std::nullopt;
        auto key = string();
        if (!key || !take(':')) return std::nullopt;
        auto field = read();
        if (!field || !value.fields.emplace(*key, *field).second) return std::nullopt;
      }
      return value;
    }
    if (take('[')) {
      value.kind = Json::Kind::List;
      for (bool first = true; !take(']'); first = false) {
        if (!first && !take(',')) return std::nullopt;
        auto item = read();
        if (!item) return std::nullopt;
        value.items.push_back(std::move(*item));
      }
      return value;
    }
    const auto [end, error] =
        std::from_chars(text_.data(), text_.data() + text_.size(), value.number);
    if (error != std::errc()) return std::nullopt;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }

  std::string_view text_;
};

}  // namespace

std::string Json::text_of(const std::string& key) const {
  const auto found = fields.find(key);
  return found == fields.end() ? std::string{} : found->second.text;
}

std::uint64_t Json::number_of(const std::string& key) const {
  const auto found = fields.find(key);
  return found == fields.end() ? 0 : found->second.number;
}

std::vector<std::uint64_t> Json::ids_of(const std::string& key) const {
  std::vector<std::uint64_t> ids;
  const auto found = fields.find(key);
  if (found == fields.end()) return ids;
  for (const Json& item : found->second.items) ids.push_back(item.number);
  return ids;
}

std::optional<Json> read_json(std::string_view text) { return Reader(text).whole(); }

}  // namespace taskscope::test
