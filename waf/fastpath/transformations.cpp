#include "waf/fastpath/transformations.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// What is known of a step. It writes at most `factor` bytes for each byte of its input and `extra` besides.
struct Row {
  Transformation step;
  steps::Step function;  ///< null: no native form, or handled apart (none, urlDecodeUni)
  ByteClasses blockers;
  std::size_t factor = 1;
  std::size_t extra = 1;
};

constexpr auto make_rows() {
  using enum ByteClasses;
  using T = Transformation;
  constexpr ByteClasses other_than_space = tab_or_line | vt_or_ff;
  constexpr ByteClasses escaped_by_url = underscore | dash | dot | slash | space | tab_or_line | vt_or_ff | nul | high |
                                         percent | plus | ampersand | backslash | quote_or_caret | comma_or_semicolon |
                                         hash | parenthesis | other;
  return std::to_array<Row>({
      {T::none, nullptr, ByteClasses::none},
      {T::base64_decode, steps::base64_decode, non_empty},
      {T::base64_decode_ext, steps::base64_decode_ext, non_empty},
      {T::base64_encode, steps::base64_encode, non_empty, 2, 4},
      {T::cmd_line, steps::cmd_line,
       upper | tab_or_line | backslash | quote_or_caret | comma_or_semicolon | blank_run | blank_before_open},
      {T::compress_whitespace, steps::compress_whitespace, other_than_space | blank_run},
      {T::css_decode, steps::css_decode, backslash | nul},
      {T::escape_seq_decode, steps::escape_seq_decode, backslash},
      {T::hex_decode, steps::hex_decode, non_empty},
      {T::hex_encode, steps::hex_encode, non_empty, 2, 0},
      {T::html_entity_decode, steps::html_entity_decode, ampersand},
      {T::js_decode, steps::js_decode, backslash},
      {T::length, steps::length, always, 0, 20},
      {T::lowercase, steps::lowercase, upper},
      {T::md5, nullptr, always},
      {T::normalise_path, steps::normalise_path, double_slash | dot_ends_segment},
      {T::normalise_path_win, steps::normalise_path_win, double_slash | dot_ends_segment | backslash},
      {T::parity_even_7bit, steps::parity_even_7bit, non_empty},
      {T::parity_odd_7bit, steps::parity_odd_7bit, non_empty},
      {T::parity_zero_7bit, steps::parity_zero_7bit, high},
      {T::remove_comments, steps::remove_comments, comment_open | double_dash | hash},
      {T::remove_comments_char, steps::remove_comments_char, comment_open | comment_close | double_dash | hash},
      {T::remove_nulls, steps::remove_nulls, nul},
      {T::remove_whitespace, steps::remove_whitespace, space | other_than_space | high},
      {T::replace_comments, steps::replace_comments, comment_open},
      {T::replace_nulls, steps::replace_nulls, nul},
      {T::sha1, nullptr, always},
      {T::sql_hex_decode, steps::sql_hex_decode, non_empty},
      {T::trim, steps::trim, edge_blank},
      {T::trim_left, steps::trim_left, edge_blank},
      {T::trim_right, steps::trim_right, edge_blank},
      {T::uppercase, steps::uppercase, lower},
      {T::url_decode, steps::url_decode, percent | plus},
      {T::url_decode_uni, nullptr, percent | plus},
      {T::url_encode, steps::url_encode, escaped_by_url, 3, 0},
      {T::utf8_to_unicode, steps::utf8_to_unicode, nul | high, 4, 0},
  });
}

constexpr auto rows = make_rows();
static_assert(rows.size() == transformation_count);

constexpr bool rows_follow_the_enumeration() {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<std::size_t>(rows[i].step) != i) return false;
  }
  return true;
}
static_assert(rows_follow_the_enumeration());

const Row& row(Transformation step) noexcept { return rows[static_cast<std::size_t>(step)]; }

}  // namespace

bool is_supported(Transformation step) noexcept { return step != Transformation::md5 && step != Transformation::sha1; }

ByteClasses blockers(Transformation step) noexcept { return row(step).blockers; }

std::string_view apply(Transformation step, std::string_view value, UnicodeMap map, Scratch& scratch) {
  const Row& how = row(step);
  const steps::Input in(value);
  unsigned char* out = scratch.reserve(in.size * how.factor + how.extra);
  if (step == Transformation::url_decode_uni) return scratch.commit(steps::url_decode_uni(in, out, map));
  return how.function == nullptr ? value : scratch.commit(how.function(in, out));
}

ChainTree::ChainTree() : nodes_(1) {}

ChainTree::Node ChainTree::add(std::span<const Transformation> steps) {
  Node at = root;
  for (const Transformation step : steps) {
    if (!is_supported(step)) throw std::invalid_argument("no native form of t:" + std::string(name(step)));
    if (step == Transformation::none) continue;
    const auto same = std::find_if(nodes_.begin() + 1, nodes_.end(),
                                   [&](const Entry& entry) { return entry.parent == at && entry.step == step; });
    if (same != nodes_.end()) {
      at = static_cast<Node>(same - nodes_.begin());
      continue;
    }
    if (nodes_.size() > UINT16_MAX) throw std::length_error("too many transformation chains");
    nodes_.push_back({at, step, nodes_[at].blockers | fastpath::blockers(step)});
    at = static_cast<Node>(nodes_.size() - 1);
  }
  return at;
}

ChainTexts::ChainTexts(const ChainTree& tree, UnicodeMap map, Scratch& scratch)
    : tree_(&tree), map_(map), scratch_(&scratch), by_node_(tree.size()), epoch_by_node_(tree.size(), 0) {
  texts_.reserve(32);
  texts_.push_back({std::string_view(), classify({})});
}

void ChainTexts::begin(std::string_view value) {
  texts_.clear();
  texts_.push_back({value, classify(value)});
  if (++epoch_ == 0) {  // after 2^32 values an old mark could look new
    std::fill(epoch_by_node_.begin(), epoch_by_node_.end(), 0);
    epoch_ = 1;
  }
}

ChainTexts::TextId ChainTexts::compute(ChainTree::Node node) {
  if (node == ChainTree::root) return 0;
  if (epoch_by_node_[node] == epoch_) return by_node_[node];
  const TextId before = at(tree_->parent(node));
  const Transformation step = tree_->step(node);
  TextId after = before;
  if (intersects(texts_[before].classes, fastpath::blockers(step))) {
    after = intern(apply(step, texts_[before].bytes, map_, *scratch_));
  }
  epoch_by_node_[node] = epoch_;
  by_node_[node] = after;
  return after;
}

ChainTexts::TextId ChainTexts::intern(std::string_view text) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (texts_[i].bytes == text) return static_cast<TextId>(i);
  }
  texts_.push_back({text, classify(text)});
  return static_cast<TextId>(texts_.size() - 1);
}

void ChainTexts::intermediate(ChainTree::Node node, std::vector<TextId>& texts) {
  texts.clear();
  for (ChainTree::Node at_node = node;; at_node = tree_->parent(at_node)) {
    texts.push_back(at(at_node));
    if (at_node == ChainTree::root) break;
  }
  std::reverse(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

}  // namespace gatehouse::waf::fastpath
