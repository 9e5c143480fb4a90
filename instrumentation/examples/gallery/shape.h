/// Chance that anybody can repeat: a seed gives the same shapes on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

namespace taskscope::gallery {

/// Source   SplitMix64, Steele, Lea and Flood 2014.
class Shape {
 public:
  /// `name` is mixed in, so that different troubles of one seed are different by chance, too.
  Shape(std::uint64_t seed, std::string_view name) noexcept : seed_(seed), state_(seed) {
    for (const char letter : name) state_ = next() ^ static_cast<unsigned char>(letter);
  }

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// From least to most, both included.
  std::size_t between(std::size_t least, std::size_t most) noexcept {
    return least + static_cast<std::size_t>(next() % (most - least + 1));
  }
  /// True once in `n` times.
  bool once_in(std::size_t n) noexcept { return next() % n == 0; }
  template <class E, std::size_t N>
  E one_of(const E (&choices)[N]) noexcept {
    return choices[between(0, N - 1)];
  }
  /// 0 to n-1 in some order.
  std::vector<std::size_t> order(std::size_t n) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[between(0, i - 1)]);
    return order;
  }

 private:
  std::uint64_t seed_;
  std::uint64_t state_;
};

}  // namespace taskscope::gallery
