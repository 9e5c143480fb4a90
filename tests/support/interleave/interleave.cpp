#include "taskscope/tests/support/interleave/interleave.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "taskscope/tests/support/interleave/atomic.h"

namespace taskscope::interleave {

namespace {

// --- happens before --------------------------------------------------------------------------

constexpr std::uint32_t kNever = ~0u;

/// What happens before a point: of each thread, everything up to a time of its own.
struct Clock {
  std::array<std::uint32_t, kThreads> time{};
  void join(const Clock& other) noexcept {
    for (std::size_t i = 0; i < kThreads; ++i) time[i] = std::max(time[i], other.time[i]);
  }
};

/// What a thread has to respect. All three travel with a release to who acquires it.
struct View {
  Clock before;     ///< happens before
  Clock fenced;     ///< happened before a seq_cst fence that stands before a seq_cst fence of ours
  Clock sequenced;  ///< as far as seq_cst operations go: stood in S before a seq_cst fence of ours
  void join(const View& other) noexcept {
    before.join(other.before);
    fenced.join(other.fenced);
    sequenced.join(other.sequenced);
  }
};

struct Store {
  std::uint64_t value = 0;
  std::size_t by = 0;
  View release;
  std::array<std::uint32_t, kThreads> seen;         // first read or written by each thread, when
  std::array<std::uint32_t, kThreads> seen_seqcst;  // by a seq_cst operation
};

struct Word {
  std::vector<Store> stores;  // in modification order
  std::array<std::uint32_t, kThreads> used{};
  bool alive = true;
};

struct Mutex {
  std::size_t owner = kThreads;  // nobody
  View release;
};

bool acquires(Order order) noexcept {
  return order == Order::acquire || order == Order::consume || order == Order::acq_rel ||
         order == Order::seq_cst;
}
bool releases(Order order) noexcept {
  return order == Order::release || order == Order::acq_rel || order == Order::seq_cst;
}

// --- operations --------------------------------------------------------------------------------

/// What a thread is about to do.
struct Step {
  enum class Enabled : std::uint8_t { Always, Unlocked, Woken, Changed, Filled, Joined };
  const void* address = nullptr;
  bool writes = false;
  bool seqcst = false;
  bool fence = false;
  Enabled enabled = Enabled::Always;
};

/// Does the order of two steps of different threads make a difference?
bool depend(const Step& a, const Step& b) noexcept {
  if ((a.fence || b.fence) && a.seqcst && b.seqcst) return true;
  if (a.address == nullptr || a.address != b.address) return false;
  return a.writes || b.writes || (a.seqcst && b.seqcst);
}

struct Thread {
  ucontext_t context{};
  void* stack = nullptr;
  std::function<void()> body;
  View view;
  View to_acquire;  // read by relaxed loads, for an acquire fence
  View to_release;  // at the last release fence, for relaxed stores
  std::uint32_t time = 0;
  Step step;
  bool finished = true;
  bool asleep = false;         // in a futex
  bool timed = false;          // but not for ever
  const void* word = nullptr;  // read last: what a yield waits for
  std::size_t index = 0;       // which store that was
  const std::vector<void*>* items = nullptr;
  const bool* closed = nullptr;
  std::array<char, 16> exceptions{};  // __cxa_eh_globals
};

struct Happened {
  std::size_t thread = 0;
  const char* what = "";
  std::size_t site = ~std::size_t{0};
  Place place;
  std::uint64_t value = 0;
  const void* address = nullptr;
  std::size_t older = 0;  // how many newer stores there were
};

struct Choice {
  bool of_thread = false;
  std::uint32_t taken = 0;
  std::uint32_t count = 0;    // of values
  std::uint32_t allowed = 0;  // threads, as bits
  std::uint32_t tried = 0;
};

constexpr std::size_t kStackBytes = 256 * 1024;

// --- sites -------------------------------------------------------------------------------------

struct SiteKey {
  const char* file;
  std::uint64_t where;
  const char* operation;
  Order order;
  bool operator==(const SiteKey&) const = default;
};
struct HashSiteKey {
  std::size_t operator()(const SiteKey& key) const noexcept {
    return std::hash<const void*>()(key.file) ^ (key.where * 0x9e3779b97f4a7c15u) ^
           std::hash<const void*>()(key.operation) * 31 ^ static_cast<std::size_t>(key.order);
  }
};

struct Sites {
  std::vector<Site> all;
  std::unordered_map<SiteKey, std::size_t, HashSiteKey> index;
  std::size_t weakened = ~std::size_t{0};
  Order weakened_to{};

  std::size_t of(const char* operation, Order order, const Place& place) {
    const SiteKey key{place.file_name(), (std::uint64_t{place.line()} << 32) | place.column(),
                      operation, order};
    if (const auto found = index.find(key); found != index.end()) return found->second;
    // The same place may be met through several translation units.
    std::size_t at = 0;
    for (; at < all.size(); ++at) {
      const Site& site = all[at];
      if (site.line == place.line() && site.column == place.column() && site.order == order &&
          site.operation == operation && site.file == place.file_name() &&
          site.function == place.function_name())
        break;
    }
    if (at == all.size())
      all.push_back({place.file_name(), place.function_name(), place.line(), place.column(),
                     operation, order});
    index.emplace(key, at);
    return at;
  }
};
Sites& site_table() {
  static Sites table;
  return table;
}

// --- the model ---------------------------------------------------------------------------------

class Model {
 public:
  Model(const std::function<void()>& body, const Options& options)
      : body_(body), options_(options) {
    if (!options.replay.empty()) {
      replaying_ = true;
      for (const char* at = options.replay.c_str(); *at != '\0';) {
        char* end = nullptr;
        replay_.push_back(static_cast<std::uint32_t>(std::strtoul(at, &end, 10)));
        at = *end == '.' ? end + 1 : end;
      }
    }
  }
  ~Model() {
    for (auto& thread : threads_) {
      if (thread.stack != nullptr) munmap(thread.stack, kStackBytes);
    }
  }

  Result run();

  // Called on fibers.
  void run_threads(std::vector<std::function<void()>>& functions);
  [[noreturn]] void fail(std::string what);
  void step(Step step);
  std::uint32_t choose_value(std::uint32_t count);

  [[nodiscard]] Thread& self() noexcept { return threads_[current_]; }
  void wake(std::size_t thread) noexcept { threads_[thread].asleep = false; }
  [[nodiscard]] std::size_t current() const noexcept { return current_; }
  [[nodiscard]] std::uint64_t execution() const noexcept { return execution_; }

  std::size_t site(const char* operation, Order order, const Place& place) {
    const auto at = site_table().of(operation, order, place);
    if (at >= met_.size()) met_.resize(at + 1);
    met_[at] = true;
    return at;
  }
  static Order order_at(std::size_t site, Order written) noexcept {
    const Sites& table = site_table();
    return site == table.weakened ? table.weakened_to : written;
  }
  void happened(const char* what, std::size_t site, const Place& place, const void* address,
                std::uint64_t value, std::size_t older = 0) {
    trace_.push_back({current_, what, site, place, value, address, older});
  }

  void create(const void* address, std::uint64_t value);
  void destroy(const void* address);
  Word& word_at(const void* address, std::uint64_t last);
  std::uint64_t load(Word& word, const void* address, Order order, std::size_t& older);
  std::size_t first_readable(const Word& word, bool seqcst) const noexcept;
  void read(Word& word, const void* address, std::size_t index, Order order);
  void append(Word& word, std::uint64_t value, Order order, bool modifies);
  void fence(Order order);
  /// This thread now knows the word's last value, and nothing else that was done before.
  std::uint64_t see_newest(const void* address) {
    Store& newest = word_at(address, 0).stores.back();
    newest.seen[current_] = std::min(newest.seen[current_], self().time);
    return newest.value;
  }

  std::unordered_map<const void*, Mutex> mutexes;
  std::unordered_map<const void*, View> handoffs;
  std::unordered_map<const void*, std::vector<std::size_t>> sleepers;

 private:
  static void enter();
  [[nodiscard]] bool is_enabled(std::size_t thread);
  void start(std::size_t thread);
  void execute();
  [[nodiscard]] bool advance();
  void choose_thread();
  void switch_to(std::size_t thread);
  void leave();
  [[nodiscard]] std::string choices() const;
  [[nodiscard]] std::string trace() const;

  const std::function<void()>& body_;
  const Options& options_;
  bool replaying_ = false;
  std::vector<std::uint32_t> replay_;
  std::array<Thread, kThreads> threads_;
  ucontext_t driver_{};
  std::size_t current_ = 0;
  std::uint64_t execution_ = 0;
  std::uint64_t executions_ = 0;

  std::vector<Choice> stack_;
  std::size_t depth_ = 0;
  std::vector<std::uint32_t> made_;  // every choice of this execution, those without a Choice, too
  std::uint32_t sleep_ = 0;          // threads whose next step was tried from an equal state
  bool draining_ = false;            // an equal execution was tried: only end it
  int preemptions_ = 0;
  std::size_t steps_ = 0;

  std::unordered_map<const void*, std::size_t> index_;  // into words_
  std::vector<std::unique_ptr<Word>> words_;
  std::size_t words_used_ = 0;
  Clock fences_;     // happens before some seq_cst fence so far
  Clock sequenced_;  // seq_cst operations so far
  std::vector<Happened> trace_;
  std::vector<bool> met_;
  std::optional<std::string> failure_;
};

Model* model = nullptr;
std::uint64_t next_execution = 1;

void Model::enter() {
  Model& model_now = *model;
  model_now.self().body();
  model_now.leave();
}

void Model::start(std::size_t number) {
  Thread& thread = threads_[number];
  if (thread.stack == nullptr) {
    thread.stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (thread.stack == MAP_FAILED) std::abort();
  }
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack;
  thread.context.uc_stack.ss_size = kStackBytes;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, &Model::enter, 0);
  thread.finished = false;
  thread.asleep = thread.timed = false;
  thread.word = nullptr;
  thread.step = {};
  thread.exceptions = {};
}

void Model::switch_to(std::size_t next) {
  if (next == current_) return;
  Thread& from = threads_[current_];
  Thread& to = threads_[next];
  auto* exceptions = reinterpret_cast<char*>(abi::__cxa_get_globals());
  std::memcpy(from.exceptions.data(), exceptions, from.exceptions.size());
  std::memcpy(exceptions, to.exceptions.data(), to.exceptions.size());
  current_ = next;
  swapcontext(&from.context, &to.context);
}

/// A thread ends: the body's, and with it the execution, or another.
void Model::leave() {
  self().finished = true;
  if (current_ == 0) {
    setcontext(&driver_);
    std::abort();
  }
  choose_thread();
  std::abort();
}

bool Model::is_enabled(std::size_t number) {
  Thread& thread = threads_[number];
  if (thread.finished) return false;
  switch (thread.step.enabled) {
    case Step::Enabled::Always:
      return true;
    case Step::Enabled::Unlocked:
      return mutexes[thread.step.address].owner == kThreads;
    case Step::Enabled::Woken:
      return !thread.asleep;
    case Step::Enabled::Changed: {
      const auto found = index_.find(thread.step.address);
      return found == index_.end() || thread.index + 1 < words_[found->second]->stores.size();
    }
    case Step::Enabled::Filled:
      return !thread.items->empty() || *thread.closed;
    case Step::Enabled::Joined:
      for (std::size_t i = 1; i < kThreads; ++i) {
        if (!threads_[i].finished) return false;
      }
      return true;
  }
  return false;
}

void Model::choose_thread() {
  std::uint32_t enabled = 0;
  for (std::size_t i = 0; i < kThreads; ++i) {
    if (is_enabled(i)) enabled |= 1u << i;
  }
  if (enabled == 0) {
    for (auto& thread : threads_) {
      if (thread.finished || !thread.asleep || !thread.timed) continue;
      thread.asleep = false;
      return choose_thread();
    }
    std::string who = "deadlock: nobody can go on; waiting:";
    for (std::size_t i = 0; i < kThreads; ++i) {
      if (!threads_[i].finished) who += " " + std::to_string(i);
    }
    fail(who);
  }
  if (++steps_ > 20'000) fail("an execution without an end");

  const bool bounded = options_.preemptions.has_value();
  const std::uint32_t mine = 1u << current_;
  std::uint32_t allowed = enabled;
  if (bounded) {
    if ((enabled & mine) != 0 && preemptions_ >= *options_.preemptions) allowed = mine;
  } else if (!draining_) {
    allowed = enabled & ~sleep_;
    if (allowed == 0) {
      draining_ = true;
      allowed = enabled;
    }
  }
  const auto first = [&](std::uint32_t among) {
    return (among & mine) != 0 ? static_cast<std::uint32_t>(current_)
                               : static_cast<std::uint32_t>(std::countr_zero(among));
  };
  std::uint32_t next = first(allowed);
  std::uint32_t tried = 0;
  if (replaying_ && std::popcount(enabled) > 1) {
    const auto wanted = made_.size() < replay_.size() ? replay_[made_.size()] : next;
    if ((enabled & (1u << wanted)) != 0) next = wanted;
  } else if (!draining_ && std::popcount(allowed) > 1) {
    if (depth_ == stack_.size()) {
      Choice choice;
      choice.of_thread = true;
      choice.allowed = allowed;
      choice.taken = next;
      stack_.push_back(choice);
    }
    const Choice& choice = stack_[depth_++];
    if (!choice.of_thread || choice.allowed != allowed)
      fail("the case is not deterministic: it differs from run to run");
    next = choice.taken;
    tried = choice.tried;
  }
  if (std::popcount(enabled) > 1) made_.push_back(next);
  if (next != current_ && (enabled & mine) != 0) ++preemptions_;
  if (!bounded && !draining_) {
    std::uint32_t asleep = (sleep_ | tried) & ~(1u << next);
    sleep_ = 0;
    for (; asleep != 0; asleep &= asleep - 1) {
      const auto other = static_cast<std::size_t>(std::countr_zero(asleep));
      if (!depend(threads_[other].step, threads_[next].step)) sleep_ |= 1u << other;
    }
  }
  switch_to(next);
}

void Model::step(Step next) {
  self().step = next;
  choose_thread();
  // Back here, this thread takes its step.
  Thread& thread = self();
  thread.view.before.time[current_] = ++thread.time;
  thread.step = {};
}

std::uint32_t Model::choose_value(std::uint32_t count) {
  if (count <= 1) return 0;
  std::uint32_t taken = 0;
  if (replaying_) {
    if (made_.size() < replay_.size()) taken = std::min(replay_[made_.size()], count - 1);
  } else if (!draining_) {
    if (depth_ == stack_.size()) {
      Choice choice;
      choice.count = count;
      stack_.push_back(choice);
    }
    const Choice& choice = stack_[depth_++];
    if (choice.of_thread || choice.count != count)
      fail("the case is not deterministic: it differs from run to run");
    taken = choice.taken;
  }
  made_.push_back(taken);
  return taken;
}

/// To the next execution; false after the last.
bool Model::advance() {
  while (!stack_.empty()) {
    Choice& choice = stack_.back();
    if (choice.of_thread) {
      choice.tried |= 1u << choice.taken;
      if (const auto left = choice.allowed & ~choice.tried; left != 0) {
        choice.taken = static_cast<std::uint32_t>(std::countr_zero(left));
        return true;
      }
    } else if (++choice.taken < choice.count) {
      return true;
    }
    stack_.pop_back();
  }
  return false;
}

void Model::execute() {
  execution_ = next_execution++;
  ++executions_;
  index_.clear();
  words_used_ = 0;
  mutexes.clear();
  handoffs.clear();
  sleepers.clear();
  fences_ = sequenced_ = {};
  trace_.clear();
  made_.clear();
  depth_ = steps_ = 0;
  sleep_ = 0;
  preemptions_ = 0;
  draining_ = false;
  for (auto& thread : threads_) {
    thread.view = thread.to_acquire = thread.to_release = {};
    thread.time = 0;
    thread.finished = true;
  }
  threads_[0].body = body_;
  current_ = 0;
  start(0);
  swapcontext(&driver_, &threads_[0].context);
}

Result Model::run() {
  do {
    execute();
  } while (!failure_ && !replaying_ && executions_ < options_.executions && advance());
  Result result;
  result.executions = executions_;
  result.complete = !failure_ && (replaying_ || stack_.empty());
  result.failure = std::move(failure_);
  for (std::size_t i = 0; i < met_.size(); ++i) {
    if (met_[i]) result.sites.push_back(i);
  }
  return result;
}

void Model::fail(std::string what) {
  failure_ = std::move(what) + "\n" + trace() + "replay: " + choices() + "\n";
  // The fibers are left where they stand, with all they own, and their stacks with them: something
  // may still point into them.
  for (auto& thread : threads_) thread.stack = nullptr;
  std::memset(static_cast<void*>(abi::__cxa_get_globals()), 0, 16);
  setcontext(&driver_);
  std::abort();
}

std::string Model::choices() const {
  std::string text;
  for (const auto choice : made_) {
    if (!text.empty()) text += '.';
    text += std::to_string(choice);
  }
  return text;
}

std::string Model::trace() const {
  std::string text;
  std::unordered_map<const void*, std::size_t> names;
  constexpr std::size_t kShown = 200;
  if (trace_.size() > kShown)
    text = "  (" + std::to_string(trace_.size() - kShown) + " steps before)\n";
  for (std::size_t i = trace_.size() - std::min(trace_.size(), kShown); i < trace_.size(); ++i) {
    const auto& event = trace_[i];
    std::string file = event.place.file_name();
    if (const auto slash = file.rfind("runtime/"); slash != std::string::npos)
      file = file.substr(slash);
    char line[512];
    const auto name = names.emplace(event.address, names.size()).first->second;
    const std::string order =
        event.site == ~std::size_t{0}
            ? ""
            : " " + name_of(order_at(event.site, site_table().all[event.site].order));
    std::snprintf(line, sizeof line, "  %*s[%zu] %s%s @%zu = %#llx%s  %s:%u\n",
                  static_cast<int>(2 * event.thread), "", event.thread, event.what, order.c_str(),
                  name, static_cast<unsigned long long>(event.value),
                  event.older != 0 ? (" (" + std::to_string(event.older) + " older)").c_str() : "",
                  file.c_str(), event.place.line());
    text += line;
  }
  return text;
}

void Model::run_threads(std::vector<std::function<void()>>& functions) {
  if (functions.size() >= kThreads) fail("too many threads");
  Thread& parent = self();
  for (std::size_t i = 0; i < functions.size(); ++i) {
    Thread& thread = threads_[i + 1];
    thread.body = std::move(functions[i]);
    thread.view = parent.view;
    thread.to_acquire = thread.to_release = {};
    thread.time = 0;
    start(i + 1);
  }
  step({.enabled = Step::Enabled::Joined});
  for (std::size_t i = 1; i <= functions.size(); ++i) self().view.join(threads_[i].view);
}

// --- words -------------------------------------------------------------------------------------

void Model::create(const void* address, std::uint64_t value) {
  if (words_used_ == words_.size()) words_.push_back(std::make_unique<Word>());
  const auto at = words_used_++;
  index_[address] = at;
  Word& word = *words_[at];
  word.stores.clear();
  word.used = {};
  word.alive = true;
  Store& store = word.stores.emplace_back();
  store.value = value;
  store.by = current_;
  store.seen.fill(kNever);
  store.seen_seqcst.fill(kNever);
  Thread& thread = self();
  thread.view.before.time[current_] = ++thread.time;
  store.seen[current_] = thread.time;
}

void Model::destroy(const void* address) {
  const auto found = index_.find(address);
  if (found == index_.end()) return;
  Word& word = *words_[found->second];
  for (std::size_t i = 0; i < kThreads; ++i) {
    if (word.used[i] > self().view.before.time[i])
      fail("race: a word is destroyed, and thread " + std::to_string(i) +
           " used it with nothing that orders the two");
  }
  word.alive = false;
}

Word& Model::word_at(const void* address, std::uint64_t last) {
  auto found = index_.find(address);
  if (found == index_.end()) {
    // Made before the execution began.
    create(address, last);
    found = index_.find(address);
    words_[found->second]->stores[0].seen.fill(kNever);
    words_[found->second]->stores[0].seen[0] = 0;
  }
  Word& word = *words_[found->second];
  if (!word.alive) fail("a word is used after its destruction");
  const Store& first = word.stores.front();
  if (first.seen[first.by] != kNever && first.seen[first.by] > self().view.before.time[first.by])
    fail("race: a word is used, and nothing orders its construction before");
  word.used[current_] = self().time;
  return word;
}

std::size_t Model::first_readable(const Word& word, bool seqcst) const noexcept {
  const View& view = threads_[current_].view;
  for (std::size_t i = word.stores.size() - 1; i > 0; --i) {
    const Store& store = word.stores[i];
    for (std::size_t u = 0; u < kThreads; ++u) {
      if (store.seen[u] != kNever &&
          (store.seen[u] <= view.before.time[u] || store.seen[u] <= view.fenced.time[u] ||
           (seqcst && store.seen[u] <= fences_.time[u])))
        return i;
      if (store.seen_seqcst[u] != kNever &&
          (seqcst || store.seen_seqcst[u] <= view.sequenced.time[u]))
        return i;
    }
  }
  return 0;
}

void Model::read(Word& word, const void* address, std::size_t index, Order order) {
  Thread& thread = self();
  Store& store = word.stores[index];
  store.seen[current_] = std::min(store.seen[current_], thread.time);
  if (order == Order::seq_cst) {
    store.seen_seqcst[current_] = std::min(store.seen_seqcst[current_], thread.time);
    sequenced_.time[current_] = thread.time;
  }
  thread.to_acquire.join(store.release);
  if (acquires(order)) thread.view.join(store.release);
  thread.word = address;
  thread.index = index;
}

std::uint64_t Model::load(Word& word, const void* address, Order order, std::size_t& older) {
  const auto first = first_readable(word, order == Order::seq_cst);
  const auto last = word.stores.size() - 1;
  older = choose_value(static_cast<std::uint32_t>(last - first + 1));
  const auto index = last - older;
  read(word, address, index, order);
  return word.stores[index].value;
}

void Model::append(Word& word, std::uint64_t value, Order order, bool modifies) {
  Thread& thread = self();
  Store store;
  store.value = value;
  store.by = current_;
  store.seen.fill(kNever);
  store.seen_seqcst.fill(kNever);
  store.seen[current_] = thread.time;
  if (order == Order::seq_cst) {
    store.seen_seqcst[current_] = thread.time;
    sequenced_.time[current_] = thread.time;
  }
  store.release = thread.to_release;
  if (releases(order)) store.release.join(thread.view);
  if (modifies) store.release.join(word.stores.back().release);
  word.stores.push_back(store);
}

void Model::fence(Order order) {
  Thread& thread = self();
  if (acquires(order)) thread.view.join(thread.to_acquire);
  if (order == Order::seq_cst) {
    fences_.join(thread.view.before);
    thread.view.fenced.join(fences_);
    thread.view.sequenced.join(sequenced_);
  }
  if (releases(order)) thread.to_release = thread.view;
}

}  // namespace

// --- what shims and cases call -----------------------------------------------------------------

std::string name_of(Order order) {
  switch (order) {
    case Order::relaxed:
      return "relaxed";
    case Order::consume:
      return "consume";
    case Order::acquire:
      return "acquire";
    case Order::release:
      return "release";
    case Order::acq_rel:
      return "acq_rel";
    case Order::seq_cst:
      return "seq_cst";
  }
  return "?";
}

std::string describe(const Site& site) {
  return site.file + ":" + std::to_string(site.line) + ":" + std::to_string(site.column) + " " +
         site.operation + " " + name_of(site.order) + " in " + site.function;
}

Result explore(const std::function<void()>& body, const Options& options) {
  Model now(body, options);
  model = &now;
  Result result = now.run();
  model = nullptr;
  return result;
}

const std::vector<Site>& sites() noexcept { return site_table().all; }
void weaken(std::size_t site, Order order) noexcept {
  site_table().weakened = site;
  site_table().weakened_to = order;
}
void weaken_nothing() noexcept { site_table().weakened = ~std::size_t{0}; }

void run_threads(std::vector<std::function<void()>> functions) { model->run_threads(functions); }

void check(bool condition, const char* what, std::source_location place) {
  if (!condition)
    model->fail(std::string("check failed: ") + what + " at line " + std::to_string(place.line()));
}

void word_created(const void* word, std::uint64_t value) noexcept {
  if (model != nullptr) model->create(word, value);
}
void word_destroyed(const void* word) noexcept {
  if (model != nullptr) model->destroy(word);
}

std::uint64_t word_load(const void* address, std::uint64_t last, Order written,
                        const Place& place) noexcept {
  if (model == nullptr) return last;
  const auto site = model->site("load", written, place);
  const Order order = Model::order_at(site, written);
  model->step({.address = address, .seqcst = order == Order::seq_cst});
  std::size_t older = 0;
  const auto value = model->load(model->word_at(address, last), address, order, older);
  model->happened("load", site, place, address, value, older);
  return value;
}

void word_store(const void* address, std::uint64_t last, std::uint64_t value, Order written,
                const Place& place) noexcept {
  if (model == nullptr) return;
  const auto site = model->site("store", written, place);
  const Order order = Model::order_at(site, written);
  model->step({.address = address, .writes = true, .seqcst = order == Order::seq_cst});
  model->append(model->word_at(address, last), value, order, false);
  model->happened("store", site, place, address, value);
}

namespace {
Order modifying = Order::relaxed;  // between a begin and its end
}

std::uint64_t word_modify(const void* address, std::uint64_t last, const char* name, Order written,
                          const Place& place) noexcept {
  if (model == nullptr) return last;
  const auto site = model->site(name, written, place);
  modifying = Model::order_at(site, written);
  model->step({.address = address, .writes = true, .seqcst = modifying == Order::seq_cst});
  // Another thread may have begun one meanwhile.
  modifying = Model::order_at(site, written);
  Word& word = model->word_at(address, last);
  model->read(word, address, word.stores.size() - 1, modifying);
  const auto value = word.stores.back().value;
  model->happened(name, site, place, address, value);
  return value;
}
void word_modified(const void* address, std::uint64_t value) noexcept {
  if (model == nullptr) return;
  model->append(model->word_at(address, value), value, modifying, true);
}

bool word_compare_exchange(const void* address, std::uint64_t last, std::uint64_t& expected,
                           std::uint64_t desired, Order written, const Order* written_failure,
                           const Place& place) noexcept {
  if (model == nullptr) {
    if (last == expected) return true;
    expected = last;
    return false;
  }
  const auto site = model->site("compare_exchange", written, place);
  const Order success = Model::order_at(site, written);
  Order failure = success == Order::acq_rel   ? Order::acquire
                  : success == Order::release ? Order::relaxed
                                              : success;
  auto failure_site = site;
  if (written_failure != nullptr) {
    failure_site = model->site("compare_exchange failed", *written_failure, place);
    failure = Model::order_at(failure_site, *written_failure);
  }
  model->step({.address = address, .writes = true, .seqcst = success == Order::seq_cst});
  Word& word = model->word_at(address, last);
  // It succeeds on the newest store, and fails by reading any that it may read with another value.
  std::array<std::size_t, 64> readable;
  std::uint32_t count = 0;
  const auto newest = word.stores.size() - 1;
  const auto first = model->first_readable(word, failure == Order::seq_cst);
  readable[count++] = newest;
  for (std::size_t i = newest; i-- > first && count < readable.size();) {
    if (word.stores[i].value != expected) readable[count++] = i;
  }
  const auto index = readable[model->choose_value(count)];
  if (index == newest && word.stores[index].value == expected) {
    model->read(word, address, index, success);
    model->append(word, desired, success, true);
    model->happened("compare_exchange", site, place, address, desired);
    return true;
  }
  expected = word.stores[index].value;
  model->read(word, address, index, failure);
  model->happened("compare_exchange failed", failure_site, place, address, expected,
                  newest - index);
  return false;
}

void lock_created(const void* lock) noexcept {
  if (model != nullptr) model->mutexes[lock] = {};
}
void lock_take(const void* lock, const Place& place) noexcept {
  if (model == nullptr) return;
  model->step({.address = lock, .writes = true, .enabled = Step::Enabled::Unlocked});
  auto& mutex = model->mutexes[lock];
  mutex.owner = model->current();
  model->self().view.join(mutex.release);
  model->happened("lock", ~std::size_t{0}, place, lock, 0);
}
bool lock_try(const void* lock, const Place& place) noexcept {
  if (model == nullptr) return true;
  model->step({.address = lock, .writes = true});
  auto& mutex = model->mutexes[lock];
  const bool taken = mutex.owner == kThreads;
  if (taken) {
    mutex.owner = model->current();
    model->self().view.join(mutex.release);
  }
  model->happened("try_lock", ~std::size_t{0}, place, lock, taken ? 1 : 0);
  return taken;
}
void lock_release(const void* lock, const Place& place) noexcept {
  if (model == nullptr) return;
  model->step({.address = lock, .writes = true});
  auto& mutex = model->mutexes[lock];
  if (mutex.owner != model->current()) model->fail("a lock is let go of by who does not hold it");
  mutex.owner = kThreads;
  mutex.release = model->self().view;
  model->happened("unlock", ~std::size_t{0}, place, lock, 0);
}

void Cell::check_ordered(const Access& others, const char* what,
                         const std::source_location& place) const noexcept {
  if (others.execution != model->execution()) return;
  for (std::size_t i = 0; i < kThreads; ++i) {
    if (others.time[i] > model->self().view.before.time[i])
      model->fail(std::string("data race: ") + what + " at line " + std::to_string(place.line()) +
                  ", unordered with thread " + std::to_string(i));
  }
}
void Cell::on_read(const std::source_location& place) const noexcept {
  if (model == nullptr) return;
  check_ordered(writes_, "a read", place);
  if (reads_.execution != model->execution()) reads_ = {.execution = model->execution()};
  auto& thread = model->self();
  thread.view.before.time[model->current()] = ++thread.time;
  reads_.time[model->current()] = thread.time;
}
void Cell::on_write(const std::source_location& place) noexcept {
  if (model == nullptr) return;
  check_ordered(writes_, "a write", place);
  check_ordered(reads_, "a write", place);
  if (writes_.execution != model->execution()) writes_ = {.execution = model->execution()};
  auto& thread = model->self();
  thread.view.before.time[model->current()] = ++thread.time;
  writes_.time[model->current()] = thread.time;
}

void Handoff::put(void* item, std::source_location place) noexcept {
  model->step({.address = this, .writes = true});
  items_.push_back(item);
  if (!relaxed_) model->handoffs[this].join(model->self().view);
  model->happened("put", ~std::size_t{0}, place, this, 0);
}
void* Handoff::take(std::source_location place) noexcept {
  model->self().items = &items_;
  model->self().closed = &closed_;
  model->step({.address = this, .writes = true, .enabled = Step::Enabled::Filled});
  model->self().view.join(model->handoffs[this]);
  model->happened("take", ~std::size_t{0}, place, this, items_.size());
  if (items_.empty()) return nullptr;
  void* item = items_.front();
  items_.erase(items_.begin());
  return item;
}
void Handoff::close(std::source_location place) noexcept {
  model->step({.address = this, .writes = true});
  closed_ = true;
  model->handoffs[this].join(model->self().view);
  model->happened("close", ~std::size_t{0}, place, this, 0);
}

}  // namespace taskscope::interleave

namespace taskscope::runtime {

using interleave::model;
using interleave::Model;
using interleave::Step;

void fence(std::memory_order written, std::source_location place) noexcept {
  if (model == nullptr) return;
  const auto site = model->site("fence", written, place);
  const auto order = Model::order_at(site, written);
  model->step({.seqcst = order == std::memory_order_seq_cst, .fence = true});
  model->fence(order);
  model->happened("fence", site, place, nullptr, 0);
}

void yield_thread(std::source_location place) noexcept {
  if (model == nullptr) return;
  auto& self = model->self();
  const void* word = self.word;
  if (word == nullptr) return;
  model->step({.address = word, .enabled = Step::Enabled::Changed});
  // A store is seen in finite time: whoever looked in vain sees the newest there is now.
  model->see_newest(word);
  model->happened("yield", ~std::size_t{0}, place, word, 0);
}

void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t expected, std::uint64_t timeout_ns,
                std::source_location place) noexcept {
  if (model == nullptr) return;
  model->step({.address = &word, .writes = true});
  // The kernel looks at the newest value, under the lock that a wake takes, too. It does so for
  // this thread, which will not see an older one afterwards.
  if (model->see_newest(&word) != expected) {
    model->happened("futex_wait, not entered", ~std::size_t{0}, place, &word, expected);
    return;
  }
  model->happened("futex_wait", ~std::size_t{0}, place, &word, expected);
  auto& self = model->self();
  self.asleep = true;
  self.timed = timeout_ns != kForever;
  model->sleepers[&word].push_back(model->current());
  model->step({.enabled = Step::Enabled::Woken});
  auto& sleepers = model->sleepers[&word];
  std::erase(sleepers, model->current());
  model->happened("futex_wait, woken", ~std::size_t{0}, place, &word, expected);
}

void futex_wake(Atomic<std::uint32_t>& word, std::source_location place) noexcept {
  if (model == nullptr) return;
  model->step({.address = &word, .writes = true});
  auto& sleepers = model->sleepers[&word];
  model->happened("futex_wake", ~std::size_t{0}, place, &word, sleepers.size());
  if (sleepers.empty()) return;
  model->wake(sleepers.front());
  sleepers.erase(sleepers.begin());
}

}  // namespace taskscope::runtime

/// Assertions of the code under test end the execution, not the program.
extern "C" void __assert_fail(const char* text, const char* file, unsigned line, const char*) {
  using taskscope::interleave::model;
  if (model != nullptr)
    model->fail(std::string("assertion failed: ") + text + " at " + file + ":" +
                std::to_string(line));
  std::fprintf(stderr, "%s:%u: assertion failed: %s\n", file, line, text);
  std::abort();
}
