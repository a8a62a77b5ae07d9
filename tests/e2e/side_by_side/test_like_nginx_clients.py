"""What depends on the client's browser, and what is left behind for others: browser module, keepalive_disable, proxy_store, post_action."""

import pytest

from harness.side_by_side import answered, case, get, run

AGENTS = ["Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)",
          "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.0)", "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
          "Mozilla/5.0 (Windows; U; Windows NT 5.1; en-US; rv:0.9.2) Gecko/20020508", "Opera/9.80 (Windows NT 6.0) Presto/2.12.388 Version/12.14",
          "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; en) Opera 8.50", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Safari/605.1.15",
          "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36", "Mozilla/5.0 (compatible; Konqueror/3.5; Linux) KHTML/3.5.5 (like Gecko)",
          "Mozilla/4.72 [en] (X11; U; Linux 2.2.14)", "Lynx/2.8.5rel.1 libwww-FM/2.14", "Links (2.1pre20; NetBSD 2.1_STABLE i386; 145x54)", "curl/7.88", ""]

SHOW = 'add_header X-Browser "$modern_browser|$ancient_browser|$msie"; return 200 "x";'
CASES = [
    case("browsers", f"""
server {{ listen 127.0.0.1:@http@;
  location / {{ {SHOW} }}
  location /versions {{ modern_browser msie 5.5; modern_browser gecko 1.0.0; modern_browser opera 9.0; modern_browser safari 413; modern_browser konqueror 3.0; {SHOW} }}
  location /unlisted {{ modern_browser unlisted; ancient_browser Links Lynx netscape4; {SHOW} }}
  location /values {{ modern_browser unlisted; ancient_browser MSIE; modern_browser_value new.; ancient_browser_value old.; {SHOW} }}
}}""", *[get(place, headers={"User-Agent": agent} if agent else {}) for place in ("/", "/versions", "/unlisted", "/values") for agent in AGENTS]),
    case("store", """
server { listen 127.0.0.1:@http@; root @dir@/kept;
  location /kept/ { alias @dir@/kept/; add_header X-From file; }
  location /on/ { proxy_store on; proxy_store_access user:rw group:r all:r; proxy_pass http://127.0.0.1:@origin@; }
  location /path/ { proxy_store @dir@/kept/own$uri; proxy_pass http://127.0.0.1:@origin@; }
  location /off/ { proxy_pass http://127.0.0.1:@origin@; }
  location /fetch/ { root @dir@/kept; error_page 404 = @fetch; log_not_found off; }
  location @fetch { proxy_store on; root @dir@/kept; proxy_pass http://127.0.0.1:@origin@; }
}""", answered("/on/a", 200, "stored", {"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}), get("/kept/on/a"), answered("/on/b", 404, "nothing"), get("/kept/on/b"),
         answered("/path/c", 200, "by path", {"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}), get("/kept/own/path/c"), answered("/off/d", 200, "x"), get("/kept/off/d"),
         answered("/fetch/e", 200, "first", {"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}), answered("/fetch/e", 200, "second: not asked for"),
         files={"kept/x": "make the folder"}, main="user root;"),
    case("msie", r"""
server { listen 127.0.0.1:@http@; msie_refresh on;
  location /moved { return 301 /new; }
  location /odd { return 302 "http://other.example/a b?c='d'&e=\"f\"%20<g>"; }
  location /seen { return 303 /other; }
  location /rewritten { rewrite ^/rewritten(.*) https://other.example$1 permanent; }
  location /dir { root @dir@; }
  location /plain { msie_refresh off; msie_padding off; location /plain/moved { return 301 /new; } }
  location /own { error_page 404 /page; }
  location = /page { return 404 "short"; }
}""", *[get(target, headers={"User-Agent": agent}) for agent in (AGENTS[0], AGENTS[3], AGENTS[4], AGENTS[6], AGENTS[9], "curl/7.88")
        for target in ("/moved", "/odd", "/seen", "/rewritten/x?y", "/dir", "/plain/moved", "/plain/none", "/none", "/own")],
         files={"dir/x": "make the folder"}),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin, until_closed=True)


KEEPALIVE = "server { listen 127.0.0.1:@http@; location / { return 204; } location /both { keepalive_disable msie6 safari; return 204; } location /none { keepalive_disable none; return 204; } }"


def test_keep_alive_by_browser(gatehouse, nginx):
    servers = [make(KEEPALIVE) for make in (nginx, gatehouse)]
    for agent in AGENTS:
        for path in ("/", "/both", "/none"):
            for method in ("GET", "POST"):
                told = []
                for server in servers:
                    client = server.connect()
                    response = client.request(path, method=method, headers={"User-Agent": agent}, body=b"x" if method == "POST" else None)
                    told.append(response.header("Connection"))
                    client.close()
                assert told[0] == told[1], (agent, path, method)
