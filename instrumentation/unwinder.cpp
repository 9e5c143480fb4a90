/// How a caller is found, the surest way first:
///
///   1. by the unwind tables (.eh_frame) that compilers write for exceptions, and that stay in
///      every program. They need no frame pointer, but they start from registers, and of a thread
///      that waits in the kernel only pc and sp are known;
///   2. where a table needs the frame pointer and nobody knows it: by searching the stack for the
///      frame that such a function makes. Is the call behind its return address a direct call of
///      just this function, the frame is certain; else it is a guess;
///   3. where there is no table: by the frame pointer, else by the next word on the stack that is a
///      return address. Both are guesses.
///
/// The obvious ways are worse. Frame pointers alone end at the first function of the C library,
/// which has none, and a blocked thread is always in one. The unwinder of the C++ runtime follows
/// whatever the stack holds and can fault; this one reads a copy, and memory that can't fault.
#include "taskscope/instrumentation/unwinder.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace taskscope::instrumentation {

namespace {

constexpr std::size_t kMaxEntryBytes = 16u << 10;  // of a table's entry
constexpr std::size_t kMaxRemembered = 16;
constexpr std::uint64_t kSearchBytes = 16u << 10;  // how far up a frame is searched
constexpr std::size_t kMaxGuesses = 16;

// --- reading tables

/// Reads bytes in order; once it failed, everything is 0.
class Bytes {
 public:
  Bytes(const unsigned char* begin, std::size_t size, std::uint64_t address)
      : at_(begin), end_(begin + size), address_(address) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
  [[nodiscard]] std::uint64_t address() const noexcept { return address_; }  // of the next byte

  template <class T>
  T get() noexcept {
    T value{};
    if (static_cast<std::size_t>(end_ - at_) < sizeof value) {
      fail();
      return T{};
    }
    std::memcpy(&value, at_, sizeof value);
    skip(sizeof value);
    return value;
  }
  void skip(std::uint64_t bytes) noexcept {
    if (bytes > static_cast<std::uint64_t>(end_ - at_)) return fail();
    at_ += bytes;
    address_ += bytes;
  }
  std::uint64_t uleb() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = get<std::uint8_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail();
    return 0;
  }
  std::int64_t sleb() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
      const auto byte = get<std::uint8_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      shift += 7;
      if (byte >= 0x80) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
    fail();
    return 0;
  }
  /// A pointer as DW_EH_PE says; indirect ones are not followed.
  std::uint64_t pointer(std::uint8_t encoding, std::uint64_t data_base = 0) noexcept {
    if (encoding == 0xff) return 0;
    const std::uint64_t here = address_;
    std::uint64_t value = 0;
    switch (encoding & 0x0f) {
      case 0x00:
      case 0x04:
      case 0x0c:
        value = get<std::uint64_t>();
        break;
      case 0x01:
        value = uleb();
        break;
      case 0x02:
        value = get<std::uint16_t>();
        break;
      case 0x03:
        value = get<std::uint32_t>();
        break;
      case 0x09:
        value = static_cast<std::uint64_t>(sleb());
        break;
      case 0x0a:
        value = static_cast<std::uint64_t>(std::int64_t{get<std::int16_t>()});
        break;
      case 0x0b:
        value = static_cast<std::uint64_t>(std::int64_t{get<std::int32_t>()});
        break;
      default:
        fail();
    }
    switch (encoding & 0x70) {
      case 0x00:
        return value;
      case 0x10:
        return here + value;
      case 0x30:
        return data_base + value;
      default:
        fail();
        return 0;
    }
  }

 private:
  void fail() noexcept {
    failed_ = true;
    at_ = end_;
  }
  const unsigned char* at_;
  const unsigned char* end_;
  std::uint64_t address_;
  bool failed_ = false;
};

// --- rules

/// Where the caller's value of a register is.
struct Rule {
  enum class Kind : std::uint8_t { Same, Undefined, AtCfa, CfaPlus, Register, Unknown };
  Kind kind = Kind::Same;
  std::int64_t value = 0;  // offset, or number
};

struct Row {
  bool has_cfa = false;
  std::uint64_t cfa_register = 0;
  std::int64_t cfa_offset = 0;
  std::array<Rule, Registers::kCount> rules{};
};

struct Cie {
  std::uint64_t code_align = 1;
  std::int64_t data_align = 1;
  std::uint64_t return_register = Registers::kReturn;
  std::uint8_t encoding = 0;
  bool has_augmentation = false, is_signal_frame = false;
};

struct Plan {
  Row row;
  std::uint64_t function = 0;  ///< its first address
  std::uint64_t return_register = Registers::kReturn;
  bool is_signal_frame = false;
};

/// Runs call frame instructions up to `pc`; false for what it does not know.
bool run_instructions(Bytes code, const Cie& cie, std::uint64_t at, std::uint64_t pc, Row& row,
                      const Row* initial) {
  std::vector<Row> remembered;
  const auto rule = [&](std::uint64_t number) -> Rule* {
    return number < row.rules.size() ? &row.rules[static_cast<std::size_t>(number)] : nullptr;
  };
  const auto set = [&](std::uint64_t number, Rule::Kind kind, std::int64_t value = 0) {
    if (Rule* const one = rule(number)) *one = {kind, value};
  };
  const auto scaled = [&](std::int64_t value) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) *
                                     static_cast<std::uint64_t>(cie.data_align));
  };
  const auto restore = [&](std::uint64_t number) {
    if (Rule* const one = rule(number))
      *one = initial != nullptr ? initial->rules[static_cast<std::size_t>(number)] : Rule{};
  };
  while (!code.at_end()) {
    const auto byte = code.get<std::uint8_t>();
    const std::uint8_t low = byte & 0x3f;
    switch (byte >> 6) {
      case 1:  // advance_loc
        at += low * cie.code_align;
        if (at > pc) return !code.failed();
        continue;
      case 2:  // offset
        set(low, Rule::Kind::AtCfa, scaled(static_cast<std::int64_t>(code.uleb())));
        continue;
      case 3:
        restore(low);
        continue;
      default:
        break;
    }
    std::uint64_t advance = 0, number = 0;
    switch (low) {
      case 0x00:  // nop
        break;
      case 0x01:  // set_loc
        at = code.pointer(cie.encoding);
        if (at > pc) return !code.failed();
        break;
      case 0x02:
        advance = code.get<std::uint8_t>();
        break;
      case 0x03:
        advance = code.get<std::uint16_t>();
        break;
      case 0x04:
        advance = code.get<std::uint32_t>();
        break;
      case 0x05:  // offset_extended
        number = code.uleb();
        set(number, Rule::Kind::AtCfa, scaled(static_cast<std::int64_t>(code.uleb())));
        break;
      case 0x06:
        restore(code.uleb());
        break;
      case 0x07:
        set(code.uleb(), Rule::Kind::Undefined);
        break;
      case 0x08:
        set(code.uleb(), Rule::Kind::Same);
        break;
      case 0x09:
        number = code.uleb();
        set(number, Rule::Kind::Register, static_cast<std::int64_t>(code.uleb()));
        break;
      case 0x0a:
        if (remembered.size() >= kMaxRemembered) return false;
        remembered.push_back(row);
        break;
      case 0x0b:
        if (remembered.empty()) return false;
        row = remembered.back();
        remembered.pop_back();
        break;
      case 0x0c:  // def_cfa
        row.has_cfa = true;
        row.cfa_register = code.uleb();
        row.cfa_offset = static_cast<std::int64_t>(code.uleb());
        break;
      case 0x0d:
        row.cfa_register = code.uleb();
        break;
      case 0x0e:
        row.cfa_offset = static_cast<std::int64_t>(code.uleb());
        break;
      case 0x0f:  // def_cfa_expression: those of PLTs and realigned stacks
        code.skip(code.uleb());
        row.has_cfa = false;
        break;
      case 0x10:  // expression
      case 0x16:  // val_expression
        number = code.uleb();
        code.skip(code.uleb());
        set(number, Rule::Kind::Unknown);
        break;
      case 0x11:  // offset_extended_sf
        number = code.uleb();
        set(number, Rule::Kind::AtCfa, scaled(code.sleb()));
        break;
      case 0x12:  // def_cfa_sf
        row.has_cfa = true;
        row.cfa_register = code.uleb();
        row.cfa_offset = scaled(code.sleb());
        break;
      case 0x13:
        row.cfa_offset = scaled(code.sleb());
        break;
      case 0x14:  // val_offset
        number = code.uleb();
        set(number, Rule::Kind::CfaPlus, scaled(static_cast<std::int64_t>(code.uleb())));
        break;
      case 0x15:  // val_offset_sf
        number = code.uleb();
        set(number, Rule::Kind::CfaPlus, scaled(code.sleb()));
        break;
      case 0x2d:  // aarch64: the return address is signed from here on; not followed
        break;
      case 0x2e:  // GNU_args_size
        code.uleb();
        break;
      default:
        return false;
    }
    if (low >= 0x02 && low <= 0x04) {
      at += advance * cie.code_align;
      if (at > pc) return !code.failed();
    }
  }
  return !code.failed();
}

/// An entry of .eh_frame: its bytes behind the length.
bool read_entry(OwnMemory& memory, std::uint64_t address, std::vector<unsigned char>& entry) {
  std::uint32_t length = 0;
  if (!memory.read(address, &length, sizeof length)) return false;
  if (length == 0 || length > kMaxEntryBytes) return false;  // the end, or 64 bit
  entry.resize(length);
  return memory.read(address + sizeof length, entry.data(), length);
}

std::optional<Plan> plan_for(const CodeMap::Image& image, OwnMemory& memory, std::uint64_t pc) {
  if (image.eh_frame_hdr == 0) return std::nullopt;
  unsigned char head[64];
  if (!memory.read(image.eh_frame_hdr, head, sizeof head)) return std::nullopt;
  Bytes header(head, sizeof head, image.eh_frame_hdr);
  const auto version = header.get<std::uint8_t>(), frame_encoding = header.get<std::uint8_t>(),
             count_encoding = header.get<std::uint8_t>(),
             table_encoding = header.get<std::uint8_t>();
  header.pointer(frame_encoding, image.eh_frame_hdr);
  const std::uint64_t count = header.pointer(count_encoding, image.eh_frame_hdr);
  // Every linker writes this table: pairs of 32 bits, relative to the header.
  if (version != 1 || table_encoding != 0x3b || header.failed()) return std::nullopt;
  const std::uint64_t table = header.address();
  struct Pair {
    std::int32_t pc, entry;
  } pair{};
  const auto absolute = [&](std::int32_t offset) {
    return image.eh_frame_hdr + static_cast<std::uint64_t>(std::int64_t{offset});
  };
  std::uint64_t low = 0, high = count;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (!memory.read(table + middle * sizeof pair, &pair, sizeof pair)) return std::nullopt;
    if (absolute(pair.pc) <= pc)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0 || !memory.read(table + (low - 1) * sizeof pair, &pair, sizeof pair))
    return std::nullopt;

  std::vector<unsigned char> entry, parent;
  const std::uint64_t fde = absolute(pair.entry) + 4;
  if (!read_entry(memory, fde - 4, entry)) return std::nullopt;
  Bytes body(entry.data(), entry.size(), fde);
  const std::uint64_t cie_at = fde - body.get<std::uint32_t>();
  if (body.failed() || !read_entry(memory, cie_at, parent)) return std::nullopt;

  Cie cie;
  Bytes from(parent.data(), parent.size(), cie_at + 4);
  if (from.get<std::uint32_t>() != 0) return std::nullopt;
  const auto cie_version = from.get<std::uint8_t>();
  char letters[16] = {};
  for (std::size_t i = 0;; ++i) {
    if (i == sizeof letters) return std::nullopt;
    letters[i] = static_cast<char>(from.get<std::uint8_t>());
    if (letters[i] == '\0') break;
  }
  cie.code_align = from.uleb();
  cie.data_align = from.sleb();
  cie.return_register = cie_version == 1 ? from.get<std::uint8_t>() : from.uleb();
  if (letters[0] == 'z') {
    cie.has_augmentation = true;
    from.uleb();
    for (const char* letter = letters + 1; *letter != '\0'; ++letter) {
      if (*letter == 'R')
        cie.encoding = from.get<std::uint8_t>();
      else if (*letter == 'P')
        from.pointer(static_cast<std::uint8_t>(from.get<std::uint8_t>() & 0x7f));
      else if (*letter == 'L')
        from.get<std::uint8_t>();
      else if (*letter == 'S')
        cie.is_signal_frame = true;
      else if (*letter != 'B')
        return std::nullopt;
    }
  } else if (letters[0] != '\0') {
    return std::nullopt;
  }
  if (from.failed() || cie.return_register >= Registers::kCount) return std::nullopt;

  Plan plan;
  plan.function = body.pointer(cie.encoding);
  const std::uint64_t size = body.pointer(cie.encoding & 0x0f);
  if (body.failed() || pc < plan.function || pc - plan.function >= size) return std::nullopt;
  if (cie.has_augmentation) body.skip(body.uleb());
  plan.return_register = cie.return_register;
  plan.is_signal_frame = cie.is_signal_frame;
  if (!run_instructions(from, cie, plan.function, UINT64_MAX, plan.row, nullptr))
    return std::nullopt;
  const Row initial = plan.row;
  if (!run_instructions(body, cie, plan.function, pc, plan.row, &initial)) return std::nullopt;
  return plan;
}

// --- walking

class Walk {
 public:
  Walk(const Registers& registers, const StackImage& stack, const CodeMap& code, OwnMemory& memory)
      : registers_(registers), stack_(&stack), code_(&code), memory_(&memory) {}

  NativeCallers run() {
    push(false);
    for (std::size_t guesses = 0; callers_.frames.size() < kMaxNativeFrames;) {
      const std::uint64_t before = registers_.values[Registers::kStack];
      bool is_guess = false;
      const Step step = step_by_table(is_guess);
      if (step == Step::Ended) return std::move(callers_);
      if (step == Step::Failed) {
        is_guess = true;
        if (!step_by_frame_pointer() && !step_by_search()) break;
      }
      const std::uint64_t now = registers_.values[Registers::kStack];
      // The stack grows down, so callers lie above; only a leaf may have nothing on it.
      const bool is_leaf = callers_.frames.size() == 1;
      if (now < before || (now == before && !is_leaf)) break;
      if (is_guess && ++guesses > kMaxGuesses) break;
      push(is_guess);
    }
    callers_.is_cut = true;
    return std::move(callers_);
  }

 private:
  enum class Step { Done, Ended, Failed };

  void push(bool is_guess) {
    const auto* const image = code_->find(lookup());
    callers_.frames.push_back({.address = registers_.pc,
                               .module = image != nullptr ? image->module.id : 0,
                               .guessed = is_guess});
  }

  /// A return address may be that of the next function: the call was the last instruction.
  [[nodiscard]] std::uint64_t lookup() const noexcept {
    return registers_.pc - (is_exact_ ? 0 : 1);
  }

  Step step_by_table(bool& is_guess) {
    const auto* const image = code_->find(lookup());
    if (image == nullptr) return Step::Failed;
    const auto plan = plan_for(*image, *memory_, lookup());
    if (!plan || !plan->row.has_cfa || plan->row.cfa_register >= Registers::kCount)
      return Step::Failed;
    const auto base = static_cast<std::size_t>(plan->row.cfa_register);
    if (plan->row.rules[plan->return_register].kind == Rule::Kind::Undefined) return Step::Ended;
    if (!registers_.knows(base)) {
      if (base != Registers::kFrame || plan->row.cfa_offset != 16) return Step::Failed;
      if (!find_frame(plan->function, is_guess)) return Step::Failed;
    }
    const std::uint64_t cfa =
        registers_.values[base] + static_cast<std::uint64_t>(plan->row.cfa_offset);
    if (cfa < registers_.values[Registers::kStack] || cfa > stack_->end()) return Step::Failed;
    Registers caller = registers_;
    for (std::size_t i = 0; i < Registers::kCount; ++i) {
      const Rule& rule = plan->row.rules[i];
      const std::uint64_t bit = std::uint64_t{1} << i;
      std::uint64_t value = 0;
      switch (rule.kind) {
        case Rule::Kind::Same:
          continue;
        case Rule::Kind::AtCfa:
          if (stack_->read(cfa + static_cast<std::uint64_t>(rule.value), value))
            caller.set(i, value);
          else
            caller.known &= ~bit;
          continue;
        case Rule::Kind::CfaPlus:
          caller.set(i, cfa + static_cast<std::uint64_t>(rule.value));
          continue;
        case Rule::Kind::Register: {
          const auto other = static_cast<std::size_t>(rule.value);
          if (other < Registers::kCount && registers_.knows(other))
            caller.set(i, registers_.values[other]);
          else
            caller.known &= ~bit;
          continue;
        }
        case Rule::Kind::Undefined:
        case Rule::Kind::Unknown:
          caller.known &= ~bit;
          continue;
      }
    }
    const auto home = static_cast<std::size_t>(plan->return_register);
    if (!caller.knows(home)) return Step::Failed;
    caller.pc = caller.values[home];
    caller.set(Registers::kStack, cfa);
    if (caller.pc == 0) return Step::Ended;
    if (!plan->is_signal_frame && !is_return_address(caller.pc)) return Step::Failed;
    registers_ = caller;
    is_exact_ = plan->is_signal_frame;
    return Step::Done;
  }

  /// Searches the frame that `push rbp; mov rbp, rsp` made at the start of `function`.
  bool find_frame(std::uint64_t function, bool& is_guess) {
    const std::uint64_t from = registers_.values[Registers::kStack];
    std::uint64_t plausible = 0, possible = 0;
    for (std::uint64_t at = from; at < from + kSearchBytes; at += sizeof at) {
      std::uint64_t saved = 0, back = 0;
      if (!stack_->read(at, saved) || !stack_->read(at + sizeof at, back)) break;
      if (!is_return_address(back)) continue;
      const auto callee = direct_callee(back);
      if (callee && (*callee == function || behind_jumps(*callee) == function)) {
        // Hardly anything else can have left this word here.
        registers_.set(Registers::kFrame, at);
        return true;
      }
      const bool is_linked =
          saved == 0 || (saved > at && saved < stack_->end() && saved % sizeof saved == 0);
      if (!is_linked) continue;
      // A call through a pointer may be the one; that of another function only if it was jumped
      // from.
      if (!callee && plausible == 0) plausible = at;
      if (possible == 0) possible = at;
    }
    if (plausible == 0) plausible = possible;
    if (plausible == 0) return false;
    is_guess = true;
    registers_.set(Registers::kFrame, plausible);
    return true;
  }

  bool step_by_frame_pointer() {
    if (!registers_.knows(Registers::kFrame)) return false;
    const std::uint64_t frame = registers_.values[Registers::kFrame];
    std::uint64_t saved = 0, back = 0;
    if (frame < registers_.values[Registers::kStack] || !stack_->read(frame, saved) ||
        !stack_->read(frame + sizeof back, back) || !is_return_address(back))
      return false;
    return step_to(back, frame + 2 * sizeof back, saved);
  }

  bool step_by_search() {
    const std::uint64_t from = registers_.values[Registers::kStack];
    for (std::uint64_t at = from; at < from + kSearchBytes; at += sizeof at) {
      std::uint64_t back = 0, saved = 0;
      if (!stack_->read(at, back)) return false;
      if (!is_return_address(back)) continue;
      const bool is_linked =
          at > from && stack_->read(at - sizeof at, saved) && saved > at && saved < stack_->end();
      return step_to(back, at + sizeof at, is_linked ? saved : 0);
    }
    return false;
  }

  bool step_to(std::uint64_t pc, std::uint64_t stack, std::uint64_t frame) {
    registers_.known = 0;
    registers_.pc = pc;
    registers_.set(Registers::kStack, stack);
    if (frame != 0) registers_.set(Registers::kFrame, frame);
    is_exact_ = false;
    return true;
  }

  /// Code, and behind a call.
  [[nodiscard]] bool is_return_address(std::uint64_t address) {
    if (code_->find(address - 1) == nullptr) return false;
#if defined(__aarch64__)
    std::uint32_t word = 0;
    return memory_->read(address - sizeof word, &word, sizeof word) &&
           ((word & 0xfc000000u) == 0x94000000u || (word & 0xfffffc1fu) == 0xd63f0000u);
#else
    unsigned char code[8] = {};
    if (!memory_->read(address - sizeof code, code, sizeof code)) return false;
    const unsigned char* const end = code + sizeof code;
    if (end[-5] == 0xe8) return true;
    // FF /2: a call through a register or memory; its length follows from what it addresses.
    const auto is_call = [&](std::size_t length) {
      const unsigned char* const at = end - length;
      if (at[0] != 0xff || (at[1] & 0x38) != 0x10) return false;
      const unsigned mode = at[1] >> 6, base = at[1] & 7;
      std::size_t expected = 2;
      if (mode != 3 && base == 4) expected += 1;
      if (mode == 1) expected += 1;
      if (mode == 2 || (mode == 0 && (base == 5 || (base == 4 && length > 2 && (at[2] & 7) == 5))))
        expected += 4;
      return expected == length;
    };
    return is_call(2) || is_call(3) || is_call(4) || is_call(6) || is_call(7);
#endif
  }

  /// What the call in front of a return address calls, if it says so itself.
  [[nodiscard]] std::optional<std::uint64_t> direct_callee(std::uint64_t back) {
#if defined(__aarch64__)
    std::uint32_t word = 0;
    if (!memory_->read(back - sizeof word, &word, sizeof word) ||
        (word & 0xfc000000u) != 0x94000000u)
      return std::nullopt;
    const auto offset = static_cast<std::int64_t>(static_cast<std::int32_t>(word << 6) >> 6) * 4;
    return back - sizeof word + static_cast<std::uint64_t>(offset);
#else
    unsigned char code[5] = {};
    if (!memory_->read(back - sizeof code, code, sizeof code) || code[0] != 0xe8)
      return std::nullopt;
    std::int32_t offset = 0;
    std::memcpy(&offset, code + 1, sizeof offset);
    return back + static_cast<std::uint64_t>(std::int64_t{offset});
#endif
  }

  /// Where a call of `address` ends up, behind entries of a PLT and other code that only jumps on.
  [[nodiscard]] std::uint64_t behind_jumps(std::uint64_t address) {
    for (int jumps = 0; jumps < 4; ++jumps) {
#if defined(__aarch64__)
      std::uint32_t words[4] = {};  // adrp x16, PAGE; ldr x17, [x16, OFFSET]; add x16; br x17
      if (!memory_->read(address, words, sizeof words) || words[3] != 0xd61f0220u ||
          (words[0] & 0x9f00001fu) != 0x90000010u || (words[1] & 0xffc003ffu) != 0xf9400211u)
        return address;
      const auto pages = static_cast<std::int32_t>(
                             ((words[0] >> 5 & 0x7ffff) << 2 | (words[0] >> 29 & 3)) << 11) >>
                         11;
      const std::uint64_t entry = (address & ~std::uint64_t{0xfff}) +
                                  static_cast<std::uint64_t>(std::int64_t{pages} * 4096) +
                                  (words[1] >> 10 & 0xfff) * 8;
      if (!memory_->read(entry, &address, sizeof address)) return address;
#else
      unsigned char code[12] = {};
      if (!memory_->read(address, code, sizeof code)) return address;
      std::size_t at = 0;
      constexpr unsigned char kLanding[] = {0xf3, 0x0f, 0x1e, 0xfa};
      if (std::memcmp(code, kLanding, sizeof kLanding) == 0) at += sizeof kLanding;
      if (code[at] == 0xf2) ++at;
      const bool is_direct = code[at] == 0xe9;
      if (!is_direct && (code[at] != 0xff || code[at + 1] != 0x25)) return address;
      at += is_direct ? 1 : 2;
      std::int32_t offset = 0;
      std::memcpy(&offset, code + at, sizeof offset);
      const std::uint64_t to =
          address + at + sizeof offset + static_cast<std::uint64_t>(std::int64_t{offset});
      if (is_direct)
        address = to;
      else if (!memory_->read(to, &address, sizeof address))
        return 0;
#endif
    }
    return address;
  }

  Registers registers_;
  const StackImage* stack_;
  const CodeMap* code_;
  OwnMemory* memory_;
  NativeCallers callers_;
  bool is_exact_ = true;  // pc is where it runs, not where it returns to
};

}  // namespace

NativeCallers unwind(const Registers& registers, const StackImage& stack, const CodeMap& code,
                     OwnMemory& memory) {
  return Walk(registers, stack, code, memory).run();
}

}  // namespace taskscope::instrumentation
