"""Files, index, try_files, conditions and ranges as in nginx."""

import gzip

import pytest

from harness.side_by_side import case, get, run

TEXT = "".join(f"line {i:04}\n" for i in range(100))
SITE = {"site/index.html": "<h1>home</h1>\n", "site/a.txt": "alpha\n", "site/long.txt": TEXT, "site/sub/index.html": "sub index\n", "site/sub/b.css": "b { }\n", "site/empty": "",
        "site/noext": "no extension\n", "site/x.unknown": "?\n", "site/dir/file.js": "js\n", "site/sp ace.txt": "space\n", "site/404.html": "custom 404\n", "site/.hidden": "dot\n",
        "other/o.txt": "other\n", "other/index.htm": "other index\n"}
TYPES = "types { text/html html htm; text/css css; text/plain txt; application/javascript js; }"
SINCE = "Sun, 13 Sep 2020 12:26:40 GMT"
EARLIER, LATER = "Sun, 13 Sep 2020 12:26:39 GMT", "Sun, 13 Sep 2020 12:26:41 GMT"
TAG = '"5f5e1000-44c"'
CASES = [
    case("root", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site; location /sub/ {{ }} location /dir/ {{ }} }}""",
         "/", "/index.html", "/a.txt", "/long.txt", "/sub/", "/sub", "/sub?x=y", "/dir/", "/dir", "/empty", "/noext", "/x.unknown", "/sp%20ace.txt", "/absent", "/absent/", "/a.txt/", "/.hidden",
         "/../site/a.txt", "/%2e%2e/a.txt", get("/a.txt", method="HEAD"), get("/a.txt", method="POST", body=b""), get("/a.txt", method="DELETE"), get("/", method="POST", body=b"x"),
         get("/absent", method="POST", body=b""), "/a.txt?query=1", "/A.TXT", files=SITE),
    case("alias", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location /al/ {{ alias @dir@/other/; }}
  location /one.txt {{ alias @dir@/other/o.txt; }}
  location ~ ^/re/(.*)$ {{ alias @dir@/site/$1; }}
  location /noslash {{ alias @dir@/other; index index.htm; }}
}}""", "/al/o.txt", "/al/", "/al/absent", "/one.txt", "/re/a.txt", "/re/sub/b.css", "/noslash/o.txt", "/noslash/", "/noslash", "/al/%2e%2e/x", files=SITE),
    case("index", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location / {{ index absent.html index.html; }}
  location /sub/ {{ index none.html; }}
  location /fallback/ {{ alias @dir@/dir2/; index x.html /a.txt; }}
  location = /exact/ {{ root @dir@/site; index index.html; }}
  location /idx/ {{ alias @dir@/site/; index sub/index.html; }}
}}""", "/", "/sub/", "/fallback/", "/exact/", "/idx/", files={**SITE, "dir2/keep": ""}),
    case("index_changes_location", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site; index index.html;
  location / {{ }}
  location = /index.html {{ add_header X-Index exact; }}
  location ~ \\.html$ {{ add_header X-Index regex; }}
}}""", "/", "/sub/", "/index.html", files=SITE),
    case("try_files", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location / {{ try_files $uri $uri/ /index.html; }}
  location /code/ {{ try_files $uri =404; }}
  location /named/ {{ try_files $uri @fallback; }}
  location /teapot {{ try_files $uri =410; }}
  location /args/ {{ try_files $uri /target?from=$uri&$args; }}
  location = /target {{ return 200 "target $args\\n"; }}
  location /al/ {{ alias @dir@/other/; try_files $uri $uri/ =404; }}
  location /proxy/ {{ try_files $uri @proxy; }}
  location @fallback {{ return 200 "fallback $uri\\n"; }}
  location @proxy {{ proxy_pass http://127.0.0.1:@origin@; }}
}}""", "/", "/a.txt", "/absent", "/sub", "/sub/", "/code/x", "/named/x", "/teapot", "/args/x?y=z", "/al/o.txt", "/al/none", "/proxy/deep?q=1", "/dir", "/empty",
         get("/absent", method="HEAD"), get("/proxy/form", method="POST", body=b"kept"), files=SITE),
    case("conditions", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location /before/ {{ alias @dir@/site/; if_modified_since before; }}
  location /off/ {{ alias @dir@/site/; if_modified_since off; }}
  location /noetag/ {{ alias @dir@/site/; etag off; }} }}""",
         *[get("/long.txt", headers={name: value}) for name, value in (
             ("If-Modified-Since", SINCE), ("If-Modified-Since", EARLIER), ("If-Modified-Since", LATER), ("If-Modified-Since", "garbage"), ("If-None-Match", TAG),
             ("If-None-Match", "W/" + TAG), ("If-None-Match", '"other"'), ("If-None-Match", f'"a", {TAG}'), ("If-None-Match", "*"), ("If-Match", TAG), ("If-Match", '"other"'),
             ("If-Match", "*"), ("If-Unmodified-Since", SINCE), ("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", LATER))],
         get("/long.txt", headers={"If-None-Match": '"other"', "If-Modified-Since": SINCE}), get("/long.txt", headers={"If-None-Match": TAG, "If-Modified-Since": EARLIER}),
         get("/before/long.txt", headers={"If-Modified-Since": LATER}), get("/off/long.txt", headers={"If-Modified-Since": SINCE}), "/noetag/long.txt",
         get("/long.txt", method="HEAD", headers={"If-None-Match": TAG}), get("/absent", headers={"If-None-Match": "*"}), files=SITE),
    case("ranges", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site; location /none/ {{ alias @dir@/site/; max_ranges 0; }} location /one/ {{ alias @dir@/site/; max_ranges 1; }} }}""",
         *[get("/long.txt", headers={"Range": value}) for value in (
             "bytes=0-9", "bytes=10-19", "bytes=-5", "bytes=1090-", "bytes=0-", "bytes=0-99999", "bytes=1100-1200", "bytes=2000-", "bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-0",
             "bytes=-0", "bytes=-99999", "bytes=", "bytes=0-1,", "bytes= 0-1")],
         get("/long.txt", headers={"Range": "bytes=0-9", "If-Range": SINCE}), get("/long.txt", headers={"Range": "bytes=0-9", "If-Range": EARLIER}),
         get("/long.txt", headers={"Range": "bytes=0-9", "If-Range": TAG}), get("/long.txt", headers={"Range": "bytes=0-9", "If-Range": '"no"'}),
         get("/none/long.txt", headers={"Range": "bytes=0-9"}), get("/one/long.txt", headers={"Range": "bytes=0-1,3-4"}), get("/long.txt", method="HEAD", headers={"Range": "bytes=0-9"}),
         get("/empty", headers={"Range": "bytes=0-9"}), files=SITE),
    case("types_and_defaults", """
types { text/plain txt; text/x-own own; }
server { listen 127.0.0.1:@http@; root @dir@/site;
  location / { } location /default/ { alias @dir@/site/; default_type application/x-default; }
  location /notypes/ { alias @dir@/site/; types { } default_type text/raw; }
  location /own/ { alias @dir@/site/; types { text/mine txt css; } }
}""", "/a.txt", "/sub/b.css", "/noext", "/default/noext", "/default/a.txt", "/notypes/a.txt", "/own/a.txt", "/own/sub/b.css", "/own/index.html", files=SITE),
    case("error_page_files", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site; error_page 404 /404.html; error_page 403 =200 /a.txt; error_page 500 /absent.html;
  location / {{ }} location /deny {{ deny all; }} location /boom {{ return 500; }} location = /404.html {{ internal; }} }}""",
         "/absent", "/deny", "/boom", "/404.html", get("/absent", method="HEAD"), get("/absent", method="POST", body=b"x"), get("/absent", headers={"Range": "bytes=0-1"}), files=SITE),
    case("expires_and_cache_control", f"""{TYPES}
map $sent_http_content_type $lifetime {{ default off; text/css max; ~javascript 1h; }}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location / {{ expires $lifetime; }}
  location /epoch {{ alias @dir@/site/a.txt; expires epoch; }}
  location /max {{ alias @dir@/site/a.txt; expires max; }}
  location /neg {{ alias @dir@/site/a.txt; expires -1; }}
  location /off {{ alias @dir@/site/a.txt; expires off; }}
  location /return {{ expires epoch; add_header Cache-Control private; return 200 "x"; }}
  location /err {{ expires epoch; return 404; }}
}}""", "/a.txt", "/sub/b.css", "/epoch", "/max", "/neg", "/off", "/return", "/err", files=SITE),
    case("gzip_static", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/zip; location / {{ gzip_static on; gzip_vary on; }} location /always/ {{ alias @dir@/zip/; gzip_static always; }} }}""",
         *[get(target, headers=headers) for target in ("/a.txt", "/b.txt", "/always/a.txt") for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "gzip;q=0"},
                                                                                                         {"Accept-Encoding": "deflate, gzip;q=0.5"})],
         get("/a.txt", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-3"}), files={"zip/a.txt": "plain a\n", "zip/a.txt.gz": gzip.compress(b"plain a\n", mtime=0), "zip/b.txt": "plain b\n"}),
    case("autoindex", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/list;
  location / {{ autoindex on; }}
  location /size/ {{ alias @dir@/list/; autoindex on; autoindex_exact_size off; }}
  location /json/ {{ alias @dir@/list/; autoindex on; autoindex_format json; }}
  location /xml/ {{ alias @dir@/list/; autoindex on; autoindex_format xml; }}
  location /jsonp/ {{ alias @dir@/list/; autoindex on; autoindex_format jsonp; }}
  location /off/ {{ alias @dir@/list/; autoindex off; }}
}}""", "/", "/size/", "/json/", "/xml/", "/jsonp/?callback=cb", "/jsonp/", "/off/", files={
        "list/one.txt": "1", "list/two words & <b>.txt": "22", "list/" + "long" * 20 + ".txt": "333", "list/big.bin": "x" * 3000, "list/.hidden": "", "list/\u00fcml.txt": "u"}),
    case("empty_gif_and_root_variables", """
server { listen 127.0.0.1:@http@; server_name www.example.com;
  location = /dot.gif { empty_gif; }
  location /v/ { root @dir@/hosts/$host; }
  location /args/ { alias @dir@/hosts/$arg_d/v/; }
}""", "/dot.gif", get("/dot.gif", method="HEAD"), get("/dot.gif", method="POST", body=b""), "/v/a.txt", "/v/b.txt", "/args/a.txt?d=www.example.com", "/args/a.txt?d=none",
         files={"hosts/www.example.com/v/a.txt": "hosted\n"}),
    case("document_variables", f"""{TYPES}
server {{ listen 127.0.0.1:@http@; root @dir@/site;
  location / {{ add_header X-V "$document_root|$request_filename|$realpath_root" always; }}
  location /al/ {{ alias @dir@/other/; add_header X-V "$document_root|$request_filename" always; }}
}}""", "/a.txt", "/absent", "/al/o.txt", "/sub/", files=SITE),
    case("internal_redirect_by_the_origin", f"""{TYPES}
server {{ listen 127.0.0.1:@http@;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /protected/ {{ internal; alias @dir@/site/; }}
  location /ignore {{ proxy_ignore_headers X-Accel-Redirect; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[get(target, headers={"X-Reply": reply}) for target in ("/x", "/ignore") for reply in (
        '{"status": 200, "body": "unseen", "fields": [["X-Accel-Redirect", "/protected/a.txt"], ["X-Other", "o"], ["Content-Type", "text/special"]]}',
        '{"status": 200, "body": "unseen", "fields": [["X-Accel-Redirect", "/protected/absent"]]}',
        '{"status": 200, "body": "unseen", "fields": [["X-Accel-Redirect", "/protected/a.txt"], ["Set-Cookie", "a=b"], ["Content-Disposition", "attachment"], ["Cache-Control", "private"]]}')],
         "/protected/a.txt", files=SITE),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin)
