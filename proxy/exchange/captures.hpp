// What regular expressions matched, as variables: $1 to $9 and named groups.
#pragma once

#include <string_view>

#include "proxy/config/regex.hpp"

namespace gatehouse::exchange {

struct Exchange;

/// Makes the groups in Exchange::captures, which `regex` just filled from `subject`, the values of $1 to $9 and of the named groups.
/// `subject` must live as long as the exchange (its arena, its heads, the configuration).
void keep_captures(Exchange& exchange, const config::Regex& regex, std::string_view subject);

/// Whether `regex` of a `rewrite` or an `if` matches; then its groups are kept. If not, $1 to $9 are empty from here on, as in nginx.
[[nodiscard]] bool match_and_keep(Exchange& exchange, const config::Regex& regex, std::string_view subject);

}  // namespace gatehouse::exchange
