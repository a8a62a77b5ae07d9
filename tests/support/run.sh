#!/bin/sh
# Serves conf/demo.conf in the foreground: installs what is missing, builds, makes a certificate on first use, starts.
set -eu
cd "$(dirname "$0")/../.."

conf/packages/install.sh run
tests/support/build.sh release gatehouse

mkdir -p run
if [ ! -s run/demo.key ] || [ ! -s run/demo.crt ]; then
  echo "==> making a self-signed ECDSA certificate: run/demo.crt"
  (umask 077 && openssl ecparam -name prime256v1 -genkey -noout -out run/demo.key)
  openssl req -new -x509 -key run/demo.key -out run/demo.crt -days 825 -sha256 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' -addext 'extendedKeyUsage=serverAuth'
fi

build/gatehouse -q -t -c conf/demo.conf

cat <<'TEXT'
==> Gatehouse serves conf/demo.conf
      https://localhost:8443/     TLS, every request through ModSecurity and the OWASP CRS, then to the demo origin
      http://localhost:8080/      redirects to it
      http://127.0.0.1:10254/     /metrics, /healthz, /readyz
    Try, in another terminal:
      curl -k https://localhost:8443/                                                   # 200, from the demo origin
      curl -k -G https://localhost:8443/ --data-urlencode "q=1' or '1'='1"              # 403, and a line here with [id "942100"]
      curl -s http://127.0.0.1:10254/metrics | grep '^gatehouse_'                       # both, counted under their route
    Ctrl-C stops it; the access log is run/access.log.
TEXT
exec build/gatehouse -c conf/demo.conf
