// Files without a name, for what doesn't fit into memory.
#pragma once

#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/base/unique_fd.hpp"

namespace gatehouse::exchange {

/// A file in `directory`, which is made if it is missing, that has no name from the moment it is opened: no crash leaves it behind.
/// Error: spill_failed with errno.
[[nodiscard]] Result<UniqueFd> open_temporary(const std::string& directory);

/// Writes all of `piece` where the file stands. Error: spill_failed with errno. May block for as long as the page cache lets it.
[[nodiscard]] Result<void> write_whole(int fd, std::string_view piece);

/// Reads up to `size` bytes from `offset`; 0 at the end. Error: spill_failed.
[[nodiscard]] Result<std::size_t> read_from(int fd, std::uint64_t offset, char* into, std::size_t size);

}  // namespace gatehouse::exchange
