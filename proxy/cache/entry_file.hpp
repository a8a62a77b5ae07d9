// One stored response on disk: opened for a hit, written while it comes, found valid again; and copies of bodies (proxy_store).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/base/unique_fd.hpp"
#include "proxy/cache/file_header.hpp"

namespace gatehouse::cache {

/// A stored response. Stays readable after its file was removed or replaced.
struct StoredResponse {
  UniqueFd file;
  FileHeader header;
  std::uint64_t size_on_disk = 0;

  /// Fills `buffer` from the body at `offset`; fewer bytes mean that the file became shorter. Returns the count, or -1 with errno.
  [[nodiscard]] std::ptrdiff_t read_body(std::uint64_t offset, char* buffer, std::size_t size) const noexcept;
};

/// What opening an entry's file came to.
enum class OpenResult : std::uint8_t {
  opened,
  missing,    ///< no such file
  damaged,    ///< not one of ours, cut short, or changed
  collision,  ///< of another key with the same digest
  failed,     ///< errno tells
};

/// Opens `path` and checks that it holds the whole response of `key`. On `opened`, `response` is filled.
[[nodiscard]] OpenResult open_entry(const std::string& path, std::string_view key, StoredResponse& response);

/// The key of the entry in a file; nothing if it is none of ours or can't be read.
[[nodiscard]] std::optional<std::string> key_of(const std::string& path);

/// Writes the header of a response that was found valid again over the one in its file; both have the same size. False: errno tells.
[[nodiscard]] bool rewrite_header(const std::string& path, const FileHeader& header) noexcept;

/// A response on its way to disk, under a temporary name beside its place. Given up, and the file removed, unless commit() was called.
class EntryWriter {
 public:
  EntryWriter(EntryWriter&& other) noexcept;
  EntryWriter& operator=(EntryWriter&&) = delete;
  ~EntryWriter();

  /// Makes the folders and the file. Nothing: errno tells why.
  [[nodiscard]] static std::optional<EntryWriter> begin(std::string path, FileHeader header);

  /// As begin(), for a file that holds the body alone, with these access rights and time of modification (-1: now).
  [[nodiscard]] static std::optional<EntryWriter> begin_copy(std::string path, std::uint32_t mode, Seconds modified);

  /// Appends to the body. False, and the entry is lost, if the disk refuses; errno tells.
  [[nodiscard]] bool append(std::string_view bytes) noexcept;
  /// Where commit() puts it.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Reads back what append() wrote: as StoredResponse::read_body().
  [[nodiscard]] std::ptrdiff_t read_body(std::uint64_t offset, char* buffer, std::size_t size) const noexcept;
  /// Puts the entry in its place. Returns what it takes on disk; nothing: errno tells.
  [[nodiscard]] std::optional<std::uint64_t> commit();

 private:
  EntryWriter(UniqueFd file, std::string path, std::string temporary, FileHeader header);

  [[nodiscard]] static std::optional<UniqueFd> create(const std::string& path, std::string& temporary,
                                                      std::uint32_t folders);
  [[nodiscard]] bool finish_copy() const noexcept;

  UniqueFd file_;
  std::string path_;
  std::string temporary_;  ///< empty: committed, or moved from
  FileHeader header_;
  std::uint64_t body_offset_;
  std::optional<std::uint32_t> copy_mode_;  ///< of a file without a header
};

/// Whether a name is one that EntryWriter gives to what it has not finished.
[[nodiscard]] bool is_temporary_name(std::string_view name) noexcept;

}  // namespace gatehouse::cache
