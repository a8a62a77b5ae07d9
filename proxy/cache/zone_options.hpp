// What a cache zone is configured with.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/base/units.hpp"
#include "proxy/cache/key.hpp"

namespace gatehouse::cache {

/// `proxy_cache_path` as configured; the defaults are nginx's.
struct ZoneOptions {
  /// How much of a folder is looked at before the keeper rests.
  struct Pace {
    std::uint32_t files = 100;
    Milliseconds sleep{50};
    Milliseconds threshold{200};
    friend bool operator==(const Pace&, const Pace&) = default;
  };
  std::string name;
  std::string path;  ///< of the zone's folder, absolute, without a slash at its end
  Levels levels;
  ByteCount keys_size = 0;      ///< of keys_zone: an entry takes kBytesOfKey of it
  std::int64_t inactive = 600;  ///< seconds after which an entry that nobody asked for goes
  ByteCount max_size = 0;       ///< of all files together; 0: no limit
  ByteCount min_free = 0;       ///< of the file system; 0: no limit
  Pace loader;
  Pace manager;
  friend bool operator==(const ZoneOptions&, const ZoneOptions&) = default;
};

}  // namespace gatehouse::cache
