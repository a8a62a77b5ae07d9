// Header and trailer fields: the one table of names the proxy knows, and the list a message's fields live in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>

namespace gatehouse::http {

/// What is true of a known field name; a row's third column.
enum FieldTraits : std::uint8_t {
  kPlain = 0,
  kHopByHop = 1,  ///< never forwarded, RFC 9110 section 7.6.1
  kProtected =
      2,  ///< naming it in Connection is refused: removing it would change who or what the origin thinks it serves
  kNoTrailer = 4,  ///< dropped from a trailer section, RFC 9110 section 6.5.1
};

// clang-format off
// X(identifier, lower-case name, traits)
#define GATEHOUSE_FIELDS(X)                                                            \
  X(accept,                    "accept",                     kNoTrailer)               \
  X(accept_charset,            "accept-charset",             kNoTrailer)               \
  X(accept_encoding,           "accept-encoding",            kNoTrailer)               \
  X(accept_language,           "accept-language",            kNoTrailer)               \
  X(accept_ranges,             "accept-ranges",              kNoTrailer)               \
  X(access_control_allow_origin, "access-control-allow-origin", kNoTrailer)            \
  X(age,                       "age",                        kNoTrailer)               \
  X(allow,                     "allow",                      kNoTrailer)               \
  X(alt_svc,                   "alt-svc",                    kNoTrailer)               \
  X(alt_used,                  "alt-used",                   kNoTrailer)               \
  X(authorization,             "authorization",              kProtected | kNoTrailer)  \
  X(cache_control,             "cache-control",              kProtected | kNoTrailer)  \
  X(connection,                "connection",                 kHopByHop | kNoTrailer)   \
  X(content_disposition,       "content-disposition",        kNoTrailer)               \
  X(content_encoding,          "content-encoding",           kProtected | kNoTrailer)  \
  X(content_language,          "content-language",           kNoTrailer)               \
  X(content_length,            "content-length",             kProtected | kNoTrailer)  \
  X(content_location,          "content-location",           kNoTrailer)               \
  X(content_range,             "content-range",              kProtected | kNoTrailer)  \
  X(content_security_policy,   "content-security-policy",    kNoTrailer)               \
  X(content_type,              "content-type",               kProtected | kNoTrailer)  \
  X(cookie,                    "cookie",                     kProtected | kNoTrailer)  \
  X(date,                      "date",                       kProtected | kNoTrailer)  \
  X(dnt,                       "dnt",                        kPlain)                   \
  X(early_data,                "early-data",                 kProtected | kNoTrailer)  \
  X(etag,                      "etag",                       kPlain)                   \
  X(expect,                    "expect",                     kProtected | kNoTrailer)  \
  X(expires,                   "expires",                    kNoTrailer)               \
  X(forwarded,                 "forwarded",                  kProtected | kNoTrailer)  \
  X(from,                      "from",                       kNoTrailer)               \
  X(host,                      "host",                       kProtected | kNoTrailer)  \
  X(http2_settings,            "http2-settings",             kHopByHop | kNoTrailer)   \
  X(if_match,                  "if-match",                   kProtected | kNoTrailer)  \
  X(if_modified_since,         "if-modified-since",          kProtected | kNoTrailer)  \
  X(if_none_match,             "if-none-match",              kProtected | kNoTrailer)  \
  X(if_range,                  "if-range",                   kProtected | kNoTrailer)  \
  X(if_unmodified_since,       "if-unmodified-since",        kProtected | kNoTrailer)  \
  X(keep_alive,                "keep-alive",                 kHopByHop | kNoTrailer)   \
  X(last_modified,             "last-modified",              kNoTrailer)               \
  X(link,                      "link",                       kPlain)                   \
  X(location,                  "location",                   kProtected | kNoTrailer)  \
  X(max_forwards,              "max-forwards",               kProtected | kNoTrailer)  \
  X(origin,                    "origin",                     kProtected | kNoTrailer)  \
  X(pragma,                    "pragma",                     kNoTrailer)               \
  X(priority,                  "priority",                   kNoTrailer)               \
  X(proxy_authenticate,        "proxy-authenticate",         kHopByHop | kNoTrailer)   \
  X(proxy_authorization,       "proxy-authorization",        kHopByHop | kNoTrailer)   \
  X(proxy_connection,          "proxy-connection",           kHopByHop | kNoTrailer)   \
  X(range,                     "range",                      kProtected | kNoTrailer)  \
  X(referer,                   "referer",                    kNoTrailer)               \
  X(refresh,                   "refresh",                    kNoTrailer)               \
  X(retry_after,               "retry-after",                kNoTrailer)               \
  X(sec_ch_ua,                 "sec-ch-ua",                  kPlain)                   \
  X(sec_ch_ua_mobile,          "sec-ch-ua-mobile",           kPlain)                   \
  X(sec_ch_ua_platform,        "sec-ch-ua-platform",         kPlain)                   \
  X(sec_fetch_dest,            "sec-fetch-dest",             kPlain)                   \
  X(sec_fetch_mode,            "sec-fetch-mode",             kPlain)                   \
  X(sec_fetch_site,            "sec-fetch-site",             kPlain)                   \
  X(sec_fetch_user,            "sec-fetch-user",             kPlain)                   \
  X(sec_websocket_accept,      "sec-websocket-accept",       kProtected | kNoTrailer)  \
  X(sec_websocket_extensions,  "sec-websocket-extensions",   kProtected | kNoTrailer)  \
  X(sec_websocket_key,         "sec-websocket-key",          kProtected | kNoTrailer)  \
  X(sec_websocket_protocol,    "sec-websocket-protocol",     kProtected | kNoTrailer)  \
  X(sec_websocket_version,     "sec-websocket-version",      kProtected | kNoTrailer)  \
  X(server,                    "server",                     kNoTrailer)               \
  X(server_timing,             "server-timing",              kPlain)                   \
  X(set_cookie,                "set-cookie",                 kProtected | kNoTrailer)  \
  X(strict_transport_security, "strict-transport-security",  kNoTrailer)               \
  X(te,                        "te",                         kHopByHop | kNoTrailer)   \
  X(trailer,                   "trailer",                    kNoTrailer)               \
  X(transfer_encoding,         "transfer-encoding",          kHopByHop | kProtected | kNoTrailer) \
  X(upgrade,                   "upgrade",                    kHopByHop | kNoTrailer)   \
  X(upgrade_insecure_requests, "upgrade-insecure-requests",  kPlain)                   \
  X(user_agent,                "user-agent",                 kNoTrailer)               \
  X(vary,                      "vary",                       kNoTrailer)               \
  X(via,                       "via",                        kProtected | kNoTrailer)  \
  X(warning,                   "warning",                    kNoTrailer)               \
  X(www_authenticate,          "www-authenticate",           kProtected | kNoTrailer)  \
  X(x_accel_buffering,         "x-accel-buffering",          kNoTrailer)               \
  X(x_accel_charset,           "x-accel-charset",            kNoTrailer)               \
  X(x_accel_expires,           "x-accel-expires",            kNoTrailer)               \
  X(x_accel_limit_rate,        "x-accel-limit-rate",         kNoTrailer)               \
  X(x_accel_redirect,          "x-accel-redirect",           kNoTrailer)               \
  X(x_forwarded_for,           "x-forwarded-for",            kProtected | kNoTrailer)  \
  X(x_forwarded_host,          "x-forwarded-host",           kProtected | kNoTrailer)  \
  X(x_forwarded_port,          "x-forwarded-port",           kProtected | kNoTrailer)  \
  X(x_forwarded_prefix,        "x-forwarded-prefix",         kProtected | kNoTrailer)  \
  X(x_forwarded_proto,         "x-forwarded-proto",          kProtected | kNoTrailer)  \
  X(x_forwarded_scheme,        "x-forwarded-scheme",         kProtected | kNoTrailer)  \
  X(x_forwarded_server,        "x-forwarded-server",         kProtected | kNoTrailer)  \
  X(x_http_method_override,    "x-http-method-override",     kProtected | kNoTrailer)  \
  X(x_original_uri,            "x-original-uri",             kProtected | kNoTrailer)  \
  X(x_original_url,            "x-original-url",             kProtected | kNoTrailer)  \
  X(x_pad,                     "x-pad",                      kNoTrailer)               \
  X(x_real_ip,                 "x-real-ip",                  kProtected | kNoTrailer)  \
  X(x_request_id,              "x-request-id",               kProtected | kNoTrailer)  \
  X(x_requested_with,          "x-requested-with",           kPlain)                   \
  X(x_rewrite_url,             "x-rewrite-url",              kProtected | kNoTrailer)  \
  X(x_scheme,                  "x-scheme",                   kProtected | kNoTrailer)
// clang-format on

/// A known field name; `other` is any name without a row.
enum class FieldId : std::uint8_t {
#define GATEHOUSE_FIELD_ENUMERATOR(id, name, traits) id,
  GATEHOUSE_FIELDS(GATEHOUSE_FIELD_ENUMERATOR)
#undef GATEHOUSE_FIELD_ENUMERATOR
      other,
};

inline constexpr std::size_t kFieldCount = static_cast<std::size_t>(FieldId::other);
static_assert(kFieldCount <= 128, "FieldIdSet holds 128 names");

/// The row of a name, `other` if it has none. Case-insensitive and exact for any bytes; a few nanoseconds: one hash of
/// four bytes, one compare.
[[nodiscard]] FieldId field_id(std::string_view name) noexcept;

/// The lower-case name of a row; empty for `other`.
[[nodiscard]] std::string_view field_name(FieldId id) noexcept;

/// The traits of a row, a set of FieldTraits bits; kPlain for `other`.
[[nodiscard]] std::uint8_t field_traits(FieldId id) noexcept;

/// A set of known names.
class FieldIdSet {
 public:
  constexpr void add(FieldId id) noexcept { word(id) |= bit(id); }
  [[nodiscard]] constexpr bool contains(FieldId id) const noexcept {
    return (words_[static_cast<std::size_t>(id) / 64] & bit(id)) != 0;
  }
  constexpr void remove(FieldId id) noexcept { word(id) &= ~bit(id); }
  constexpr void clear() noexcept { words_[0] = words_[1] = 0; }

 private:
  static constexpr std::uint64_t bit(FieldId id) noexcept {
    return std::uint64_t{1} << (static_cast<unsigned>(id) % 64);
  }
  constexpr std::uint64_t& word(FieldId id) noexcept { return words_[static_cast<std::size_t>(id) / 64]; }

  std::uint64_t words_[2] = {0, 0};
};

/// The known names that have a trait, as a set: a bit test on the hot path.
[[nodiscard]] consteval FieldIdSet fields_with(FieldTraits trait) {
  FieldIdSet set;
#define GATEHOUSE_FIELD_WITH(id, name, traits) \
  if (((traits) & trait) != 0) set.add(FieldId::id);
  GATEHOUSE_FIELDS(GATEHOUSE_FIELD_WITH)
#undef GATEHOUSE_FIELD_WITH
  return set;
}

/// One field line. The views are borrowed from the buffer or arena the message was parsed from.
struct Field {
  std::string_view name;   ///< as sent
  std::string_view value;  ///< without the whitespace around it
  FieldId id = FieldId::other;
};

/// The fields of one message in the order they were sent. Owns the list, borrows the text: names and values must
/// outlive it. Lists of up to 32 fields need no allocation, and clear() keeps a larger capacity. Not thread-safe.
class Fields {
 public:
  using const_iterator = boost::container::small_vector<Field, 32>::const_iterator;

  /// Appends a field; `id` must be field_id(name).
  void add(std::string_view name, std::string_view value, FieldId id) {
    present_.add(id);
    fields_.push_back(Field{name, value, id});
  }
  void add(std::string_view name, std::string_view value) { add(name, value, field_id(name)); }

  /// The first field of a known name, nullptr if there is none (a bit test). `id` must not be `other`.
  [[nodiscard]] const Field* find(FieldId id) const noexcept {
    if (!present_.contains(id)) return nullptr;
    for (const Field& field : fields_) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }
  /// The first field of a name, compared case-insensitively; nullptr if there is none.
  [[nodiscard]] const Field* find(std::string_view name) const noexcept;

  /// The value of the first field of a known name; nothing if absent.
  [[nodiscard]] std::optional<std::string_view> value(FieldId id) const noexcept {
    const Field* field = find(id);
    return field == nullptr ? std::nullopt : std::optional(field->value);
  }

  [[nodiscard]] bool contains(FieldId id) const noexcept { return present_.contains(id); }
  /// How many lines carry a known name.
  [[nodiscard]] std::size_t count(FieldId id) const noexcept;

  [[nodiscard]] const_iterator begin() const noexcept { return fields_.begin(); }
  [[nodiscard]] const_iterator end() const noexcept { return fields_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
  [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }
  [[nodiscard]] const Field& operator[](std::size_t index) const noexcept { return fields_[index]; }

  void clear() noexcept {
    fields_.clear();
    present_.clear();
  }

  /// Removes every field of a known name; `id` must not be `other`.
  void remove(FieldId id) noexcept;
  /// Removes every field of a name, compared case-insensitively.
  void remove(std::string_view name) noexcept;
  /// The only field of a known name from here on, at the place of the first one or at the end.
  void set(std::string_view name, std::string_view value, FieldId id);

  /// The buffer the views point into was copied from address `from` to address `to`: follow it.
  void rebase(const char* from, const char* to) noexcept;

 private:
  boost::container::small_vector<Field, 32> fields_;
  FieldIdSet present_;
};

/// The same bytes after their buffer moved from address `from` to address `to`.
[[nodiscard]] std::string_view rebased(std::string_view text, const char* from, const char* to) noexcept;

}  // namespace gatehouse::http
