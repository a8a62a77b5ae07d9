// The waf_* directives of a place as the WAF's overlay.
#pragma once

#include "proxy/config/model.hpp"
#include "waf/overlay.hpp"

namespace gatehouse::exchange {

/// Pure. Equal to waf::Overlay{} where nothing differs from the rules.
[[nodiscard]] waf::Overlay overlay_of(const config::LocationSettings& settings);

}  // namespace gatehouse::exchange
