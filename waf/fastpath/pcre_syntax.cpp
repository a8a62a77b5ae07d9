#include "waf/fastpath/pcre_syntax.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "waf/fastpath/pcre_classes.hpp"

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

struct Stop {
  Refusal refusal;
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
  explicit Parser(std::string_view pattern) : text_(pattern) {}

  Node run() {
    if (text_.starts_with("(*")) stop("(*VERB)");
    Node tree = choice();
    if (at_ < text_.size()) stop("unmatched )");
    return tree;
  }

 private:
  [[noreturn]] void stop(std::string reason) const { throw Stop{{std::move(reason), at_}}; }
  [[nodiscard]] bool more() const { return at_ < text_.size(); }
  [[nodiscard]] bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  unsigned char byte() {
    if (!more()) stop("unexpected end");
    return static_cast<unsigned char>(text_[at_++]);
  }
  std::string_view until(std::string_view terminator) {
    const std::size_t end = text_.find(terminator, at_);
    if (end == std::string_view::npos) stop("missing " + std::string(terminator));
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end + terminator.size();
    return found;
  }

  // Branches share the flags: an option set in one holds in those after it.
  Node choice() {
    if (++depth_ > max_depth) stop("nesting too deep");
    std::vector<Node> branches;
    branches.push_back(sequence());
    while (take("|")) branches.push_back(sequence());
    --depth_;
    if (branches.size() == 1) return std::move(branches.front());
    Node node = leaf(NodeKind::choice);
    node.children = std::move(branches);
    return node;
  }

  Node sequence() {
    Node node = leaf(NodeKind::sequence);
    while (more() && (quoting_ || (!next_is("|") && !next_is(")")))) {
      if (quoting_) {
        if (take("\\E")) {
          quoting_ = false;
          continue;
        }
        node.children.push_back(literal(byte()));
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
    if (take("\\E")) return true;
    if (next_is("\\Q")) {
      at_ += 2;
      quoting_ = true;
      return true;
    }
    if (next_is("(?#")) {
      until(")");
      return true;
    }
    if (!flags_.extended) return false;
    if (named_class(ClassName::space).test(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
      return true;
    }
    if (!next_is("#")) return false;
    const std::size_t end = text_.find('\n', at_);
    at_ = end == std::string_view::npos ? text_.size() : end + 1;
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
        if (!next_is("\\E")) return;
        at_ += 2;
        quoting_ = false;
        continue;
      }
      if (!quantifier(min, max)) return;
      Node repeat = around(NodeKind::repeat, std::move(item));
      repeat.min = min;
      repeat.max = max;
      repeat.possessive = take("+");
      if (!repeat.possessive) take("?");
      item = std::move(repeat);
    }
  }

  bool skip_between_item_and_quantifier() {
    if (next_is("(?#")) {
      until(")");
      return true;
    }
    if (take("\\E")) return true;
    if (next_is("\\Q\\E")) {
      at_ += 4;
      return true;
    }
    return flags_.extended && more() && !next_is("\\") && !next_is("(") && skip_ignored();
  }

  bool quantifier(std::uint32_t& min, std::uint32_t& max) {
    if (take("*")) return true;
    if (take("+")) {
      min = 1;
      return true;
    }
    if (take("?")) {
      max = 1;
      return true;
    }
    if (!next_is("{")) return false;
    // {n}, {n,} or {n,m}; anything else is text. {,n} became a quantifier only in 10.43.
    std::size_t at = at_ + 1;
    const auto number = [&](std::uint32_t& value) {
      const std::size_t first = at;
      value = 0;
      while (at < text_.size() && text_[at] >= '0' && text_[at] <= '9') {
        value = std::min(value * 10 + static_cast<std::uint32_t>(text_[at++] - '0'), max_count + 1);
      }
      return at > first;
    };
    if (!number(min)) return false;
    max = min;
    if (at < text_.size() && text_[at] == ',') {
      ++at;
      if (!number(max)) max = unbounded;
    }
    if (at >= text_.size() || text_[at] != '}') return false;
    at_ = at + 1;
    return true;
  }

  /// One item, or nothing for an option setting.
  std::optional<Node> atom() {
    const unsigned char c = byte();
    switch (c) {
      case '\\': return escape();
      case '[': return set_of(bracket());
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
    const unsigned char c = byte();
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
        if (next_is("{")) stop("\\N{...}");
        return set_of(not_newline());
      case 'R': return newline_sequence();
      case 'g': return group_reference();
      case 'k': return named_reference();
      default: break;
    }
    if (c >= '1' && c <= '9') return numbered_reference(c);
    return literal(escaped_byte(c));
  }

  Node numbered_reference(unsigned char first) {
    const std::size_t start = at_;
    std::uint32_t number = static_cast<std::uint32_t>(first - '0');
    while (more() && text_[at_] >= '0' && text_[at_] <= '9' && number <= max_count) {
      number = number * 10 + static_cast<std::uint32_t>(byte() - '0');
    }
    if (number < 10 || first >= '8' || number <= groups_) return leaf(NodeKind::back_reference);
    at_ = start;
    return literal(octal(first, 2));
  }

  Node group_reference() {
    if (next_is("<") || next_is("'")) stop("subroutine call \\g<...>");
    if (take("{")) {
      until("}");
      return leaf(NodeKind::back_reference);
    }
    if (!take("-")) take("+");
    const std::size_t first = at_;
    while (more() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    if (at_ == first) stop("\\g without a number");
    return leaf(NodeKind::back_reference);
  }

  Node named_reference() {
    if (take("{")) {
      until("}");
    } else if (take("<")) {
      until(">");
    } else if (take("'")) {
      until("'");
    } else {
      stop("\\k without a name");
    }
    return leaf(NodeKind::back_reference);
  }

  unsigned char octal(unsigned char first, int more_digits) {
    std::uint32_t value = static_cast<std::uint32_t>(first - '0');
    while (more_digits-- > 0 && more() && text_[at_] >= '0' && text_[at_] <= '7') {
      value = value * 8 + static_cast<std::uint32_t>(byte() - '0');
    }
    if (value > 255) stop("octal escape above \\377");
    return static_cast<unsigned char>(value);
  }

  std::uint32_t number_in_braces(std::uint32_t radix) {
    const std::string_view digits = until("}");
    std::uint32_t value = 0;
    for (const char digit : digits) {
      const int v = hex_value(static_cast<unsigned char>(digit));
      if (v < 0 || static_cast<std::uint32_t>(v) >= radix || value > 255) stop("bad number in braces");
      value = value * radix + static_cast<std::uint32_t>(v);
    }
    if (digits.empty() || value > 255) stop("bad number in braces");
    return value;
  }

  unsigned char hexadecimal() {
    if (take("{")) return static_cast<unsigned char>(number_in_braces(16));
    std::uint32_t value = 0;
    for (int i = 0; i < 2 && more() && hex_value(static_cast<unsigned char>(text_[at_])) >= 0; ++i) {
      value = value * 16 + static_cast<std::uint32_t>(hex_value(byte()));
    }
    return static_cast<unsigned char>(value);
  }

  /// Escapes that stand for one byte, inside and outside of classes.
  unsigned char escaped_byte(unsigned char c) {
    switch (c) {
      case 'a': return 0x07;
      case 'e': return 0x1b;
      case 'f': return 0x0c;
      case 'n': return 0x0a;
      case 'r': return 0x0d;
      case 't': return 0x09;
      case '0': return octal('0', 2);
      case 'o':
        if (!take("{")) stop("\\o without {");
        return static_cast<unsigned char>(number_in_braces(8));
      case 'x': return hexadecimal();
      case 'c': {
        const unsigned char letter = byte();
        return static_cast<unsigned char>((letter >= 'a' && letter <= 'z' ? letter - 32 : letter) ^ 0x40);
      }
      default: break;
    }
    const bool word = named_class(ClassName::word).test(c) && c != '_';
    if (word) stop(std::string("escape \\") + static_cast<char>(c));
    return c;
  }

  /// One member of a bracket expression: a class of bytes, or one byte that may begin a range.
  struct Member {
    ByteSet bytes;
    std::optional<unsigned char> single;
  };

  static Member single_member(unsigned char c) {
    Member member;
    member.bytes.set(c);
    member.single = c;
    return member;
  }

  Member member() {
    const unsigned char c = byte();
    if (c == '[' && (next_is(":") || next_is(".") || next_is("="))) {
      if (const auto found = posix_member()) return {*found, std::nullopt};
    }
    if (c != '\\') return single_member(c);
    const unsigned char escaped = byte();
    if (const auto bytes = escaped_class(escaped)) return {*bytes, std::nullopt};
    if (escaped == 'b') return single_member(0x08);
    if (escaped >= '1' && escaped <= '7') return single_member(octal(escaped, 2));
    if (escaped == '8' || escaped == '9') return single_member(escaped);
    return single_member(escaped_byte(escaped));
  }

  /// "[:name:]" when it is one; PCRE2 looks for the matching ":]" before anything that ends a class.
  std::optional<ByteSet> posix_member() {
    const char mark = text_[at_];
    std::size_t end = at_ + 1;
    for (; end + 1 < text_.size(); ++end) {
      if (text_[end] == mark && text_[end + 1] == ']') break;
      if (text_[end] == '\\' && (text_[end + 1] == ']' || text_[end + 1] == '\\')) {
        ++end;
      } else if ((text_[end] == '[' && text_[end + 1] == mark) || text_[end] == ']') {
        return std::nullopt;
      }
    }
    if (end + 1 >= text_.size()) return std::nullopt;
    if (mark != ':') stop("POSIX collating element");
    std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const auto bytes = posix_class(name, flags_.caseless);
    if (!bytes) stop("unknown POSIX class");
    at_ = end + 2;
    return negated ? ~*bytes : *bytes;
  }

  ByteSet bracket() {
    const bool negated = take("^");
    ByteSet classes;
    ByteSet singles;  // only these are subject to case folding
    for (bool first = true;; first = false) {
      if (!first && take("]")) break;
      if (next_is("\\E") || next_is("\\Q")) stop("quotation in a class");
      const Member from = member();
      const bool range = from.single && next_is("-") && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
      if (!range) {
        (from.single ? singles : classes) |= from.bytes;
        continue;
      }
      ++at_;
      if (next_is("\\E") || next_is("\\Q")) stop("quotation in a class");
      const Member to = member();
      if (!to.single || *to.single < *from.single) stop("bad range in a class");
      for (unsigned c = *from.single; c <= *to.single; ++c) singles.set(c);
    }
    const ByteSet bytes = classes | (flags_.caseless ? fold_case(singles) : singles);
    return negated ? ~bytes : bytes;
  }

  /// What follows "(": a group, or nothing for an option setting, which alone outlives its parenthesis.
  std::optional<Node> parenthesis() {
    const Flags outer = flags_;
    std::optional<Node> node = group();
    if (node) flags_ = outer;
    return node;
  }

  std::optional<Node> group() {
    if (next_is("*")) stop("(*VERB)");
    if (!take("?")) return flags_.no_auto_capture ? body() : capture();
    if (take(":")) return body();
    if (take(">")) return around(NodeKind::atomic, body());
    if (take("=")) return look_around(false, false);
    if (take("!")) return look_around(true, false);
    if (take("<=")) return look_around(false, true);
    if (take("<!")) return look_around(true, true);
    if (take("P<") || take("<")) return named_capture(">");
    if (take("'")) return named_capture("'");
    if (take("P=")) {
      until(")");
      return leaf(NodeKind::back_reference);
    }
    return options();
  }

  Node body() {
    Node inner = choice();
    if (!take(")")) stop("missing )");
    return inner;
  }

  Node capture() {
    const std::uint32_t number = ++groups_;
    Node node = around(NodeKind::group, body());
    node.group = number;
    return node;
  }

  Node named_capture(std::string_view terminator) {
    until(terminator);
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
    if (take("^")) changed = Flags{false, false, false, false, false};
    for (;;) {
      const unsigned char c = byte();
      switch (c) {
        case '-': on = false; break;
        case 'i': changed.caseless = on; break;
        case 'm': changed.multi_line = on; break;
        case 's': changed.dot_all = on; break;
        case 'n': changed.no_auto_capture = on; break;
        case 'U':
        case 'J': break;  // greediness and duplicate names do not change what matches
        case 'x':
          if (next_is("x")) stop("(?xx)");
          changed.extended = on;
          break;
        case ')': flags_ = changed; return std::nullopt;
        case ':': flags_ = changed; return body();
        default: --at_; stop("(?" + std::string(1, static_cast<char>(c)));
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
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
