// A JSON body as arguments: libyajl driven as libmodsecurity drives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/member.hpp"
#include "waf/fastpath/scratch.hpp"

namespace gatehouse::waf::fastpath {

/// Names the leaves of a JSON text as the library does: "json.user.name", "json.list.array_0", "json.empty-key".
///
/// One per thread, reused. The parser's own memory comes from the scratch.
class JsonArguments {
 public:
  explicit JsonArguments(Scratch& scratch) : scratch_(&scratch) {}

  /// Appends the leaves of `text` to `leaves`, in order; views are valid as long as the scratch. False when the library
  /// would report an error: broken JSON, invalid UTF-8, nesting beyond `max_depth`, more than `max_leaves` in all.
  /// An empty text has no leaves and is no error.
  [[nodiscard]] bool parse(std::string_view text, std::size_t max_depth, std::size_t max_leaves,
                           std::vector<Member>& leaves);

 private:
  struct Callbacks;
  enum class ContainerKind : std::uint8_t { map, array };
  struct Container {
    std::size_t path_before;  ///< length of the path without this container
    ContainerKind kind;
    std::uint64_t next;  ///< array: index of the next element
  };
  bool open(ContainerKind kind);
  void close();
  bool leaf(std::string_view value);
  std::string_view take_key();
  void element_done();

  Scratch* scratch_;
  std::vector<Container> containers_;
  std::string path_;
  std::string key_;
  std::vector<Member>* leaves_ = nullptr;
  std::size_t max_depth_ = 0;
  std::size_t max_leaves_ = 0;
};

}  // namespace gatehouse::waf::fastpath
