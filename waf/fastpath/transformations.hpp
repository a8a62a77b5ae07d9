// The transformations of libmodsecurity 3.0.9, byte for byte with their quirks, and chains of them over one value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "waf/fastpath/byte_classes.hpp"
#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/scratch.hpp"

namespace gatehouse::waf::fastpath {

/// SecUnicodeMapFile's table: 65536 entries, -1 where the code page has none; empty when no map is configured.
using UnicodeMap = std::span<const int>;

/// False for the transformations that have no native form (md5, sha1): a rule with one takes the full path.
[[nodiscard]] bool is_supported(Transformation step) noexcept;

/// The facts about a value under which `step` may change it. A value with none of them comes out as it went in.
[[nodiscard]] ByteClasses blockers(Transformation step) noexcept;

/// `value` after one step, in `scratch` or, where nothing changed, possibly `value` itself.
/// Valid until `scratch` is reset and `value` ends. Precondition: is_supported(step).
[[nodiscard]] std::string_view apply(Transformation step, std::string_view value, UnicodeMap map, Scratch& scratch);

/// The distinct transformation chains of a plan, sharing their common beginnings.
///
/// Built while loading, constant afterwards and then shared by all threads.
class ChainTree {
 public:
  /// A chain's end. `root` is the empty chain (t:none).
  using Node = std::uint16_t;
  static constexpr Node root = 0;

  ChainTree();

  /// Adds a chain (nothing up to the last t:none) and returns its end; equal chains share one.
  /// Throws std::invalid_argument for a step without a native form, std::length_error beyond 65535 nodes.
  Node add(std::span<const Transformation> steps);

  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  /// The facts under which the chain that ends here may change a value; a value with none of them is not changed.
  [[nodiscard]] ByteClasses blockers(Node node) const noexcept { return nodes_[node].blockers; }
  [[nodiscard]] Node parent(Node node) const noexcept { return nodes_[node].parent; }
  [[nodiscard]] Transformation step(Node node) const noexcept { return nodes_[node].step; }

 private:
  struct Entry {
    Node parent = root;
    Transformation step = Transformation::none;
    ByteClasses blockers = ByteClasses::none;
  };
  std::vector<Entry> nodes_;
};

/// The texts one value takes under the chains of a tree, each computed at most once and equal ones kept once.
///
/// One per thread, reused for every value; in steady state it does not allocate. Borrows the tree, the map and the
/// scratch.
class ChainTexts {
 public:
  /// Which distinct text; 0 is the value itself. Ids are dense, so a caller can note per id what it already scanned.
  using TextId = std::uint16_t;

  ChainTexts(const ChainTree& tree, UnicodeMap map, Scratch& scratch);

  /// Turns to the next value, which must live until the one after.
  void begin(std::string_view value);

  /// The text at the end of a chain, computed on first demand.
  [[nodiscard]] TextId at(ChainTree::Node node) {
    if (!intersects(texts_.front().classes, tree_->blockers(node))) return 0;
    return compute(node);
  }
  [[nodiscard]] std::string_view bytes(TextId id) const noexcept { return texts_[id].bytes; }
  [[nodiscard]] ByteClasses classes(TextId id) const noexcept { return texts_[id].classes; }
  /// Distinct texts so far.
  [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }

  /// What a multiMatch rule looks at: the value itself, then the text after each step that changed it, in order.
  /// `texts` is overwritten. Texts may repeat (a step may undo another); each is looked at by the library as often.
  void intermediate(ChainTree::Node node, std::vector<TextId>& texts);

 private:
  struct Text {
    std::string_view bytes;
    ByteClasses classes;
  };
  TextId compute(ChainTree::Node node);
  TextId intern(std::string_view text);

  const ChainTree* tree_;
  UnicodeMap map_;
  Scratch* scratch_;
  std::vector<Text> texts_;
  std::vector<TextId> by_node_;
  std::vector<std::uint32_t> epoch_by_node_;
  std::uint32_t epoch_ = 0;
};

}  // namespace gatehouse::waf::fastpath
