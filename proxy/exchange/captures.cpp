#include "proxy/exchange/captures.hpp"

#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {

void keep_captures(Exchange& exchange, const config::Regex& regex, std::string_view subject) {
  exchange.captured = subject;
  const auto& offsets = exchange.captures.offsets;
  for (std::size_t i = 0; i < regex.names().size(); ++i) {
    const std::size_t at = std::size_t{regex.names()[i].second} * 2;
    if (at + 1 >= offsets.size()) continue;
    const bool took_part = offsets[at] != std::string_view::npos;
    exchange.set_variable(regex.slots()[i],
                          took_part ? subject.substr(offsets[at], offsets[at + 1] - offsets[at]) : "");
  }
}

bool match_and_keep(Exchange& exchange, const config::Regex& regex, std::string_view subject) {
  if (!regex.match(subject, exchange.captures)) {
    exchange.captures.offsets.clear();
    return false;
  }
  keep_captures(exchange, regex, subject);
  return true;
}

}  // namespace gatehouse::exchange
