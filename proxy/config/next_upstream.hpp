// The words for failures of an upstream, which proxy_next_upstream and proxy_cache_use_stale share.
#pragma once

#include <array>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

inline constexpr std::array<Choice<std::uint32_t>, 12> kNextUpstream{{{"error", next_error},
                                                                      {"timeout", next_timeout},
                                                                      {"invalid_header", next_invalid_header},
                                                                      {"http_500", next_http_500},
                                                                      {"http_502", next_http_502},
                                                                      {"http_503", next_http_503},
                                                                      {"http_504", next_http_504},
                                                                      {"http_403", next_http_403},
                                                                      {"http_404", next_http_404},
                                                                      {"http_429", next_http_429},
                                                                      {"non_idempotent", next_non_idempotent},
                                                                      {"off", next_off}}};

}  // namespace gatehouse::config
