// Users and passwords as htpasswd writes them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"

namespace gatehouse::exchange {

/// How costly it is to check a password against a hash.
enum class HashCost : std::uint8_t { cheap, dear };

/// Whether `password` is the one that `hash` was made of: {PLAIN}, {SHA}, {SSHA}, $apr1$, and what crypt(3) knows ($1$, $2y$, $5$, $6$,
/// $y$, DES). Compares in constant time. Thread-safe. May take as long as the hash wants.
[[nodiscard]] bool password_matches(std::string_view password, const std::string& hash);
/// Whether checking takes so long that an event loop must not do it.
[[nodiscard]] HashCost cost_of(std::string_view hash) noexcept;

/// Passwords by user; lines "user:hash[:comment]", '#' begins a comment.
using PasswordTable = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] PasswordTable parse_password_file(std::string_view text);

/// The table of a file, read again when the file has changed. Error: io_failed with errno. Thread-safe.
[[nodiscard]] Result<std::shared_ptr<const PasswordTable>> load_password_file(const std::string& path);

}  // namespace gatehouse::exchange
