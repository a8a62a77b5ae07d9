// The parts of the one table of directives, by subject; table.cpp joins them.
#pragma once

#include <span>

#include "proxy/config/directive.hpp"

namespace gatehouse::config {

[[nodiscard]] std::span<const Directive> main_directives();
[[nodiscard]] std::span<const Directive> http_directives();
[[nodiscard]] std::span<const Directive> file_directives();
[[nodiscard]] std::span<const Directive> body_filter_directives();
[[nodiscard]] std::span<const Directive> more_headers_directives();
[[nodiscard]] std::span<const Directive> limit_directives();
[[nodiscard]] std::span<const Directive> auth_directives();
[[nodiscard]] std::span<const Directive> userid_directives();
[[nodiscard]] std::span<const Directive> browser_directives();
[[nodiscard]] std::span<const Directive> access_directives();
[[nodiscard]] std::span<const Directive> proxy_directives();
[[nodiscard]] std::span<const Directive> proxy_transform_directives();
[[nodiscard]] std::span<const Directive> cache_directives();
[[nodiscard]] std::span<const Directive> upstream_directives();
[[nodiscard]] std::span<const Directive> rewrite_directives();
[[nodiscard]] std::span<const Directive> ssl_directives();
[[nodiscard]] std::span<const Directive> protocol_directives();
[[nodiscard]] std::span<const Directive> log_directives();
[[nodiscard]] std::span<const Directive> waf_directives();
[[nodiscard]] std::span<const Directive> stream_directives();
[[nodiscard]] std::span<const Directive> tuning_directives();
[[nodiscard]] std::span<const Directive> refused_directives();
/// What to do instead of a directive of a family that is never supported (fastcgi_, lua_ ...); "" for any other name.
[[nodiscard]] std::string_view refused_family(std::string_view name);

}  // namespace gatehouse::config
