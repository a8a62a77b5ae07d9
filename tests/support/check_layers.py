"""Fails when a source includes a header of a layer above its own, or when CMake names more than the layers' order allows."""

import pathlib
import re
import sys

# A layer and every layer it may include, besides itself.
ALLOWED = {
    "proxy/base": (),
    "proxy/http": ("proxy/base",),
    "proxy/cache": ("proxy/base", "proxy/http"),
    "proxy/config": ("proxy/base", "proxy/http", "proxy/cache"),
    "proxy/route": ("proxy/base", "proxy/http", "proxy/config"),
    "proxy/io": ("proxy/base",),
    "certs": ("proxy/base",),
    "waf": ("proxy/base",),
}
BELOW_UPSTREAM = tuple(ALLOWED)
ORDER = ("proxy/upstream", "proxy/exchange", "proxy/session", "proxy/server")
ALLOWED["proxy/upstream"] = ("proxy/base", "proxy/http", "proxy/config", "proxy/io", "certs")
for position, layer in enumerate(ORDER[1:], start=1):
    ALLOWED[layer] = BELOW_UPSTREAM + ORDER[:position]
# Beside the HTTP sessions.
ALLOWED["proxy/stream"] = BELOW_UPSTREAM + ("proxy/upstream", "proxy/exchange")
ALLOWED["proxy/server"] += ("proxy/stream",)

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path: str) -> str | None:
    return next((layer for layer in sorted(ALLOWED, key=len, reverse=True) if path.startswith(layer + "/")), None)


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    wrong = []
    for source in sorted(root.glob("*/**/*.[ch]pp")):
        relative = source.relative_to(root).as_posix()
        layer = layer_of(relative)
        if layer is None:
            continue
        for included in INCLUDE.findall(source.read_text(encoding="utf-8")):
            target = layer_of(included)
            if target not in (None, layer) and target not in ALLOWED[layer]:
                wrong.append(f"{relative}: a source of {layer} includes {included}")
    print("\n".join(wrong) if wrong else "layers: every include points downwards")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
