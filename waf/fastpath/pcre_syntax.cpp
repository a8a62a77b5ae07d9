#include "waf/fastpath/pcre_syntax.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "waf/fastpath/pcre_classes.hpp"
#include "waf/fastpath/pcre_cursor.hpp"

namespace gatehouse::waf::fastpath::pcre {
namespace {

/// Inline options; the outermost values are the library's compile flags.
struct Flags {
  bool caseless = false;
  bool multi_line = true;
  bool dot_all = true;
  bool extended = false;
  bool no_auto_capture = false;
};

constexpr std::size_t max_depth = 250;  // PCRE2's own limit of nested parentheses
constexpr std::uint32_t max_count = 65535;

Node leaf(NodeKind kind) {
  Node node;
  node.kind = kind;
  return node;
}

Node set_of(const ByteSet& bytes) {
  Node node;
  node.kind = NodeKind::set;
  node.bytes = bytes;
  return node;
}

Node around(NodeKind kind, Node child) {
  Node node;
  node.kind = kind;
  node.children.push_back(std::move(child));
  return node;
}

/// Recursive descent over the pattern. Throws Stop inside; parse() turns it into a value.
class Parser {
 public:
  explicit Parser(std::string_view pattern) : cursor_{pattern} {}

  Node run() {
    if (cursor_.text.starts_with("(*")) cursor_.stop("(*VERB)");
    Node tree = choice();
    if (cursor_.at < cursor_.text.size()) cursor_.stop("unmatched )");
    return tree;
  }

 private:
  // Branches share the flags: an option set in one holds in those after it.
  Node choice() {
    if (++depth_ > max_depth) cursor_.stop("nesting too deep");
    std::vector<Node> branches;
    branches.push_back(sequence());
    while (cursor_.take("|")) branches.push_back(sequence());
    --depth_;
    if (branches.size() == 1) return std::move(branches.front());
    Node node = leaf(NodeKind::choice);
    node.children = std::move(branches);
    return node;
  }

  Node sequence() {
    Node node = leaf(NodeKind::sequence);
    while (cursor_.more() && (quoting_ || (!cursor_.next_is("|") && !cursor_.next_is(")")))) {
      if (quoting_) {
        if (cursor_.take("\\E")) {
          quoting_ = false;
          continue;
        }
        node.children.push_back(literal(cursor_.byte()));
      } else if (skip_ignored()) {
        continue;
      } else {
        std::optional<Node> item = atom();
        if (!item) continue;
        node.children.push_back(std::move(*item));
      }
      quantifiers(node.children.back());
    }
    return node;
  }

  /// Comments, blanks under (?x), and the empty quotation.
  bool skip_ignored() {
    if (cursor_.take("\\E")) return true;
    if (cursor_.next_is("\\Q")) {
      cursor_.at += 2;
      quoting_ = true;
      return true;
    }
    if (cursor_.next_is("(?#")) {
      cursor_.until(")");
      return true;
    }
    if (!flags_.extended) return false;
    if (named_class(ClassName::space).test(static_cast<unsigned char>(cursor_.text[cursor_.at]))) {
      ++cursor_.at;
      return true;
    }
    if (!cursor_.next_is("#")) return false;
    const std::size_t end = cursor_.text.find('\n', cursor_.at);
    cursor_.at = end == std::string_view::npos ? cursor_.text.size() : end + 1;
    return true;
  }

  [[nodiscard]] Node literal(unsigned char c) const {
    ByteSet bytes;
    bytes.set(c);
    return set_of(flags_.caseless ? fold_case(bytes) : bytes);
  }

  void quantifiers(Node& item) {
    for (;;) {
      while (!quoting_ && skip_between_item_and_quantifier()) {
      }
      std::uint32_t min = 0;
      std::uint32_t max = unbounded;
      if (quoting_) {
        if (!cursor_.next_is("\\E")) return;
        cursor_.at += 2;
        quoting_ = false;
        continue;
      }
      if (!quantifier(min, max)) return;
      Node repeat = around(NodeKind::repeat, std::move(item));
      repeat.min = min;
      repeat.max = max;
      repeat.possessive = cursor_.take("+");
      if (!repeat.possessive) cursor_.take("?");
      item = std::move(repeat);
    }
  }

  bool skip_between_item_and_quantifier() {
    if (cursor_.next_is("(?#")) {
      cursor_.until(")");
      return true;
    }
    if (cursor_.take("\\E")) return true;
    if (cursor_.next_is("\\Q\\E")) {
      cursor_.at += 4;
      return true;
    }
    return flags_.extended && cursor_.more() && !cursor_.next_is("\\") && !cursor_.next_is("(") && skip_ignored();
  }

  bool quantifier(std::uint32_t& min, std::uint32_t& max) {
    if (cursor_.take("*")) return true;
    if (cursor_.take("+")) {
      min = 1;
      return true;
    }
    if (cursor_.take("?")) {
      max = 1;
      return true;
    }
    if (!cursor_.next_is("{")) return false;
    // {n}, {n,} or {n,m}; anything else is text. {,n} became a quantifier only in 10.43.
    std::size_t at = cursor_.at + 1;
    const auto number = [&](std::uint32_t& value) {
      const std::size_t first = at;
      value = 0;
      while (at < cursor_.text.size() && cursor_.text[at] >= '0' && cursor_.text[at] <= '9') {
        value = std::min(value * 10 + static_cast<std::uint32_t>(cursor_.text[at++] - '0'), max_count + 1);
      }
      return at > first;
    };
    if (!number(min)) return false;
    max = min;
    if (at < cursor_.text.size() && cursor_.text[at] == ',') {
      ++at;
      if (!number(max)) max = unbounded;
    }
    if (at >= cursor_.text.size() || cursor_.text[at] != '}') return false;
    cursor_.at = at + 1;
    return true;
  }

  /// One item, or nothing for an option setting.
  std::optional<Node> atom() {
    const unsigned char c = cursor_.byte();
    switch (c) {
      case '\\': return escape();
      case '[': return set_of(bracket(cursor_, flags_.caseless));
      case '(': return parenthesis();
      case '.': return set_of(flags_.dot_all ? ByteSet().set() : not_newline());
      case '^': return leaf(flags_.multi_line ? NodeKind::line_start : NodeKind::text_start);
      case '$': return leaf(flags_.multi_line ? NodeKind::line_end : NodeKind::text_end_or_final_newline);
      default: return literal(c);
    }
  }

  static ByteSet not_newline() {
    ByteSet bytes;
    bytes.set();
    bytes.reset('\n');
    return bytes;
  }

  Node newline_sequence() {
    Node pair = leaf(NodeKind::sequence);
    pair.children = {byte_set("\r"), byte_set("\n")};
    Node node = leaf(NodeKind::choice);
    node.children = {std::move(pair), set_of(named_class(ClassName::vertical))};
    return around(NodeKind::atomic, std::move(node));
  }

  static Node byte_set(std::string_view members) {
    ByteSet bytes;
    for (const char c : members) bytes.set(static_cast<unsigned char>(c));
    return set_of(bytes);
  }

  Node escape() {
    const unsigned char c = cursor_.byte();
    if (const auto bytes = escaped_class(c)) return set_of(*bytes);
    switch (c) {
      case 'A':
      case 'G': return leaf(NodeKind::text_start);  // searches begin at offset 0
      case 'z': return leaf(NodeKind::text_end);
      case 'Z': return leaf(NodeKind::text_end_or_final_newline);
      case 'b': return leaf(NodeKind::word_boundary);
      case 'B': return leaf(NodeKind::not_word_boundary);
      case 'K': return leaf(NodeKind::empty);  // moves the reported start only
      case 'C': return set_of(ByteSet().set());
      case 'N':
        if (cursor_.next_is("{")) cursor_.stop("\\N{...}");
        return set_of(not_newline());
      case 'R': return newline_sequence();
      case 'g': return group_reference();
      case 'k': return named_reference();
      default: break;
    }
    if (c >= '1' && c <= '9') return numbered_reference(c);
    return literal(escaped_byte(cursor_, c));
  }

  Node numbered_reference(unsigned char first) {
    const std::size_t start = cursor_.at;
    std::uint32_t number = static_cast<std::uint32_t>(first - '0');
    while (cursor_.more() && cursor_.text[cursor_.at] >= '0' && cursor_.text[cursor_.at] <= '9' &&
           number <= max_count) {
      number = number * 10 + static_cast<std::uint32_t>(cursor_.byte() - '0');
    }
    if (number < 10 || first >= '8' || number <= groups_) return leaf(NodeKind::back_reference);
    cursor_.at = start;
    return literal(octal(cursor_, first, 2));
  }

  Node group_reference() {
    if (cursor_.next_is("<") || cursor_.next_is("'")) cursor_.stop("subroutine call \\g<...>");
    if (cursor_.take("{")) {
      cursor_.until("}");
      return leaf(NodeKind::back_reference);
    }
    if (!cursor_.take("-")) cursor_.take("+");
    const std::size_t first = cursor_.at;
    while (cursor_.more() && cursor_.text[cursor_.at] >= '0' && cursor_.text[cursor_.at] <= '9') ++cursor_.at;
    if (cursor_.at == first) cursor_.stop("\\g without a number");
    return leaf(NodeKind::back_reference);
  }

  Node named_reference() {
    if (cursor_.take("{")) {
      cursor_.until("}");
    } else if (cursor_.take("<")) {
      cursor_.until(">");
    } else if (cursor_.take("'")) {
      cursor_.until("'");
    } else {
      cursor_.stop("\\k without a name");
    }
    return leaf(NodeKind::back_reference);
  }

  /// What follows "(": a group, or nothing for an option setting, which alone outlives its parenthesis.
  std::optional<Node> parenthesis() {
    const Flags outer = flags_;
    std::optional<Node> node = group();
    if (node) flags_ = outer;
    return node;
  }

  std::optional<Node> group() {
    if (cursor_.next_is("*")) cursor_.stop("(*VERB)");
    if (!cursor_.take("?")) return flags_.no_auto_capture ? body() : capture();
    if (cursor_.take(":")) return body();
    if (cursor_.take(">")) return around(NodeKind::atomic, body());
    if (cursor_.take("=")) return look_around(false, false);
    if (cursor_.take("!")) return look_around(true, false);
    if (cursor_.take("<=")) return look_around(false, true);
    if (cursor_.take("<!")) return look_around(true, true);
    if (cursor_.take("P<") || cursor_.take("<")) return named_capture(">");
    if (cursor_.take("'")) return named_capture("'");
    if (cursor_.take("P=")) {
      cursor_.until(")");
      return leaf(NodeKind::back_reference);
    }
    return options();
  }

  Node body() {
    Node inner = choice();
    if (!cursor_.take(")")) cursor_.stop("missing )");
    return inner;
  }

  Node capture() {
    const std::uint32_t number = ++groups_;
    Node node = around(NodeKind::group, body());
    node.group = number;
    return node;
  }

  Node named_capture(std::string_view terminator) {
    cursor_.until(terminator);
    return capture();
  }

  Node look_around(bool negated, bool behind) {
    Node node = around(NodeKind::look_around, body());
    node.negated = negated;
    node.behind = behind;
    return node;
  }

  std::optional<Node> options() {
    Flags changed = flags_;
    bool on = true;
    if (cursor_.take("^")) changed = Flags{false, false, false, false, false};
    for (;;) {
      const unsigned char c = cursor_.byte();
      switch (c) {
        case '-': on = false; break;
        case 'i': changed.caseless = on; break;
        case 'm': changed.multi_line = on; break;
        case 's': changed.dot_all = on; break;
        case 'n': changed.no_auto_capture = on; break;
        case 'U':
        case 'J': break;  // greediness and duplicate names do not change what matches
        case 'x':
          if (cursor_.next_is("x")) cursor_.stop("(?xx)");
          changed.extended = on;
          break;
        case ')': flags_ = changed; return std::nullopt;
        case ':': flags_ = changed; return body();
        default: --cursor_.at; cursor_.stop("(?" + std::string(1, static_cast<char>(c)));
      }
    }
  }

  Cursor cursor_;
  std::size_t depth_ = 0;
  std::uint32_t groups_ = 0;
  bool quoting_ = false;
  Flags flags_;
};

}  // namespace

std::variant<Node, Refusal> parse(std::string_view pattern) {
  try {
    return Parser(pattern).run();
  } catch (Stop& stop) {
    return std::move(stop.refusal);
  }
}

}  // namespace gatehouse::waf::fastpath::pcre
