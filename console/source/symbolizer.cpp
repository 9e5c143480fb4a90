#include "taskscope/console/source/symbolizer.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace taskscope::console::source {
namespace {

constexpr std::size_t kMaxQueue = 1024;
constexpr std::size_t kMaxAddresses = 200'000;
constexpr std::size_t kMaxModules = 65'536;
constexpr std::size_t kMaxInlined = 32;

std::string demangle(const char* name) {
  if (name == nullptr) return {};
  int status = 0;
  char* const plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string text = status == 0 && plain != nullptr ? plain : name;
  std::free(plain);
  // The parts that a compiler cut a coroutine into are that coroutine.
  for (const std::string_view part :
       {" [clone .resume]", " (.resume)", " [clone .actor]", " (.actor)"})
    if (text.ends_with(part)) text.resize(text.size() - part.size());
  return text;
}

std::string hex(const void* bytes, std::size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<const unsigned char*>(bytes)[i];
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

/// One file with its debug information, opened once.
class File {
 public:
  /// Null when the file isn't there, or is another one.
  static std::unique_ptr<File> open(const std::string& path, const std::string& build_id) {
    if (path.empty() || path.front() != '/' || access(path.c_str(), R_OK) != 0) return nullptr;
    auto file = std::unique_ptr<File>(new File);
    // By build-id from the usual folder, and never from the network.
    static char* no_path = nullptr;
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_build_id_find_debuginfo,
        .section_address = dwfl_offline_section_address,
        .debuginfo_path = &no_path,
    };
    file->dwfl_ = dwfl_begin(&callbacks);
    if (file->dwfl_ == nullptr) return nullptr;
    dwfl_report_begin(file->dwfl_);
    file->module_ = dwfl_report_offline(file->dwfl_, "", path.c_str(), -1);
    dwfl_report_end(file->dwfl_, nullptr, nullptr);
    if (file->module_ == nullptr) return nullptr;
    Elf* const elf = dwfl_module_getelf(file->module_, &file->bias_);
    if (elf == nullptr) return nullptr;
    const void* id = nullptr;
    const ssize_t size = dwelf_elf_gnu_build_id(elf, &id);
    if ((size > 0 ? hex(id, static_cast<std::size_t>(size)) : "") != build_id) return nullptr;
    return file;
  }
  ~File() {
    if (dwfl_ != nullptr) dwfl_end(dwfl_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::vector<protocol::SymbolLine> lines_at(std::uint64_t offset) {
    const Dwarf_Addr address = offset + bias_;
    GElf_Off into = 0;
    GElf_Sym symbol{};
    std::string function =
        demangle(dwfl_module_addrinfo(module_, address, &into, &symbol, nullptr, nullptr, nullptr));
    Dwarf_Addr bias = 0;
    Dwarf_Die unit;
    if (!find_unit(address, unit, bias)) {
      if (function.empty()) return {};
      return {{std::move(function), {}, 0}};
    }
    protocol::SymbolLine here;
    if (Dwarf_Line* const line = dwarf_getsrc_die(&unit, address - bias)) {
      int number = 0;
      dwarf_lineno(line, &number);
      here.line = static_cast<std::uint32_t>(std::max(number, 0));
      if (const char* const name = dwarf_linesrc(line, nullptr, nullptr)) here.file = name;
    }
    auto lines = inlined_at(unit, address - bias, here, function);
    here.function = std::move(function);
    lines.push_back(std::move(here));
    return lines;
  }

 private:
  File() = default;

  struct Range {
    Dwarf_Addr begin, end;
    Dwarf_Off unit;  // offset of its DIE
  };

  /// Not by .debug_aranges: Clang writes none.
  bool find_unit(Dwarf_Addr address, Dwarf_Die& unit, Dwarf_Addr& bias) {
    Dwarf* const dwarf = dwfl_module_getdwarf(module_, &bias);
    if (dwarf == nullptr) return false;
    if (!has_ranges_) {
      has_ranges_ = true;
      Dwarf_Die* die = nullptr;
      Dwarf_Addr of_unit = 0;
      while ((die = dwfl_module_nextcu(module_, die, &of_unit)) != nullptr) {
        ptrdiff_t at = 0;
        Dwarf_Addr base = 0, begin = 0, end = 0;
        while ((at = dwarf_ranges(die, at, &base, &begin, &end)) > 0)
          ranges_.push_back({begin, end, dwarf_dieoffset(die)});
      }
      std::sort(ranges_.begin(), ranges_.end(),
                [](const Range& a, const Range& b) { return a.begin < b.begin; });
    }
    const Dwarf_Addr at = address - bias;
    auto range = std::upper_bound(ranges_.begin(), ranges_.end(), at,
                                  [](Dwarf_Addr a, const Range& b) { return a < b.begin; });
    // Sections that the linker left out begin at 0 and overlap.
    for (int back = 0; range != ranges_.begin() && back < 16; ++back) {
      --range;
      if (at < range->end) return dwarf_offdie(dwarf, range->unit, &unit) != nullptr;
    }
    return false;
  }

  /// Calls that were inlined at `address`, innermost first. `here` becomes the place, and
  /// `function` the name, of the function that they were inlined into.
  static std::vector<protocol::SymbolLine> inlined_at(Dwarf_Die& unit, Dwarf_Addr address,
                                                      protocol::SymbolLine& here,
                                                      std::string& function) {
    std::vector<protocol::SymbolLine> lines;
    Dwarf_Die* innermost = nullptr;
    if (dwarf_getscopes(&unit, address, &innermost) <= 0) return lines;
    // Those scopes follow declarations; the ones that contain the code are asked for by name.
    Dwarf_Die* scopes = nullptr;
    const int count = dwarf_getscopes_die(&innermost[0], &scopes);
    std::free(innermost);
    Dwarf_Files* files = nullptr;
    std::size_t file_count = 0;
    dwarf_getsrcfiles(&unit, &files, &file_count);
    for (int i = 0; i < count && lines.size() < kMaxInlined; ++i) {
      Dwarf_Die* const scope = &scopes[i];
      const int tag = dwarf_tag(scope);
      if (tag == DW_TAG_subprogram) {
        if (function.empty()) function = name_of(scope);
        break;
      }
      if (tag != DW_TAG_inlined_subroutine) continue;
      here.function = name_of(scope);
      lines.push_back(here);
      here = {};
      Dwarf_Attribute attribute;
      Dwarf_Word value = 0;
      if (dwarf_formudata(dwarf_attr(scope, DW_AT_call_line, &attribute), &value) == 0)
        here.line = static_cast<std::uint32_t>(value);
      if (dwarf_formudata(dwarf_attr(scope, DW_AT_call_file, &attribute), &value) == 0 &&
          files != nullptr && value < file_count)
        if (const char* const name = dwarf_filesrc(files, value, nullptr, nullptr))
          here.file = name;
    }
    std::free(scopes);
    return lines;
  }

  static std::string name_of(Dwarf_Die* die) {
    Dwarf_Attribute attribute;
    for (const unsigned linkage : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name})
      if (const char* const name = dwarf_formstring(dwarf_attr_integrate(die, linkage, &attribute)))
        return demangle(name);
    const char* const name = dwarf_diename(die);
    return name != nullptr ? name : "";
  }

  Dwfl* dwfl_ = nullptr;
  Dwfl_Module* module_ = nullptr;
  Dwarf_Addr bias_ = 0;  // address in dwfl - address as the file counts
  bool has_ranges_ = false;
  std::vector<Range> ranges_;
};

}  // namespace

/// The modules that were named, each with its file once somebody asked. The thread's.
class Symbolizer::Files {
 public:
  explicit Files(std::uint64_t pid) : pid_(pid) {}

  void add(const protocol::Module& module) {
    if (modules_.size() < kMaxModules || modules_.contains(module.id))
      modules_[module.id].module = module;
  }

  std::optional<protocol::Symbol> look_up(const Address& asked) {
    const auto found = modules_.find(asked.module);
    if (found == modules_.end() || seen_.size() >= kMaxAddresses) return std::nullopt;
    Known& known = found->second;
    const std::uint64_t offset = asked.address - known.module.bias - (asked.is_leaf ? 0 : 1);
    if (!seen_.emplace(asked.module, offset).second) return std::nullopt;
    if (!known.was_opened) {
      known.was_opened = true;
      open(known);
    }
    if (known.file == nullptr) return std::nullopt;
    protocol::Symbol symbol{asked.module, offset, known.file->lines_at(offset)};
    if (symbol.lines.empty()) return std::nullopt;
    return symbol;
  }

 private:
  struct Known {
    protocol::Module module;
    bool was_opened = false;
    std::unique_ptr<File> file;
  };

  void open(Known& known) const {
    const auto& module = known.module;
    std::string path = module.path;
    constexpr std::string_view kDeleted = " (deleted)";
    if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
    const std::string process = "/proc/" + std::to_string(pid_);
    // In a container, and when the program was built again meanwhile.
    for (const std::string& candidate : {path, process + "/root" + path, process + "/exe"}) {
      known.file = File::open(candidate, module.build_id);
      if (known.file != nullptr) return;
    }
  }

  std::uint64_t pid_;
  std::unordered_map<std::uint32_t, Known> modules_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen_;
};

Symbolizer::Symbolizer(std::uint64_t pid, std::function<void()> news)
    : pid_(pid), news_(std::move(news)) {}

Symbolizer::~Symbolizer() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Symbolizer::add(std::vector<protocol::Module>&& modules) { enqueue(std::move(modules)); }

void Symbolizer::add(const protocol::NativeStack& stack) {
  std::vector<Address> addresses;
  for (const auto& frame : stack.frames)
    if (frame.module != 0)
      addresses.push_back({frame.module, frame.address, &frame == &stack.frames.front()});
  if (!addresses.empty()) enqueue(std::move(addresses));
}

void Symbolizer::enqueue(Work&& work) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kMaxQueue) return;
    queue_.push_back(std::move(work));
    if (!thread_.joinable() && !is_stopping_) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

std::vector<protocol::Symbol> Symbolizer::take() {
  std::vector<protocol::Symbol> found;
  {
    const std::lock_guard lock(mutex_);
    found.swap(found_);
  }
  changed_.notify_all();
  return found;
}

bool Symbolizer::is_settled() {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !is_busy_ && found_.empty();
}

void Symbolizer::settle(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most,
                    [this] { return queue_.empty() && !is_busy_ && found_.empty(); });
}

void Symbolizer::run() {
  Files files(pid_);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
    if (is_stopping_) return;
    const Work work = std::move(queue_.front());
    queue_.pop_front();
    is_busy_ = true;
    lock.unlock();
    std::vector<protocol::Symbol> symbols;
    if (const auto* modules = std::get_if<std::vector<protocol::Module>>(&work)) {
      for (const auto& module : *modules) files.add(module);
    } else {
      for (const auto& address : std::get<std::vector<Address>>(work))
        if (auto symbol = files.look_up(address)) symbols.push_back(std::move(*symbol));
    }
    lock.lock();
    is_busy_ = false;
    const bool has_news = !symbols.empty();
    found_.insert(found_.end(), std::make_move_iterator(symbols.begin()),
                  std::make_move_iterator(symbols.end()));
    if (has_news) {
      lock.unlock();
      news_();
      lock.lock();
    }
    changed_.notify_all();
  }
}

}  // namespace taskscope::console::source
