#include "taskscope/runtime/sync/semaphore.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#include "taskscope/runtime/observe/observer.h"

namespace taskscope::runtime::sync {

namespace {
constexpr std::size_t kDescribedHolders = 64;  // of a semaphore with more, the newest

observe::Holder holder_of(TaskId task, bool certain, std::size_t permits) noexcept {
  observe::Holder holder;
  holder.task = task;
  holder.certain = certain && task != TaskId::None;
  holder.permits = static_cast<std::uint32_t>(
      std::min<std::size_t>(permits, std::numeric_limits<std::uint32_t>::max()));
  return holder;
}
}  // namespace

PermitHold::PermitHold(Semaphore* semaphore, std::size_t permits, bool certain) noexcept
    : semaphore_(semaphore), permits_(semaphore != nullptr ? permits : 0), certain_(certain) {
  if (semaphore_ == nullptr) return;
  task_ = task::current_task_id();
  {
    const std::lock_guard guard(semaphore_->lock_);
    semaphore_->enter(*this);
    semaphore_->held_ += permits_;
  }
  if (observe::wants(observe::Event::Resource))
    semaphore_->report_acquired(holder_of(task_, certain_, permits_));
}

PermitHold::PermitHold(PermitHold& from, std::size_t permits) noexcept {
  if (from.semaphore_ == nullptr || from.permits_ < permits) return;
  semaphore_ = from.semaphore_;
  permits_ = permits;
  task_ = from.task_;
  certain_ = from.certain_;
  // To watchers nothing changes: the same task holds as many.
  const std::lock_guard guard(semaphore_->lock_);
  from.permits_ -= permits;
  semaphore_->enter(*this);
}

void PermitHold::take_all(PermitHold& other) {
  if (other.semaphore_ == nullptr || this == &other) return;
  if (semaphore_ == nullptr) return move_from(other);
  if (semaphore_ != other.semaphore_)
    throw std::invalid_argument("Semaphore: merged permits of two semaphores");
  if (task_ != other.task_ && observe::wants(observe::Event::Resource)) {
    semaphore_->report_released(holder_of(other.task_, other.certain_, other.permits_));
    semaphore_->report_acquired(holder_of(task_, certain_, other.permits_));
  }
  const std::lock_guard guard(semaphore_->lock_);
  semaphore_->remove(other);
  permits_ += std::exchange(other.permits_, 0);
  other.semaphore_ = nullptr;
}

void PermitHold::release() noexcept {
  const auto permits = permits_;
  if (Semaphore* semaphore = semaphore_; semaphore != nullptr) {
    if (observe::wants(observe::Event::Resource))
      semaphore->report_released(holder_of(task_, certain_, permits_));
    task::WakeBatch batch;
    std::unique_lock lock(semaphore->lock_);
    semaphore->remove(*this);
    semaphore->held_ -= permits;
    semaphore_ = nullptr;
    permits_ = 0;
    // Last: with the lock gone, others may destroy the semaphore.
    semaphore->give(permits, lock, batch);
  }
}

void PermitHold::forget() noexcept {
  if (semaphore_ == nullptr) return;
  if (observe::wants(observe::Event::Resource))
    semaphore_->report_released(holder_of(task_, certain_, permits_));
  const std::lock_guard guard(semaphore_->lock_);
  semaphore_->remove(*this);
  semaphore_->held_ -= permits_;
  semaphore_->forgotten_ += permits_;
  semaphore_ = nullptr;
  permits_ = 0;
}

void PermitHold::move_from(PermitHold& other) noexcept {
  if (other.semaphore_ == nullptr) return;
  semaphore_ = other.semaphore_;
  permits_ = other.permits_;
  task_ = other.task_;
  certain_ = other.certain_;
  const std::lock_guard guard(semaphore_->lock_);
  next_ = other.next_;
  link_ = other.link_;
  *link_ = this;
  if (next_ != nullptr) next_->link_ = &next_;
  other.semaphore_ = nullptr;
  other.permits_ = 0;
}

Semaphore::Semaphore(std::size_t permits, const char* name, Site site)
    : Waitable(observe::ResourceKind::Semaphore, "Semaphore", site, name), state_(permits * kOne) {
  if (permits > kMaxPermits) throw std::invalid_argument("Semaphore: more than kMaxPermits");
  if (*name != '\0') registered();
}

bool Semaphore::try_take(std::size_t permits) noexcept {
  if (permits > kMaxPermits) return false;
  auto state = state_.load(std::memory_order_relaxed);
  do {
    if ((state & kClosed) != 0 || state / kOne < permits) return false;
    // Acquire: pairs with give()'s release; sees what was done under the permit before.
  } while (!state_.compare_exchange_weak(state, state - permits * kOne, std::memory_order_acquire,
                                         std::memory_order_relaxed));
  return true;
}

bool Semaphore::AcquiringBase::try_now() noexcept {
  granted_ = owner().try_take(wanted_);
  return granted_ || owner().is_closed();
}

bool Semaphore::AcquiringBase::start(task::PromiseBase& awaiting) noexcept {
  return wait_in(owner().line_, awaiting, [this] {
    if (try_now()) return true;
    // What is free now is ours: those who come later must not take it from under the first in line.
    // Relaxed and acquire: as in try_take. Only an empty line can leave permits here.
    auto state = owner().state_.load(std::memory_order_relaxed);
    std::size_t taken = 0;
    do {
      taken = std::min<std::size_t>(state / kOne, wanted_);
      if (taken == 0) break;
    } while (!owner().state_.compare_exchange_weak(
        state, state - taken * kOne, std::memory_order_acquire, std::memory_order_relaxed));
    missing_ = wanted_ - taken;
    granted_ = missing_ == 0;
    return granted_;
  });
}

Semaphore::AcquiringBase::~AcquiringBase() {
  std::size_t gathered = 0;
  if (withdraw([&] { gathered = wanted_ - missing_; })) gathered = wanted_;
  if (gathered != 0) owner().give(gathered);
}

void Semaphore::give(std::size_t permits, std::unique_lock<Lock>& lock,
                     task::WakeBatch& batch) noexcept {
  while (permits != 0 && !line_.empty()) {
    if (made_room(batch, lock)) continue;
    auto& first = static_cast<AcquiringBase&>(*line_.front());
    const auto part = std::min(permits, first.missing_);
    first.missing_ -= part;
    permits -= part;
    if (first.missing_ != 0) break;
    line_.wake(first, true, batch);
  }
  // Release: pairs with try_take's acquire.
  if (permits != 0) state_.fetch_add(permits * kOne, std::memory_order_release);
}

void Semaphore::give(std::size_t permits) noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  give(permits, lock, batch);
}

void Semaphore::enter(PermitHold& hold) noexcept {
  hold.next_ = holds_;
  hold.link_ = &holds_;
  if (holds_ != nullptr) holds_->link_ = &hold.next_;
  holds_ = &hold;
}

void Semaphore::remove(PermitHold& hold) noexcept {
  *hold.link_ = hold.next_;
  if (hold.next_ != nullptr) hold.next_->link_ = hold.link_;
}

void Semaphore::add_permits(std::size_t permits) {
  if (permits > kMaxPermits - std::min(kMaxPermits, available_permits()))
    throw std::invalid_argument("Semaphore: more than kMaxPermits");
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  added_ += permits;
  give(permits, lock, batch);
}

std::size_t Semaphore::forget_permits(std::size_t permits) noexcept {
  auto state = state_.load(std::memory_order_relaxed);
  std::size_t taken = 0;
  do {
    taken = std::min<std::size_t>(state / kOne, permits);
    // Relaxed: nothing is done under these permits.
  } while (!state_.compare_exchange_weak(state, state - taken * kOne, std::memory_order_relaxed,
                                         std::memory_order_relaxed));
  const std::lock_guard guard(lock_);
  forgotten_ += taken;
  return taken;
}

void Semaphore::close() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  // Release: pairs with is_closed's acquire.
  state_.fetch_or(kClosed, std::memory_order_release);
  std::size_t gathered = 0;
  while (!line_.empty()) {
    if (made_room(batch, lock)) continue;
    auto& first = static_cast<AcquiringBase&>(*line_.front());
    gathered += first.wanted_ - first.missing_;
    line_.wake(first, false, batch);
  }
  give(gathered, lock, batch);
}

void Semaphore::describe(observe::ResourceView& view,
                         void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::array<observe::Holder, kDescribedHolders> holders;
  std::size_t count = 0;
  std::uint64_t held = 0, forgotten = 0, added = 0;
  {
    const std::lock_guard guard(lock_);
    for (const auto* at = holds_; at != nullptr && count < holders.size(); at = at->next_)
      holders[count++] = holder_of(at->task_, at->certain_, at->permits_);
    held = held_;
    forgotten = forgotten_;
    added = added_;
    view.waiters = line_.size();
  }
  const std::array attributes{
      observe::Attribute{"permits", "", available_permits()}, observe::Attribute{"held", "", held},
      observe::Attribute{"forgotten", "", forgotten}, observe::Attribute{"added", "", added},
      observe::Attribute{"closed", "", is_closed() ? 1u : 0u}};
  view.holders = std::span(holders).first(count);
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
