// The sessions of one thread, so that they can be counted and ended.
#pragma once

#include <cstdint>

#include "proxy/exchange/metrics.hpp"

namespace gatehouse::stream {

class Registry;

/// A session's place in its thread's registry.
class Registered {
 public:
  explicit Registered(Registry& registry) noexcept;
  virtual ~Registered();
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

  /// Ends whatever the session waits for, from the loop; the session then ends.
  virtual void cancel() = 0;

 private:
  friend class Registry;
  Registry& registry_;
  Registered* previous_ = nullptr;
  Registered* next_ = nullptr;
};

class Registry {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Any thread.
  [[nodiscard]] std::uint64_t open() const noexcept { return open_.value(); }
  void cancel_all() {
    for (Registered* session = first_; session != nullptr; session = session->next_) session->cancel();
  }

 private:
  friend class Registered;
  Registered* first_ = nullptr;
  exchange::Counter open_;
};

inline Registered::Registered(Registry& registry) noexcept : registry_(registry), next_(registry.first_) {
  if (next_ != nullptr) next_->previous_ = this;
  registry_.first_ = this;
  registry_.open_.add();
}

inline Registered::~Registered() {
  (previous_ != nullptr ? previous_->next_ : registry_.first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  registry_.open_.subtract();
}

}  // namespace gatehouse::stream
