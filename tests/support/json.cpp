#include "taskscope/tests/support/json.h"

#include <charconv>

namespace taskscope::tests {
namespace {

constexpr int kMaxDepth = 200;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Json> parse() {
    Json json;
    if (!value(json, 0)) return std::nullopt;
    blanks();
    if (!text_.empty()) return std::nullopt;
    return json;
  }

 private:
  void blanks() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size())); }
  bool take(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }

  bool value(Json& out, int depth) {
    if (depth > kMaxDepth) return false;
    blanks();
    if (text_.empty()) return false;
    if (take("null")) return out.value = nullptr, true;
    if (take("true")) return out.value = true, true;
    if (take("false")) return out.value = false, true;
    if (text_[0] == '"') return string(out.value.emplace<std::string>());
    if (take("[")) return array(out.value.emplace<Json::Array>(), depth);
    if (take("{")) return object(out.value.emplace<Json::Object>(), depth);
    return number(out.value.emplace<double>());
  }

  bool array(Json::Array& out, int depth) {
    blanks();
    if (take("]")) return true;
    do {
      if (!value(out.emplace_back(), depth + 1)) return false;
      blanks();
    } while (take(","));
    return take("]");
  }

  bool object(Json::Object& out, int depth) {
    blanks();
    if (take("}")) return true;
    do {
      blanks();
      std::string key;
      if (!string(key)) return false;
      blanks();
      if (!take(":") || out.contains(key) || !value(out[key], depth + 1)) return false;
      blanks();
    } while (take(","));
    return take("}");
  }

  bool string(std::string& out) {
    if (!take("\"")) return false;
    while (!text_.empty()) {
      const char c = text_[0];
      text_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (text_.empty()) return false;
      const char escape = text_[0];
      text_.remove_prefix(1);
      static constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
      if (const auto at = kEscapes.find(escape); at != std::string_view::npos) {
        out += kMeanings[at];
      } else if (escape == 'u' && text_.size() >= 4) {
        unsigned code = 0;
        const auto end = std::from_chars(text_.data(), text_.data() + 4, code, 16).ptr;
        if (end != text_.data() + 4) return false;
        text_.remove_prefix(4);
        out += code < 0x80 ? static_cast<char>(code) : '?';
      } else {
        return false;
      }
    }
    return false;
  }

  bool number(double& out) {
    const auto digits = text_.substr(text_[0] == '-' ? 1 : 0);
    if (digits.empty() || digits[0] < '0' || digits[0] > '9') return false;
    if (digits[0] == '0' && digits.size() > 1 && digits[1] >= '0' && digits[1] <= '9') return false;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), out);
    if (error != std::errc{}) return false;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return true;
  }

  std::string_view text_;
};

}  // namespace

std::optional<Json> parse_json(std::string_view text) { return Parser(text).parse(); }

}  // namespace taskscope::tests
