// The answers of subrequests before and behind a body.
#pragma once

#include <string>

#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

class Addition : public BodyFilter {
 public:
  [[nodiscard]] Result<void> process(std::string_view in, bool last, std::string& out) override;
  [[nodiscard]] Addition* as_addition() noexcept override { return this; }
  /// Makes the subrequests; before the first piece.
  [[nodiscard]] io::Task<void> fetch(Exchange& exchange);

 private:
  std::string before_;
  std::string after_;
};

}  // namespace gatehouse::exchange
