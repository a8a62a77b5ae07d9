// `gatehouse -t --explain URL`: what a GET for the URL would meet, found by the phases that would serve it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/exchange/generation.hpp"

namespace gatehouse::exchange {

/// Says which listener, server and location a URL meets, what rewriting makes of it, what answers, and the settings of the place
/// (access, limits, cache, WAF). The request has a Host field and no other, comes from 127.0.0.1, and goes no further than the choice
/// of an answer: no upstream is asked and no file is read. A line a fact; the last line ends in "\n". A URL that can't be asked for
/// is told in one line. Takes as long as making an event loop: for the command line.
[[nodiscard]] std::string explain(std::shared_ptr<const Generation> generation, std::string_view url);

}  // namespace gatehouse::exchange
