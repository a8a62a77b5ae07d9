#include <utility>

#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath::pcre {
namespace {

/// `node` with its only child restricted; nothing if the child is impossible.
std::optional<Node> with_child(const Node& node, const ByteSet& alphabet) {
  std::optional<Node> child = restrict_to(node.children.front(), alphabet);
  if (!child) return std::nullopt;
  Node restricted;
  restricted.kind = node.kind;
  restricted.min = node.min;
  restricted.max = node.max;
  restricted.possessive = node.possessive;
  restricted.negated = node.negated;
  restricted.behind = node.behind;
  restricted.group = node.group;
  restricted.children.push_back(std::move(*child));
  return restricted;
}

std::optional<Node> sequence_within(const Node& node, const ByteSet& alphabet) {
  Node restricted;
  restricted.kind = NodeKind::sequence;
  for (const Node& child : node.children) {
    std::optional<Node> part = restrict_to(child, alphabet);
    if (!part) return std::nullopt;
    restricted.children.push_back(std::move(*part));
  }
  return restricted;
}

std::optional<Node> choice_within(const Node& node, const ByteSet& alphabet) {
  Node restricted;
  restricted.kind = NodeKind::choice;
  for (const Node& child : node.children) {
    if (std::optional<Node> branch = restrict_to(child, alphabet)) restricted.children.push_back(std::move(*branch));
  }
  if (restricted.children.empty()) return std::nullopt;
  if (restricted.children.size() == 1) return std::move(restricted.children.front());
  return restricted;
}

}  // namespace

std::optional<Node> restrict_to(const Node& tree, const ByteSet& alphabet) {
  switch (tree.kind) {
    case NodeKind::set: {
      Node restricted = tree;
      restricted.bytes &= alphabet;
      if (restricted.bytes.none()) return std::nullopt;
      return restricted;
    }
    case NodeKind::sequence: return sequence_within(tree, alphabet);
    case NodeKind::choice: return choice_within(tree, alphabet);
    case NodeKind::repeat: {
      std::optional<Node> repeat = with_child(tree, alphabet);
      if (!repeat && tree.min == 0) return Node();
      return repeat;
    }
    case NodeKind::atomic:
    case NodeKind::group: return with_child(tree, alphabet);
    case NodeKind::look_around:
      // One that must succeed reads the same text; one that must fail does so if what it looks for is impossible.
      if (tree.negated) return Node();
      return with_child(tree, alphabet);
    case NodeKind::empty:
    case NodeKind::back_reference:
    case NodeKind::line_start:
    case NodeKind::line_end:
    case NodeKind::text_start:
    case NodeKind::text_end:
    case NodeKind::text_end_or_final_newline:
    case NodeKind::word_boundary:
    case NodeKind::not_word_boundary: return tree;
  }
  return tree;
}

Node before_lowercase(const Node& tree) {
  Node before = tree;
  if (tree.kind == NodeKind::set) {
    for (std::size_t letter = 'A'; letter <= 'Z'; ++letter) before.bytes[letter] = tree.bytes[letter - 'A' + 'a'];
  }
  for (Node& child : before.children) child = before_lowercase(child);
  return before;
}

}  // namespace gatehouse::waf::fastpath::pcre
