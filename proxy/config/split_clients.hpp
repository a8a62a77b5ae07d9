// `split_clients`: a variable by a share of all clients (ngx_http_split_clients_module).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/config/value_table.hpp"

namespace gatehouse::config {

/// MurmurHash2 with seed 0, as nginx computes it (Austin Appleby, 2008). Pure.
[[nodiscard]] std::uint32_t murmur_hash2(std::string_view data) noexcept;

/// Parts of the range of the hash, in order.
class SplitClients : public ValueTable {
 public:
  struct Part {
    std::uint32_t percent = 0;  ///< in hundredths of a percent; 0: the rest ("*")
    std::uint32_t last = 0;     ///< the first hash that is not of this part any more; 0: the rest
    ComplexValue value;
  };
  /// Fills each part's bounds from its share. The shares may not exceed 100 % in all: false then.
  [[nodiscard]] bool set_parts(std::vector<Part> parts);

  [[nodiscard]] const ComplexValue* find(std::string_view key, Regex::Captures&, const Regex*&) const override;
  [[nodiscard]] std::string_view kind() const noexcept override { return "split_clients"; }
  [[nodiscard]] std::size_t size() const noexcept override { return parts_.size(); }

 private:
  std::vector<Part> parts_;
};

}  // namespace gatehouse::config
