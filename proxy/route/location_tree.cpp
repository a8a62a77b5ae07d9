#include "proxy/route/location_tree.hpp"

#include <algorithm>

namespace gatehouse::route {
namespace {

// nginx's auto_redirect: a location that ends in "/" and passes requests on also answers its name without the slash.
bool wants_slash(const config::Location* location) {
  return location != nullptr && location->proxy_pass.has_value() && location->path.ends_with('/');
}

}  // namespace

LocationTree::LocationTree(const config::Server& server) : root_(&server.root), root_level_(add_level(server.root)) {}

std::uint32_t LocationTree::add_level(const config::Location& outer) {
  if (outer.locations.empty()) return kNone;
  const auto index = static_cast<std::uint32_t>(levels_.size());
  levels_.emplace_back();
  for (const auto& location : outer.locations) {
    const Entry entry{location.get(), add_level(*location)};
    switch (location->kind) {
      case config::LocationKind::named: named_.emplace(location->path, location.get()); break;
      case config::LocationKind::regex: levels_[index].regexes.push_back(entry); break;
      case config::LocationKind::prefix:
      case config::LocationKind::prefix_no_regex:
      case config::LocationKind::exact:
        if (levels_[index].root == kNone) {
          levels_[index].root = static_cast<std::uint32_t>(nodes_.size());
          nodes_.emplace_back();
        }
        insert(levels_[index].root, location->path, entry);
        break;
    }
  }
  return index;
}

std::uint32_t LocationTree::child(const Node& node, char first) const {
  const auto first_byte = [&](std::uint32_t index) { return static_cast<unsigned char>(nodes_[index].label.front()); };
  const auto wanted = static_cast<unsigned char>(first);
  const auto found = std::ranges::lower_bound(node.children, wanted, {}, first_byte);
  return found != node.children.end() && first_byte(*found) == wanted ? *found : kNone;
}

void LocationTree::insert(std::uint32_t root, std::string_view text, const Entry& entry) {
  const auto add_child = [&](std::uint32_t parent, std::string_view label) {
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back().label = label;
    auto& children = nodes_[parent].children;
    const auto place =
        std::ranges::lower_bound(children, static_cast<unsigned char>(label.front()), {},
                                 [&](std::uint32_t i) { return static_cast<unsigned char>(nodes_[i].label.front()); });
    children.insert(place, index);
    return index;
  };
  std::uint32_t at = root;
  while (!text.empty()) {
    const auto next = child(nodes_[at], text.front());
    if (next == kNone) {
      at = add_child(at, text);
      break;
    }
    const auto label = nodes_[next].label;
    const auto common = static_cast<std::size_t>(std::ranges::mismatch(label, text).in1 - label.begin());
    if (common < label.size()) {
      // Split: `next` keeps the common part, and a new node below it takes the rest with all that `next` had.
      Node rest = std::move(nodes_[next]);
      rest.label = label.substr(common);
      nodes_[next] = Node{};
      nodes_[next].label = label.substr(0, common);
      nodes_[next].children.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back(std::move(rest));
    }
    text.remove_prefix(common);
    at = next;
  }
  auto& node = nodes_[at];
  (entry.location->kind == config::LocationKind::exact ? node.exact : node.prefix) = entry;
}

LocationTree::Static LocationTree::find_static(std::uint32_t root, std::string_view uri) const {
  Static best;
  if (root == kNone) return best;
  const Node* node = &nodes_[root];
  for (;;) {
    if (uri.empty() && node->exact.location != nullptr) return {node->exact, Static::Kind::exact};
    if (node->prefix.location != nullptr) best = {node->prefix, Static::Kind::prefix};
    if (uri.empty()) break;
    const auto next = child(*node, uri.front());
    if (next == kNone) return best;
    const auto label = nodes_[next].label;
    if (!uri.starts_with(label)) {
      // "/x" may end one byte before "/x/": inside the label.
      if (label.size() != uri.size() + 1 || label.back() != '/' || !label.starts_with(uri)) return best;
      node = &nodes_[next];
      break;
    }
    uri.remove_prefix(label.size());
    node = &nodes_[next];
    if (!uri.empty()) continue;
    // The URI ends at this node; a location of this very name goes before the one with a slash more.
    if (node->exact.location != nullptr) return {node->exact, Static::Kind::exact};
    if (node->prefix.location != nullptr) return {node->prefix, Static::Kind::prefix};
    const auto slash = child(*node, '/');
    if (slash == kNone || nodes_[slash].label.size() != 1) return best;
    node = &nodes_[slash];
    break;
  }
  if (wants_slash(node->exact.location) || wants_slash(node->prefix.location)) {
    return {node->exact.location != nullptr ? node->exact : node->prefix, Static::Kind::add_slash};
  }
  return best;
}

bool LocationTree::find_in(std::uint32_t level, std::string_view uri, config::Regex::Captures& captures,
                           LocationMatch& match) const {
  if (level == kNone) return false;
  const auto found = find_static(levels_[level].root, uri);
  bool try_regexes = true;
  switch (found.kind) {
    case Static::Kind::none: break;
    case Static::Kind::exact: match.location = found.entry.location; return true;
    case Static::Kind::add_slash:
      match.location = found.entry.location;
      match.add_slash = true;
      return true;
    case Static::Kind::prefix:
      match.location = found.entry.location;
      try_regexes = found.entry.location->kind != config::LocationKind::prefix_no_regex;
      if (find_in(found.entry.level, uri, captures, match)) return true;
      break;
  }
  if (!try_regexes) return false;
  for (const auto& entry : levels_[level].regexes) {
    if (!entry.location->regex->match(uri, captures)) continue;
    match.location = entry.location;
    match.regex = entry.location->regex.get();
    (void)find_in(entry.level, uri, captures, match);
    return true;
  }
  return false;
}

LocationMatch LocationTree::find(std::string_view uri, config::Regex::Captures& captures) const {
  LocationMatch match{root_, nullptr, false};
  (void)find_in(root_level_, uri, captures, match);
  return match;
}

const config::Location* LocationTree::find_named(std::string_view name) const {
  const auto found = named_.find(name);
  return found == named_.end() ? nullptr : found->second;
}

}  // namespace gatehouse::route
