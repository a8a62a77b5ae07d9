// What the http level starts from: the values that the model's initialisers can't give because they are shared objects.
#pragma once

#include "proxy/config/binder.hpp"

namespace gatehouse::config {

/// `Host $proxy_host`.
[[nodiscard]] HeaderRule default_host_header(VariableTable& variables);
/// nginx's predefined `combined` format.
[[nodiscard]] std::shared_ptr<const LogFormat> combined_format(VariableTable& variables);
/// Makes every shared member of `settings` point to its default.
void fill_defaults(Binder& binder, LocationSettings& settings);

/// The same for the stream block.
void fill_stream_defaults(Binder& binder, LocationSettings& settings);
/// nginx's defaults of a stream server, where they differ from http's.
[[nodiscard]] ServerSettings stream_server_defaults();

}  // namespace gatehouse::config
