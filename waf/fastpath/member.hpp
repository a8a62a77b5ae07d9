// One named value of a collection.
#pragma once

#include <string_view>

namespace gatehouse::waf::fastpath {

/// One member of a collection. Names compare without regard to ASCII case, as the library's do.
struct Member {
  std::string_view name;
  std::string_view value;
};

}  // namespace gatehouse::waf::fastpath
