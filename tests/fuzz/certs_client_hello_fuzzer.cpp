// A hostile client's first flight against the server name choice: no input may crash it, and none may choose a context
// under a name that the selector's contract forbids.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <openssl/err.h>
#include <unistd.h>

#include "certs/describe.hpp"
#include "certs/error_queue.hpp"
#include "certs/self_signed.hpp"
#include "certs/server_connection.hpp"

namespace {

using namespace gatehouse::certs;

/// Refuses to go on when a name breaks the contract of SniSelector::select().
class CheckingSelector : public SniSelector {
 public:
  explicit CheckingSelector(std::shared_ptr<const ServerContext> other) : other_(std::move(other)) {}

  [[nodiscard]] std::shared_ptr<const ServerContext> select(std::string_view name) const override {
    if (name.size() > 255 || (!name.empty() && (name.back() == '.' || name.front() == '.'))) std::abort();
    for (const char c : name) {
      if (c <= ' ' || c == 0x7f || c == '/' || (c >= 'A' && c <= 'Z')) std::abort();
    }
    return name.size() % 3 == 2 ? nullptr : other_;
  }

 private:
  std::shared_ptr<const ServerContext> other_;
};

struct Servers {
  Servers() {
    std::string directory = (std::filesystem::temp_directory_path() / "gatehouse-fuzz-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) std::abort();
    const auto made = make_self_signed(std::vector<std::string>{"fuzz.example"}, directory).value();
    ServerTlsSettings settings;
    settings.certificates = {{{made.certificate.string(), {}}, {made.key.string(), {}}}};
    initial = ServerContext::build(settings, state).value();
    settings.ecdh_curves = "P-384";
    settings.alpn = {"h2", "http/1.1"};
    settings.verify_client = VerifyClient::optional_no_ca;
    selector = std::make_shared<CheckingSelector>(ServerContext::build(settings, state).value());
    std::filesystem::remove_all(directory);
  }

  SharedTlsState state;
  std::shared_ptr<const ServerContext> initial;
  std::shared_ptr<const SniSelector> selector;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Servers servers;
  const SslPtr ssl = new_server_connection(servers.initial, servers.selector);
  SSL_set_bio(ssl.get(), BIO_new_mem_buf(data, static_cast<int>(size)), BIO_new(BIO_s_mem()));
  const int result = SSL_do_handshake(ssl.get());
  if (result <= 0) {
    const auto failure =
        judge_tls_failure(TlsSide::downstream, "SSL_do_handshake() failed", SSL_get_error(ssl.get(), result), 0);
    if (failure.text.empty()) std::abort();
  }
  static_cast<void>(ssl_ciphers(*ssl) + ssl_curves(*ssl) + ssl_curve(*ssl) + ssl_server_name(*ssl) +
                    ssl_alpn_protocol(*ssl));
  if (ERR_peek_error() != 0) ERR_clear_error();
  return 0;
}
