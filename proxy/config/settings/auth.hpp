// Settings of who may come in: auth_basic, auth_request, satisfy, secure_link, valid_referers (nginx's modules of the same names).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

struct AuthSettings {
  std::optional<ComplexValue> realm;      ///< auth_basic; nothing: off
  std::optional<ComplexValue> user_file;  ///< auth_basic_user_file
  Milliseconds auth_delay{0};
  bool satisfy_any = false;
  std::optional<std::string> auth_request;  ///< a URI; nothing: off
  std::vector<std::pair<VariableRef, ComplexValue>> auth_request_set;

  std::optional<ComplexValue> secure_link;
  std::optional<ComplexValue> secure_link_md5;
  std::string secure_link_secret;

  bool referers_given = false;  ///< else $invalid_referer is ""
  bool referers_none = false;
  bool referers_blocked = false;
  struct Referer {
    std::string host;  ///< lower case, without "*." and ".*"
    std::string path;  ///< a prefix of the path; "": any
    enum class Kind : std::uint8_t { exact, leading_wildcard, trailing_wildcard } kind = Kind::exact;
  };
  std::vector<Referer> referers;
  bool referers_server_names = false;
  std::vector<std::shared_ptr<const Regex>> referer_expressions;
};

template <>
struct GroupOf<AuthSettings> {
  static constexpr auto member = &LocationSettings::auth;
};

/// `limit_except METHOD... { ... }`: other methods meet these settings instead of the location's own.
struct LimitExcept {
  std::vector<std::string> methods;  ///< that are let through; GET lets HEAD through too
  LocationSettings settings;         ///< for all others: only allow, deny and auth_basic differ
};

struct MirrorSettings {
  std::vector<std::string> mirror;  ///< URIs
  bool request_body = true;
  std::string post_action;  ///< URI or @NAME of the subrequest behind the response; empty: none
};

template <>
struct GroupOf<MirrorSettings> {
  static constexpr auto member = &LocationSettings::mirror;
};

}  // namespace gatehouse::config
