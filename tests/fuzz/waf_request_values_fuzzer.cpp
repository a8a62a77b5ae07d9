// Any bytes as a request: parsing must stay inside its input, and what it calls modelled must be consistent.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "waf/fastpath/request_values.hpp"
#include "waf/fastpath/transformations.hpp"

namespace {

using namespace gatehouse::waf;
using namespace gatehouse::waf::fastpath;

/// Lines of the input in turn: target, headers up to an empty line, body.
struct Parts {
  std::string_view target;
  std::vector<HeaderView> headers;
  std::string_view body;
};

Parts cut(std::string_view text) {
  Parts parts;
  const auto line = [&text] {
    const std::size_t end = text.find('\n');
    const std::string_view found = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return found;
  };
  parts.target = line();
  while (!text.empty()) {
    const std::string_view header = line();
    if (header.empty()) break;
    const std::size_t colon = header.find(':');
    const bool has_value = colon != std::string_view::npos;
    parts.headers.push_back({header.substr(0, colon), has_value ? header.substr(colon + 1) : std::string_view()});
  }
  parts.body = text;
  return parts;
}

void transform(std::string_view value, Scratch& scratch) {
  for (std::size_t i = 0; i < transformation_count; ++i) {
    const auto step = static_cast<Transformation>(i);
    if (!is_supported(step)) continue;
    const std::string_view changed = apply(step, value, {}, scratch);
    const bool may_change = intersects(classify(value), blockers(step));
    if (!may_change && changed != value) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Parts parts = cut({reinterpret_cast<const char*>(data), size});
  Scratch scratch;
  RequestValues values(scratch);
  const RequestInput input{.client = {"192.0.2.1", 1},
                           .server = {"192.0.2.2", 2},
                           .method = "POST",
                           .uri = parts.target,
                           .version = "1.1",
                           .headers = parts.headers,
                           .body = {},
                           .unique_id = {}};
  const ParserSettings settings{.argument_separator = '&',
                                .arguments_limit = 50,
                                .body_no_files_limit = 100000,
                                .json_depth_limit = 32,
                                .uploads = Uploads::discarded};
  for (const BodyParser parser : {BodyParser::none, BodyParser::urlencoded, BodyParser::json}) {
    scratch.reset();
    if (values.parse_head(input, settings) != ParseOutcome::parsed) return 0;
    if (parser != BodyParser::none) values.choose_body_parser(parser);
    if (values.parse_body(parts.body) != ParseOutcome::parsed) continue;
    for (const Member& member : values.members(VariableKind::args)) transform(member.value, scratch);
    if (values.members(VariableKind::args_get).size() + values.members(VariableKind::args_post).size() >
        values.members(VariableKind::args).size()) {
      std::abort();
    }
  }
  return 0;
}
