// `geo`: a variable by the client's network (ngx_http_geo_module).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/config/model.hpp"
#include "proxy/config/value_table.hpp"

namespace gatehouse::config {

/// Longest prefix first; with `ranges`, the innermost range. Not found: the default, which is "" unless given.
class GeoTable : public ValueTable {
 public:
  std::vector<NetworkRule> proxies;  ///< whose X-Forwarded-For names the client
  bool proxy_recursive = false;

  [[nodiscard]] const ComplexValue* find(std::string_view key, Regex::Captures&, const Regex*&) const override;
  /// Null: not listed and no default.
  [[nodiscard]] const ComplexValue* find(const SocketAddress& address) const;
  [[nodiscard]] const GeoTable* as_geo() const noexcept override { return this; }
  [[nodiscard]] std::string_view kind() const noexcept override { return "geo"; }
  [[nodiscard]] std::size_t size() const noexcept override;

  /// Adds a network; true when it replaces one.
  bool add(const NetworkRule& network, ComplexValue value);
  /// Removes a network; false when it is not there.
  bool remove(const NetworkRule& network);
  /// Adds an IPv4 range, both ends included (host byte order); later ranges go before earlier ones.
  void add_range(std::uint32_t first, std::uint32_t last, ComplexValue value);
  bool remove_range(std::uint32_t first, std::uint32_t last);
  void set_default(ComplexValue value) { default_ = std::move(value); }
  [[nodiscard]] bool has_default() const noexcept { return default_.has_value(); }

 private:
  using Key = std::array<std::uint8_t, 16>;
  struct Family {
    std::map<std::uint8_t, std::map<Key, ComplexValue>, std::greater<>> by_length;
    [[nodiscard]] const ComplexValue* find(std::span<const std::uint8_t> bytes) const;
  };
  Family& family(const SocketAddress& address) { return address.bytes().size() == 4 ? v4_ : v6_; }

  Family v4_, v6_;
  struct Range {
    std::uint32_t last;
    ComplexValue value;
  };
  std::map<std::uint32_t, Range> ranges_;  ///< by first address, without overlaps
  std::optional<ComplexValue> default_;
};

}  // namespace gatehouse::config
