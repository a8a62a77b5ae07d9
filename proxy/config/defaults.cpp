#include "proxy/config/defaults.hpp"

#include "proxy/config/settings/stream.hpp"

namespace gatehouse::config {

HeaderRule default_host_header(VariableTable& variables) {
  return {"Host", variables.compile("$proxy_host", {}), false};
}

std::shared_ptr<const LogFormat> combined_format(VariableTable& variables) {
  LogFormat format;
  format.name = "combined";
  format.text = variables.compile(
      "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" "
      "\"$http_user_agent\"",
      {});
  return std::make_shared<const LogFormat>(std::move(format));
}

void fill_defaults(Binder& binder, LocationSettings& settings) {
  auto& variables = binder.variables();
  const auto combined = combined_format(variables);
  binder.log_formats().emplace("combined", combined);

  settings.proxy_temp_path = binder.prefix_path(settings.proxy_temp_path);
  settings.client_body_temp_path = binder.prefix_path(settings.client_body_temp_path);
  settings.proxy_set_header =
      std::make_shared<const std::vector<HeaderRule>>(std::vector<HeaderRule>{default_host_header(variables)});
  settings.proxy_hide_header = std::make_shared<const std::vector<std::string>>();
  settings.proxy_pass_header = std::make_shared<const std::vector<std::string>>();
  settings.proxy_ssl = std::make_shared<const ProxySsl>();
  settings.add_header = std::make_shared<const std::vector<HeaderRule>>();
  AccessLogTarget access_log;
  access_log.path = ComplexValue(binder.prefix_path("logs/access.log"));
  access_log.format = combined;
  settings.access_log = std::make_shared<const std::vector<AccessLogTarget>>(std::vector<AccessLogTarget>{access_log});
  settings.error_log = std::make_shared<const std::vector<ErrorLogTarget>>(binder.config().main.error_log);
  settings.access = std::make_shared<const std::vector<NetworkRule>>();
  settings.set_real_ip_from = std::make_shared<const std::vector<NetworkRule>>();
}

void fill_stream_defaults(Binder& binder, LocationSettings& settings) {
  settings.stream = std::make_shared<const StreamSettings>();
  settings.proxy_ssl = std::make_shared<const ProxySsl>();
  settings.access_log = std::make_shared<const std::vector<AccessLogTarget>>();
  settings.error_log = std::make_shared<const std::vector<ErrorLogTarget>>(binder.config().main.error_log);
  settings.access = std::make_shared<const std::vector<NetworkRule>>();
  settings.set_real_ip_from = std::make_shared<const std::vector<NetworkRule>>();
}

ServerSettings stream_server_defaults() {
  ServerSettings settings;
  settings.proxy_protocol_timeout = std::chrono::seconds(30);
  settings.ssl.handshake_timeout = std::chrono::seconds(60);
  return settings;
}

}  // namespace gatehouse::config
