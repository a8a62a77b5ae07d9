#include "proxy/exchange/decided_answer.hpp"

#include <algorithm>
#include <string>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

// The type of a text that `return` gives: by the extension of the URI, as if it were a file (nginx's ngx_http_set_content_type).
std::string_view content_type(const Exchange& exchange) {
  static const config::MimeTypes kUsual = {{"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}};
  const auto& settings = exchange.settings();
  const std::string_view name = exchange.path.substr(exchange.path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return settings.default_type;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  const config::MimeTypes& types = settings.types ? *settings.types : kUsual;
  const auto found = types.find(extension);
  return found == types.end() ? std::string_view(settings.default_type) : std::string_view(found->second);
}

// nginx's rewriting runs before its access phase, so the answer needs no access rules; but the WAF sees what it answers.
Step decide(Exchange& exchange, DecidedAnswer answer) {
  exchange.decided = answer;
  if (exchange.judge() != nullptr && !exchange.waf) return Step::next;
  answer_decided(exchange);
  return Step::answered;
}

}  // namespace

Step decide_return(Exchange& exchange, const config::ReturnAction& action) {
  DecidedAnswer answer{action.status, std::nullopt};
  if (action.text) answer.text = evaluate(*action.text, exchange);
  return decide(exchange, answer);
}

Step decide_redirect(Exchange& exchange, int status, std::string_view location) {
  return decide(exchange, {status, location});
}

void answer_decided(Exchange& exchange) {
  const DecidedAnswer answer = *exchange.decided;
  exchange.decided.reset();
  if (answer.status == http::kCloseSilently) {
    exchange.response.status = http::kCloseSilently;
    exchange.error_status = 0;
    exchange.local = true;
  } else if (http::is_redirect(answer.status)) {
    exchange.redirect(answer.status, answer.text.value_or(std::string_view{}));
  } else if (answer.text && (answer.status < 400 || !answer.text->empty())) {
    make_local_head(exchange, answer.status, content_type(exchange), *answer.text);
  } else if (answer.status < 400) {
    exchange.reply_empty(answer.status);
  } else {
    exchange.reply(answer.status, Reason::none);
  }
}

}  // namespace gatehouse::exchange
